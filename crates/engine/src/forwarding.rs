//! Commands at a node that does not lead their group: sent on, as the entry that they were
//! gathered into, to the node that does.
//!
//! The batches keep the session of the node where they were called, so a command that was sent on
//! twice is applied once. Where this node has a replica that applies, the entry comes back through
//! the log; otherwise the leader's host is asked for the results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::errors::ClientWriteError;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::engine::Shared;
use crate::entry_layout::is_whole;
use crate::error::EngineError;
use crate::events::Event;
use crate::frames::word;
use crate::group::Group;
use crate::limits::{FORWARD_ATTEMPTS_MAX, PROGRESS_INTERVAL, RESULTS_WAIT};
use crate::links::{Links, method};
use crate::network::{Answer, LogId, Member, PeerError};
use crate::raft::codec::STORED_HEADER_BYTES;
use crate::raft::types::{Callback, Commands};
use crate::sleep::rouse;
use crate::world::World;

const APPLIED: u8 = 1;
const NOT_LEADER: u8 = 2;
const UNKNOWN: u8 = 3;
const REMOVED: u8 = 4;

/// What became of commands that were sent on.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// They were applied; with the leader's results if they were asked for.
    Applied(Bytes),
    /// They were not proposed. The node that leads, or 0.
    NotLeader(u64),
    /// They may have been proposed.
    Unknown,
    /// They were not proposed: up to here the node that sent them on is left out, and its replica
    /// would never see them.
    Removed(LogId),
}

impl Outcome {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Outcome::Applied(results) => {
                bytes.put_u8(APPLIED);
                bytes.put_slice(results);
            }
            Outcome::NotLeader(leader) => {
                bytes.put_u8(NOT_LEADER);
                bytes.put_u64_le(*leader);
            }
            Outcome::Unknown => bytes.put_u8(UNKNOWN),
            Outcome::Removed(membership) => {
                bytes.put_u8(REMOVED);
                bytes.put_u64_le(membership.term);
                bytes.put_u64_le(membership.node);
                bytes.put_u64_le(membership.index);
            }
        }
        bytes.freeze()
    }

    /// What another node answered; bytes that are no answer leave it unknown.
    pub(crate) fn decode(mut bytes: Bytes) -> Outcome {
        match bytes.try_get_u8() {
            Ok(APPLIED) => Outcome::Applied(bytes),
            Ok(NOT_LEADER) => bytes
                .try_get_u64_le()
                .map_or(Outcome::Unknown, Outcome::NotLeader),
            Ok(REMOVED) if bytes.remaining() >= 24 => Outcome::Removed(LogId {
                term: bytes.get_u64_le(),
                node: bytes.get_u64_le(),
                index: bytes.get_u64_le(),
            }),
            _ => Outcome::Unknown,
        }
    }
}

/// An entry on its way to a leader.
pub(crate) struct Forward {
    group: Arc<Group>,
    links: Arc<Links>,
    body: Bytes,
    to: u64,
    answer: Answer<Bytes>,
}

impl Forward {
    /// Queues an entry for the leader as far as it is known; `None` when there is nobody to ask.
    pub(crate) fn begin(group: &Arc<Group>, links: &Arc<Links>, stored: Bytes) -> Option<Self> {
        let to = choose(group, group.known_leader(), 0)?;
        let body = address(group.id, group.needs_results(), stored);
        Some(Self {
            answer: links.call(&to, method::COMMANDS, body.clone()),
            group: group.clone(),
            links: links.clone(),
            body,
            to: to.node,
        })
    }

    /// Follows hints until a leader took the entry, or nobody did.
    pub(crate) async fn finish(self) -> Outcome {
        let Self {
            group,
            links,
            body,
            mut to,
            mut answer,
        } = self;
        let mut hint = 0;
        for attempt in 1..=FORWARD_ATTEMPTS_MAX {
            match answer.await.map(Outcome::decode) {
                Ok(Outcome::NotLeader(leader)) => hint = if leader == to { 0 } else { leader },
                Ok(Outcome::Removed(membership)) => {
                    links.removed(&group, Some(membership));
                    return Outcome::Removed(membership);
                }
                Ok(outcome) => return outcome,
                Err(PeerError::NotSent(_)) => hint = 0,
                // Nothing says that the node did not take it before it fell silent.
                Err(PeerError::Unreachable(_) | PeerError::Refused(_)) => return Outcome::Unknown,
            }
            if attempt == FORWARD_ATTEMPTS_MAX {
                break;
            }
            if hint == 0 {
                sleep(PROGRESS_INTERVAL).await;
                hint = match group.known_leader() {
                    leader if leader == to => 0,
                    leader => leader,
                };
            }
            let Some(next) = choose(&group, hint, attempt) else {
                break;
            };
            to = next.node;
            answer = links.call(&next, method::COMMANDS, body.clone());
        }
        Outcome::NotLeader(hint)
    }
}

/// The member to ask: the leader if it is known, or one after the other.
fn choose(group: &Group, leader: u64, attempt: usize) -> Option<Member> {
    let others = group.other_members();
    let known = others.iter().find(|member| member.node == leader);
    match known {
        Some(member) => Some(member.clone()),
        None if others.is_empty() => None,
        None => Some(others[attempt % others.len()].clone()),
    }
}

/// Writes where an entry is to go into the room before it.
fn address(group: u32, results: bool, stored: Bytes) -> Bytes {
    let mut bytes = own(stored);
    bytes[..4].copy_from_slice(&group.to_le_bytes());
    bytes[4..8].copy_from_slice(&u32::from(results).to_le_bytes());
    bytes.freeze()
}

fn own(bytes: Bytes) -> BytesMut {
    bytes
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]))
}

/// Results that other nodes wait for, until the host gives them.
#[derive(Default)]
pub(crate) struct ResultsDesk {
    tickets: AtomicU64,
    waiting: Mutex<BTreeMap<u64, (u32, oneshot::Sender<Bytes>)>>,
}

impl ResultsDesk {
    fn open(&self, group: u32) -> (u64, oneshot::Receiver<Bytes>) {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(ticket, (group, sender));
        (ticket, receiver)
    }

    /// The host gives results; whether somebody still waits.
    pub(crate) fn give(&self, ticket: u64, results: Bytes) -> bool {
        let waiting = self.waiting.lock().remove(&ticket);
        waiting.is_some_and(|(_, waiting)| waiting.send(results).is_ok())
    }

    /// A group is closed here: its host gives no results any more, and who waits hears so at once.
    pub(crate) fn end(&self, group: u32) {
        self.waiting.lock().retain(|_, (of, _)| *of != group);
    }

    fn forget(&self, ticket: u64) {
        self.waiting.lock().remove(&ticket);
    }
}

/// Proposes an entry that another node sent on, and answers what became of it.
pub(crate) async fn take(
    shared: Arc<Shared>,
    from: u64,
    body: Bytes,
) -> Result<Bytes, EngineError> {
    let whole = body.get(STORED_HEADER_BYTES..).is_some_and(is_whole);
    if !whole {
        return Err(EngineError::MalformedFrame("an entry sent on".into()));
    }
    let (id, results) = (word(&body, 0), word(&body, 4) == 1);
    let group = shared.find(id);
    let without = group.as_ref().and_then(|group| group.leads_without(from));
    let outcome = match (group, without) {
        // What was said of its removal did not reach it, or it was ended in the middle of it.
        (Some(_), Some(membership)) if !results => Outcome::Removed(membership),
        (Some(group), _) => propose(&shared, &group, body, results).await,
        (None, _) => Outcome::NotLeader(0),
    };
    Ok(outcome.encode())
}

async fn propose(shared: &Arc<Shared>, group: &Arc<Group>, body: Bytes, results: bool) -> Outcome {
    let elsewhere = || match group.known_leader() {
        leader if leader == group.node => Outcome::NotLeader(0),
        leader => Outcome::NotLeader(leader),
    };
    let Some(raft) = group.raft() else {
        return elsewhere();
    };
    if group.lease.leading_term().is_none() || shared.check_open().is_err() {
        return elsewhere();
    }
    // Entries that wait for the group to wake stay in front of those that come later.
    let turn = group.turn.lock().await;
    rouse(group).await;
    let entry = body.slice(STORED_HEADER_BYTES..);
    let (sender, receiver) = oneshot::channel();
    let callback = Callback::new(move |result| drop(sender.send(result)));
    let stored = stamp(body, &shared.options.world);
    if raft
        .client_write_ff(Commands(stored), Some(callback))
        .await
        .is_err()
    {
        return Outcome::Unknown;
    }
    drop(turn);
    match receiver.await {
        Ok(Ok(_)) if results => ask_host(shared, group.id, entry).await,
        Ok(Ok(_)) => Outcome::Applied(Bytes::new()),
        // Refused before it came into the log.
        Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
            let leader = forward.leader_id.filter(|leader| *leader != group.node);
            Outcome::NotLeader(leader.unwrap_or(0))
        }
        Ok(Err(_)) | Err(_) => Outcome::Unknown,
    }
}

/// The entry with this leader's clock and seed, and room for its stored header.
fn stamp(body: Bytes, world: &World) -> Bytes {
    let mut bytes = own(body);
    let now_ms = world.time_of_day_ms();
    let entry = &mut bytes[STORED_HEADER_BYTES..];
    entry[8..16].copy_from_slice(&now_ms.to_le_bytes());
    entry[16..24].copy_from_slice(&world.random().to_le_bytes());
    bytes[..STORED_HEADER_BYTES].fill(0);
    bytes.freeze()
}

/// The entry is in the event queue: the host is asked, behind it, for its results.
async fn ask_host(shared: &Arc<Shared>, group: u32, entry: Bytes) -> Outcome {
    let (ticket, results) = shared.results.open(group);
    if shared.find(group).is_none() {
        // Closed before the ticket was there to be ended.
        shared.results.forget(ticket);
        return Outcome::Unknown;
    }
    shared.events.push(Event::ResultsWanted {
        group,
        ticket,
        entry,
    });
    match timeout(RESULTS_WAIT, results).await {
        Ok(Ok(results)) => Outcome::Applied(results),
        Ok(Err(_)) | Err(_) => {
            shared.results.forget(ticket);
            Outcome::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_back_as_they_were() {
        let applied = Outcome::Applied(Bytes::from_static(b"results")).encode();
        assert_eq!(applied[..], *b"\x01results");
        assert!(matches!(Outcome::decode(applied), Outcome::Applied(it) if it[..] == *b"results"));
        let hint = Outcome::NotLeader(7).encode();
        assert!(matches!(Outcome::decode(hint), Outcome::NotLeader(7)));
        for bytes in [&b""[..], b"\x02abc", b"\x03", b"\x09"] {
            let outcome = Outcome::decode(Bytes::copy_from_slice(bytes));
            assert!(matches!(outcome, Outcome::Unknown), "{bytes:?}");
        }
    }

    #[test]
    fn who_waits_for_results_of_a_group_that_is_closed_hears_so_at_once() {
        let desk = ResultsDesk::default();
        let (closed, mut ended) = desk.open(7);
        let (open, mut given) = desk.open(8);
        desk.end(7);
        assert!(
            ended
                .try_recv()
                .is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
        assert!(!desk.give(closed, Bytes::new()));
        assert!(desk.give(open, Bytes::from_static(b"results")));
        assert_eq!(given.try_recv().unwrap(), Bytes::from_static(b"results"));
    }
}
