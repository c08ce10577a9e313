//! What the engine tells its host: one queue for all groups, in commit order per group.
//!
//! Bounded in bytes: entries and snapshot chunks wait for room, and with them openraft's apply.
//! The other events are few or bounded by what was submitted, and never wait. The host is woken
//! once when the queue turns from empty to filled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::frames::{EventWriter, event_type};
use crate::host_calls::Caller;
use crate::limits::LINES_WAITING_MAX;
use crate::logging::LogLevel;

/// Where the engine's events go.
pub trait StateMachineHost: Send + Sync + 'static {
    /// Events wait: drain soon. Called once when the queue turns from empty to filled, from any
    /// thread; it may not block.
    fn wake(&self);
}

/// Why commands were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// This node does not lead the group.
    NotLeader = 1,
    /// There is no such group or keyspace here.
    NoSuchGroup = 2,
    /// The storage failed.
    StorageFailed = 3,
    /// The group or the engine is closed.
    Closed = 5,
}

/// How the storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// No space.
    Full = 1,
    /// An error.
    Failed = 2,
    /// Damaged data.
    Corrupted = 3,
}

/// What became of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerChange {
    Up = 1,
    Down = 2,
    /// It was started anew.
    Restarted = 3,
}

/// Why two nodes do not talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamRefusal {
    OtherName = 1,
    OtherCluster = 2,
    /// An older process of a node, or a copy of one.
    OtherProcess = 3,
    Protocol = 4,
    Tls = 5,
    Other = 6,
    /// One of the two was given up for lost.
    Lost = 7,
}

/// One event; `group` is 0 where it belongs to none.
#[derive(Debug)]
pub(crate) enum Event {
    Entry {
        group: u32,
        index: u64,
        term: u64,
        entry: Bytes,
    },
    /// An entry without commands was applied.
    PassedBy {
        group: u32,
        index: u64,
    },
    LeaderChanged {
        group: u32,
        leader: u64,
        term: u64,
    },
    LeaderReady {
        group: u32,
        term: u64,
    },
    BeginSnapshot {
        group: u32,
        number: u64,
    },
    InstallSnapshot {
        group: u32,
    },
    SnapshotChunk {
        group: u32,
        chunk: Bytes,
    },
    SnapshotInstalled {
        group: u32,
    },
    CommandsRefused {
        group: u32,
        reason: Reason,
        leader: u64,
        requests: Vec<u64>,
        unknown: bool,
    },
    StorageFailed {
        kind: FailureKind,
        text: String,
    },
    /// A line of the log, as JSON.
    LogLine {
        level: LogLevel,
        text: String,
    },
    SnapshotMayContinue {
        group: u32,
        number: u64,
    },
    /// A read that asked for it may be answered.
    ReadReady {
        group: u32,
        number: u64,
    },
    /// A leader has a member here: the group was created, unbound.
    MemberWanted {
        group: u32,
        descriptor: Bytes,
    },
    /// A node without a replica waits for the results of this entry, which was applied.
    ResultsWanted {
        group: u32,
        ticket: u64,
        entry: Bytes,
    },
    /// Results of commands that this node sent on, as the leader's host gave them.
    Results {
        group: u32,
        results: Bytes,
    },
    /// This node is no member any more: the group was removed here.
    MemberRemoved {
        group: u32,
    },
    /// Another node's host asks this one's.
    Call {
        ticket: u64,
        caller: Caller,
        body: Bytes,
    },
    /// Another node can be called now, or cannot, or is another process.
    PeerChanged {
        node: u64,
        state: PeerChange,
        incarnation: u32,
    },
    /// This node and another do not talk.
    StreamRefused {
        node: u64,
        reason: StreamRefusal,
        text: String,
    },
}

impl Event {
    /// Bytes that the event takes in a drained buffer, roughly.
    fn cost(&self) -> usize {
        match self {
            Event::Entry { entry, .. } => 28 + entry.len(),
            Event::SnapshotChunk { chunk, .. } => 16 + chunk.len(),
            Event::CommandsRefused { requests, .. } => 28 + 12 * requests.len(),
            Event::StorageFailed { text, .. } | Event::LogLine { text, .. } => 20 + text.len(),
            Event::MemberWanted { descriptor, .. } => 16 + descriptor.len(),
            Event::ResultsWanted { entry, .. } => 28 + entry.len(),
            Event::Results { results, .. } => 16 + results.len(),
            Event::Call { body, .. } => 44 + body.len(),
            Event::StreamRefused { text, .. } => 32 + text.len(),
            _ => 28,
        }
    }

    fn is_line(&self) -> bool {
        matches!(self, Event::LogLine { .. })
    }

    /// The group whose state the event is about. Refusals are the caller's business and outlive it.
    fn state_of(&self) -> Option<u32> {
        match self {
            Event::Entry { group, .. }
            | Event::PassedBy { group, .. }
            | Event::LeaderChanged { group, .. }
            | Event::LeaderReady { group, .. }
            | Event::BeginSnapshot { group, .. }
            | Event::InstallSnapshot { group }
            | Event::SnapshotChunk { group, .. }
            | Event::SnapshotInstalled { group }
            | Event::ReadReady { group, .. }
            | Event::ResultsWanted { group, .. }
            | Event::SnapshotMayContinue { group, .. } => Some(*group),
            Event::CommandsRefused { .. }
            | Event::StorageFailed { .. }
            | Event::LogLine { .. }
            | Event::MemberWanted { .. }
            | Event::Results { .. }
            | Event::Call { .. }
            | Event::PeerChanged { .. }
            | Event::StreamRefused { .. }
            | Event::MemberRemoved { .. } => None,
        }
    }

    fn event_type(&self) -> u32 {
        match self {
            Event::Entry { .. } => event_type::ENTRY,
            Event::PassedBy { .. } => event_type::PASSED_BY,
            Event::LeaderChanged { .. } => event_type::LEADER_CHANGED,
            Event::LeaderReady { .. } => event_type::LEADER_READY,
            Event::BeginSnapshot { .. } => event_type::BEGIN_SNAPSHOT,
            Event::InstallSnapshot { .. } => event_type::INSTALL_SNAPSHOT,
            Event::SnapshotChunk { .. } => event_type::SNAPSHOT_CHUNK,
            Event::SnapshotInstalled { .. } => event_type::SNAPSHOT_INSTALLED,
            Event::CommandsRefused { .. } => event_type::COMMANDS_REFUSED,
            Event::StorageFailed { .. } => event_type::STORAGE_FAILED,
            Event::LogLine { .. } => event_type::LOG_LINE,
            Event::SnapshotMayContinue { .. } => event_type::SNAPSHOT_MAY_CONTINUE,
            Event::ReadReady { .. } => event_type::READ_READY,
            Event::MemberWanted { .. } => event_type::MEMBER_WANTED,
            Event::ResultsWanted { .. } => event_type::RESULTS_WANTED,
            Event::Results { .. } => event_type::RESULTS,
            Event::MemberRemoved { .. } => event_type::MEMBER_REMOVED,
            Event::Call { .. } => event_type::CALL,
            Event::PeerChanged { .. } => event_type::PEER_CHANGED,
            Event::StreamRefused { .. } => event_type::STREAM_REFUSED,
        }
    }

    fn group(&self) -> u32 {
        match self {
            Event::CommandsRefused { group, .. }
            | Event::MemberWanted { group, .. }
            | Event::Results { group, .. }
            | Event::MemberRemoved { group } => *group,
            other => other.state_of().unwrap_or(0),
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        let mut writer = EventWriter::begin(into, self.event_type(), self.group());
        match self {
            Event::Entry {
                index, term, entry, ..
            } => {
                writer.number(*index);
                writer.number(*term);
                writer.bytes(entry);
            }
            Event::LeaderChanged { leader, term, .. } => {
                writer.number(*leader);
                writer.number(*term);
            }
            Event::LeaderReady { term: number, .. }
            | Event::PassedBy { index: number, .. }
            | Event::BeginSnapshot { number, .. }
            | Event::ReadReady { number, .. }
            | Event::SnapshotMayContinue { number, .. } => writer.number(*number),
            Event::InstallSnapshot { .. }
            | Event::SnapshotInstalled { .. }
            | Event::MemberRemoved { .. } => {}
            Event::ResultsWanted { ticket, entry, .. } => {
                writer.number(*ticket);
                writer.word(entry.len() as u32);
                writer.word(0);
                writer.bytes(entry);
            }
            Event::Results { results: bytes, .. }
            | Event::MemberWanted {
                descriptor: bytes, ..
            } => {
                writer.word(bytes.len() as u32);
                writer.bytes(bytes);
            }
            Event::SnapshotChunk { chunk, .. } => {
                writer.word(chunk.len() as u32);
                writer.bytes(chunk);
            }
            Event::CommandsRefused {
                reason,
                leader,
                requests,
                unknown,
                ..
            } => {
                writer.word(*reason as u32);
                writer.word(requests.len() as u32);
                writer.number(*leader);
                requests.iter().for_each(|request| writer.number(*request));
                requests
                    .iter()
                    .for_each(|_| writer.word(u32::from(*unknown)));
            }
            Event::Call { .. } | Event::PeerChanged { .. } | Event::StreamRefused { .. } => {
                write_of_nodes(self, &mut writer);
            }
            Event::StorageFailed { kind, text } => {
                writer.word(*kind as u32);
                writer.word(text.len() as u32);
                writer.bytes(text.as_bytes());
            }
            Event::LogLine { level, text } => {
                writer.word(*level as u32);
                writer.word(text.len() as u32);
                writer.bytes(text.as_bytes());
            }
        }
        writer.end();
    }
}

fn write_of_nodes(event: &Event, writer: &mut EventWriter<'_>) {
    match event {
        Event::Call {
            ticket,
            caller,
            body,
        } => {
            writer.number(*ticket);
            writer.number(caller.node);
            writer.word(caller.incarnation as u32);
            writer.word(u32::from(caller.member));
            writer.word(body.len() as u32);
            writer.bytes(body);
        }
        Event::PeerChanged {
            node,
            state,
            incarnation,
        } => {
            writer.number(*node);
            writer.word(*state as u32);
            writer.word(*incarnation);
        }
        Event::StreamRefused { node, reason, text } => {
            writer.number(*node);
            writer.word(*reason as u32);
            writer.word(text.len() as u32);
            writer.bytes(text.as_bytes());
        }
        _ => {}
    }
}

/// The queue was left because whoever pushed was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
    /// Lines of the log among the events.
    lines: usize,
}

/// The queue.
pub(crate) struct EventQueue {
    host: Arc<dyn StateMachineHost>,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    room: Notify,
}

impl EventQueue {
    /// An empty queue.
    pub(crate) fn new(host: Arc<dyn StateMachineHost>, bytes_max: usize) -> Self {
        Self {
            host,
            bytes_max,
            waiting: Mutex::default(),
            room: Notify::new(),
        }
    }

    /// Adds an event that never waits.
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = self.waiting.lock();
        let was_empty = waiting.events.is_empty();
        waiting.bytes += event.cost();
        waiting.lines += usize::from(event.is_line());
        waiting.events.push_back(event);
        drop(waiting);
        if was_empty {
            self.host.wake();
        }
    }

    /// Adds a line of the log, unless too many wait: then it is left out.
    pub(crate) fn push_line(&self, line: Event) {
        if self.waiting.lock().lines < LINES_WAITING_MAX {
            self.push(line);
        }
    }

    /// Adds an event once there is room for it, unless `stop` is set meanwhile.
    pub(crate) async fn push_bounded(
        &self,
        event: Event,
        stop: &AtomicBool,
    ) -> Result<(), Stopped> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Whoever drains between the look below and the wait is heard.
            room.as_mut().enable();
            if stop.load(Ordering::SeqCst) {
                return Err(Stopped);
            }
            if self.waiting.lock().bytes < self.bytes_max {
                self.push(event);
                return Ok(());
            }
            room.await;
        }
    }

    /// Lets everybody who waits for room look at their stop sign.
    pub(crate) fn nudge(&self) {
        self.room.notify_waiters();
    }

    /// Appends whole events up to `bytes_max`, at least one if any waits; whether more waits.
    pub(crate) fn drain(&self, into: &mut Vec<u8>, bytes_max: usize) -> bool {
        let start = into.len();
        let mut waiting = self.waiting.lock();
        let was_full = waiting.bytes >= self.bytes_max;
        while let Some(event) = waiting.events.front() {
            let cost = event.cost();
            if into.len() > start && into.len() - start + cost > bytes_max {
                break;
            }
            event.write(into);
            let line = event.is_line();
            waiting.bytes -= cost;
            waiting.lines -= usize::from(line);
            waiting.events.pop_front();
        }
        let more = !waiting.events.is_empty();
        let has_room = waiting.bytes < self.bytes_max;
        drop(waiting);
        if was_full && has_room {
            self.nudge();
        }
        more
    }

    /// Drops what waits of a group's former opening.
    pub(crate) fn forget(&self, group: u32) {
        let mut waiting = self.waiting.lock();
        waiting
            .events
            .retain(|event| event.state_of() != Some(group));
        waiting.bytes = waiting.events.iter().map(Event::cost).sum();
        drop(waiting);
        self.nudge();
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
