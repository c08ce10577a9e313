//! One open group: what the adapters, the proposer and the engine share of it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use raft_kv_journal::GroupLog;
use tokio::sync::{Notify, watch};

use crate::batching::{Pending, Proposal};
use crate::events::{Event, EventQueue};
use crate::leases::Lease;
use crate::limits::SNAPSHOT_LOG_MULTIPLE;
use crate::raft::snapshot::SnapshotDesk;
use crate::raft::types::{Raft, Vote};
use crate::statistics::Counters;

/// Commands that wait, and whether more may come.
#[derive(Default)]
pub(crate) struct Intake {
    /// What waits.
    pub(crate) pending: Pending,
    /// No further command is taken.
    pub(crate) closed: bool,
}

/// See the module.
pub(crate) struct Group {
    /// Its number.
    pub(crate) id: u32,
    /// This node.
    pub(crate) node: u64,
    /// Its log.
    pub(crate) log: GroupLog,
    /// Its lease.
    pub(crate) lease: Lease,
    /// Its commands on their way to openraft.
    pub(crate) intake: Mutex<Intake>,
    /// Entries proposed and not yet settled.
    pub(crate) in_flight: AtomicUsize,
    /// Told when an entry is settled.
    pub(crate) settled: Notify,
    /// Whether the proposer has the group on its list.
    pub(crate) listed: AtomicBool,
    /// Whether openraft is to be asked for a snapshot.
    pub(crate) snapshot_wanted: AtomicBool,
    /// Where the host hands in snapshots.
    pub(crate) snapshots: SnapshotDesk,
    /// Nothing more is given to the host: the group closes.
    pub(crate) stop: AtomicBool,
    /// Bytes of commands applied since the last snapshot was begun.
    pub(crate) log_bytes: AtomicU64,
    /// The engine's counters.
    pub(crate) counters: Arc<Counters>,
    raft: OnceLock<Raft>,
    events: Arc<EventQueue>,
    leading: watch::Sender<bool>,
    known_leader: AtomicU64,
    snapshot_log_bytes_min: u64,
}

/// What a group is made of.
pub(crate) struct GroupParts {
    pub(crate) id: u32,
    pub(crate) node: u64,
    pub(crate) log: GroupLog,
    pub(crate) lease: Lease,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) snapshot_log_bytes_min: u64,
}

impl Group {
    /// A group that takes commands, but has no openraft yet to give them to.
    pub(crate) fn new(parts: GroupParts) -> Self {
        Self {
            id: parts.id,
            node: parts.node,
            log: parts.log,
            lease: parts.lease,
            intake: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            settled: Notify::new(),
            listed: AtomicBool::new(false),
            snapshot_wanted: AtomicBool::new(false),
            snapshots: SnapshotDesk::default(),
            stop: AtomicBool::new(false),
            log_bytes: AtomicU64::new(0),
            counters: parts.counters,
            raft: OnceLock::new(),
            events: parts.events,
            leading: watch::Sender::new(false),
            known_leader: AtomicU64::new(0),
            snapshot_log_bytes_min: parts.snapshot_log_bytes_min,
        }
    }

    /// The group's openraft, once it runs.
    pub(crate) fn raft(&self) -> Option<&Raft> {
        self.raft.get()
    }

    /// Gives the group its openraft.
    pub(crate) fn set_raft(&self, raft: Raft) {
        // A group is opened once, under the lock of its number.
        drop(self.raft.set(raft));
    }

    /// This node was elected, and its vote is durable.
    pub(crate) fn lead(&self, term: u64) {
        self.lease.lead(term);
        self.tell_leader(self.node, term);
        self.leading.send_replace(true);
    }

    /// This node gives its vote to another, or stands for election: it does not lead.
    pub(crate) fn follow(&self, vote: &Vote) {
        self.lease.follow();
        self.leading.send_replace(false);
        let leader_id = vote.leader_id();
        let leader = if vote.is_committed() {
            leader_id.node_id
        } else {
            0
        };
        self.tell_leader(leader, leader_id.term);
    }

    fn tell_leader(&self, leader: u64, term: u64) {
        let before = self.known_leader.swap(leader, Ordering::SeqCst);
        if before != leader && !self.stop.load(Ordering::SeqCst) {
            self.events.push(Event::LeaderChanged {
                group: self.id,
                leader,
                term,
            });
        }
    }

    /// Waits until this node leads.
    pub(crate) async fn wait_to_lead(&self) {
        let mut leading = self.leading.subscribe();
        // The sender lives as long as the group, which is borrowed here.
        drop(leading.wait_for(|leads| *leads).await);
    }

    /// Whether the log has outgrown its snapshot.
    pub(crate) fn snapshot_is_due(&self) -> bool {
        let grown = self.log_bytes.load(Ordering::Relaxed);
        if grown <= self.snapshot_log_bytes_min {
            return false;
        }
        let snapshot = self.log.state().snapshot.map_or(0, |info| info.bytes);
        grown > snapshot.saturating_mul(SNAPSHOT_LOG_MULTIPLE)
    }

    /// Takes no further commands.
    pub(crate) fn close_intake(&self) {
        self.intake.lock().closed = true;
    }

    /// Takes all that waits, to refuse it.
    pub(crate) fn take_pending(&self) -> Vec<Proposal> {
        let mut intake = self.intake.lock();
        intake.closed = true;
        std::iter::from_fn(|| intake.pending.take()).collect()
    }

    /// Waits until all commands are settled.
    pub(crate) async fn wait_until_settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            // In this order: what waits becomes what is in flight, under the lock.
            let waits = !self.intake.lock().pending.is_empty();
            if !waits && self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Ends the lease and everything that waits for the host.
    pub(crate) fn halt(&self) {
        self.lease.end();
        self.stop.store(true, Ordering::SeqCst);
        self.snapshots.close();
        self.events.nudge();
    }
}
