//! Opening, closing and removing groups.
//!
//! One of these at a time for each group; different groups side by side.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use raft_kv_journal::GroupLog;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::beginning::{begin, is_untouched};
use crate::engine::Shared;
use crate::error::EngineError;
use crate::events::{Event, Reason};
use crate::group::{Group, GroupParts};
use crate::leases::Lease;
use crate::limits::{CLOSE_WAIT, LEASE_SLOTS_MAX, STOP_WAIT};
use crate::links::Errand;
use crate::network::{LogId, Member, Response};
use crate::raft::codec::encode_vote;
use crate::raft::log_store::{LogStore, durable, last_log_id};
use crate::raft::network::Ways;
use crate::raft::remains::{Remains, Removal, decode_floor, decode_stored_vote};
use crate::raft::state_machine::StateMachine;
use crate::raft::types::{Raft, Vote};
use crate::raft::wire::log_id_in;

/// How a group is opened.
#[derive(Clone, Debug)]
pub(crate) enum Opening {
    /// With this node as its only member, if it has none yet.
    Alone,
    /// With these members, if it has none yet.
    Members(Vec<Member>),
    /// As a member that a leader has here, and that has nothing yet.
    Wanted,
    /// As it was stored.
    Stored { bound: bool },
}

impl Opening {
    fn bound(&self) -> bool {
        match self {
            Opening::Alone | Opening::Members(_) => true,
            Opening::Wanted => false,
            Opening::Stored { bound } => *bound,
        }
    }

    /// Whether it gives the group its first members.
    fn founds(&self) -> bool {
        matches!(self, Opening::Alone | Opening::Members(_))
    }
}

/// An open group, and how to hear of the end of its state machine.
struct Running {
    group: Arc<Group>,
    ended: oneshot::Receiver<()>,
}

/// Creates a group, or opens the one that is there with the same descriptor.
pub(crate) async fn create(
    shared: Arc<Shared>,
    id: u32,
    descriptor: Bytes,
    opening: Opening,
) -> Result<u32, EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    let log = shared.journal.group(id);
    match log.state().descriptor {
        Some(stored) if stored != descriptor => return Err(EngineError::AlreadyAdded(id)),
        Some(_) => {}
        None => {
            let wanted = matches!(opening, Opening::Wanted);
            let gone = shared.gone.contains(id);
            if gone && wanted {
                return Err(EngineError::NoSuchGroup(id));
            }
            if !wanted && (gone || remains(&log)?.is_some()) {
                // Its number is not used again, and members come back by their leader.
                return Err(EngineError::AlreadyAdded(id));
            }
            if log.state().vote.is_none() && wanted {
                // Marks the member as one that waits for its leader, and never begins by itself.
                let nobody = encode_vote(&Vote::new(0, 0));
                let saved = durable(|done| log.save_vote(nobody, done)).await;
                saved.map_err(|error| EngineError::StorageFailed(error.to_string()))?;
            }
            save_descriptor(&log, descriptor).await?;
        }
    }
    if let Some(group) = shared.find(id) {
        let waits = opening.founds() && is_untouched(&log)?;
        if !waits && (group.bound || !opening.bound()) {
            return Ok(group.lease.slot());
        }
        // It was opened without its code, or as a member that waits for a leader which will not
        // come.
        close_to_reopen(&shared, id).await;
    }
    open_held(&shared, id, log, opening).await
}

/// A leader has a member here that this node does not know.
pub(crate) async fn create_wanted(
    shared: Arc<Shared>,
    id: u32,
    membership: Option<LogId>,
    descriptor: Bytes,
) -> Result<(), EngineError> {
    let membership = membership.map(|membership| membership.index);
    if let Some(remains) = remains(&shared.journal.group(id))?
        && !remains.may_return(membership)
    {
        return Err(EngineError::NoSuchGroup(id));
    }
    // A group that is stored is the host's to open.
    if shared.find(id).is_some() || shared.journal.group(id).state().descriptor.is_some() {
        return Ok(());
    }
    create(shared.clone(), id, descriptor.clone(), Opening::Wanted).await?;
    let group = id;
    tracing::info!(group, "was made a member by a leader");
    shared
        .events
        .push(Event::MemberWanted { group, descriptor });
    Ok(())
}

pub(crate) fn damaged(error: impl ToString) -> EngineError {
    EngineError::DataCorrupted(error.to_string())
}

/// What stays of a member that was removed; `None` where there is one, or never was.
fn remains(log: &GroupLog) -> Result<Option<Remains>, EngineError> {
    let state = log.state();
    if state.descriptor.is_some() {
        return Ok(None);
    }
    let remains = state.vote.map(Remains::decode).transpose();
    Ok(remains.map_err(damaged)?.flatten())
}

async fn save_descriptor(log: &GroupLog, descriptor: Bytes) -> Result<(), EngineError> {
    let (sender, receiver) = oneshot::channel();
    log.save_descriptor(
        descriptor,
        Box::new(move |result| drop(sender.send(result))),
    );
    receiver
        .await
        .map_err(|_| EngineError::Closed)?
        .map_err(EngineError::from)
}

/// Opens a stored group.
pub(crate) async fn open(
    shared: Arc<Shared>,
    id: u32,
    opening: Opening,
) -> Result<u32, EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    if shared.find(id).is_some() {
        return Err(EngineError::AlreadyAdded(id));
    }
    let log = shared.journal.group(id);
    if log.state().descriptor.is_none() {
        return Err(EngineError::NoSuchGroup(id));
    }
    open_held(&shared, id, log, opening).await
}

/// The host has the group's code now, or had it when the group was opened.
pub(crate) async fn bind(shared: Arc<Shared>, id: u32) -> Result<u32, EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    let log = shared.journal.group(id);
    if log.state().descriptor.is_none() {
        return Err(EngineError::NoSuchGroup(id));
    }
    if let Some(group) = shared.find(id) {
        if group.bound {
            return Ok(group.lease.slot());
        }
        // Opened anew, the group gives the host its snapshot and its entries from the beginning.
        close_held(&shared, id).await;
    }
    open_held(&shared, id, log, Opening::Stored { bound: true }).await
}

/// Until when the member gives no votes: openraft forgets at a restart which lease it acknowledged.
fn guarded_until(shared: &Shared, id: u32, log: &GroupLog) -> Result<Instant, EngineError> {
    let vote = log.state().vote.map(decode_stored_vote).transpose();
    let vote = vote.map_err(damaged)?;
    let was_open = !shared.opened.lock().insert(id);
    let unguarded = shared.options.world.traps().forgets_vote_lease;
    if unguarded || vote.is_none_or(|vote| vote.leader_id().term == 0) {
        return Ok(Instant::now());
    }
    let since = if was_open {
        Instant::now()
    } else {
        shared.clock.opened
    };
    Ok(since + shared.election_timeout())
}

async fn open_held(
    shared: &Arc<Shared>,
    id: u32,
    log: GroupLog,
    opening: Opening,
) -> Result<u32, EngineError> {
    let guarded_until = guarded_until(shared, id, &log)?;
    let lease = Lease::take(shared.identity.node, shared.clock).ok_or_else(|| {
        EngineError::Overloaded(format!("{LEASE_SLOTS_MAX} groups are open in this process"))
    })?;
    if let Some(elsewhere) = shared.find_elsewhere(id) {
        // From now on there is a member here, and commands take the way through it.
        shared
            .proposer
            .refuse_pending(&elsewhere, Reason::NotLeader);
        shared.forget(id);
    }
    // The host starts this group anew; what a former opening left is of no use to it.
    shared.events.forget(id);
    let group = Arc::new(Group::new(GroupParts {
        id,
        node: shared.identity.node,
        log,
        lease,
        events: shared.events.clone(),
        counters: shared.counters.clone(),
        world: shared.options.world.clone(),
        snapshot_log_bytes_min: shared.options.snapshot_log_bytes_min,
        bound: opening.bound(),
        elsewhere: None,
        timer: shared.timer.clone(),
        guarded_until,
    }));
    // From here on the host can answer for the group, and closing the engine finds it.
    shared.insert(&group)?;
    match start(shared, &group, &opening).await {
        Ok(ended) => {
            shared.running.lock().insert(id, ended);
            Ok(group.lease.slot())
        }
        Err((error, ended)) => {
            stop(shared, Running { group, ended }).await;
            Err(shared.failure().unwrap_or(error))
        }
    }
}

async fn start(
    shared: &Arc<Shared>,
    group: &Arc<Group>,
    opening: &Opening,
) -> Result<oneshot::Receiver<()>, (EngineError, oneshot::Receiver<()>)> {
    let (machine, ended) = StateMachine::new(
        group.clone(),
        shared.events.clone(),
        shared.proposer.clone(),
    );
    let led = async {
        let raft = run(shared, group, machine).await?;
        group.set_raft(raft.clone());
        begin(shared, group, &raft, opening).await?;
        shared.proposer.list(group);
        shared.proposer.wake();
        Ok(())
    };
    match led.await {
        Ok(()) => Ok(ended),
        Err(error) => Err((error, ended)),
    }
}

async fn run(
    shared: &Arc<Shared>,
    group: &Arc<Group>,
    machine: StateMachine,
) -> Result<Raft, EngineError> {
    let store = LogStore::new(group.clone());
    let ways = Ways::new(group.clone(), shared.links.clone());
    let raft = Raft::new(group.node, shared.config.clone(), ways, store, machine).await;
    raft.map_err(|error| EngineError::StorageFailed(format!("group {}: {error}", group.id)))
}

/// Closes a group; nothing happens when it is not open.
pub(crate) async fn close(shared: Arc<Shared>, id: u32) -> Result<(), EngineError> {
    let _held = shared.locks.hold(id).await;
    close_held(&shared, id).await;
    Ok(())
}

async fn close_held(shared: &Arc<Shared>, id: u32) {
    let Some(group) = shared.find(id) else { return };
    let Some(ended) = shared.running.lock().remove(&id) else {
        return;
    };
    group.close_intake();
    if shared.proposer.failure().is_none() {
        // Commands that take longer are refused with an unknown outcome.
        drop(timeout(CLOSE_WAIT, group.wait_until_settled()).await);
    }
    stop(shared, Running { group, ended }).await;
}

/// Stops a group in the middle of whatever it does.
pub(crate) async fn kill(shared: &Arc<Shared>, id: u32) {
    let Some(group) = shared.find(id) else { return };
    let Some(ended) = shared.running.lock().remove(&id) else {
        return;
    };
    group.close_intake();
    stop(shared, Running { group, ended }).await;
}

/// Closes a group that is opened anew at once: whoever sent commands that wait sends them again.
pub(crate) async fn close_to_reopen(shared: &Arc<Shared>, id: u32) {
    let Some(group) = shared.find(id) else { return };
    let Some(ended) = shared.running.lock().remove(&id) else {
        return;
    };
    shared.proposer.refuse_pending(&group, Reason::NotLeader);
    stop(shared, Running { group, ended }).await;
}

async fn stop(shared: &Arc<Shared>, running: Running) {
    let Running { group, ended } = running;
    group.halt();
    if let Some(raft) = group.raft()
        && timeout(STOP_WAIT, raft.shutdown()).await.is_err()
    {
        tracing::warn!(group = group.id, "the group has not stopped in time");
    }
    // An error says that the state machine was dropped: that is what is waited for.
    if timeout(STOP_WAIT, ended).await.is_err() {
        tracing::warn!(
            group = group.id,
            "the group's state machine has not stopped in time"
        );
    }
    let failed = shared.proposer.failure().is_some();
    let reason = if failed {
        Reason::StorageFailed
    } else {
        Reason::Closed
    };
    shared.proposer.refuse_pending(&group, reason);
    shared.forget(group.id);
    shared.results.end(group.id);
}

/// Closes a group and deletes what is stored of it. `membership` is the one that leaves this node
/// out; without it the group is gone for good.
pub(crate) async fn remove(
    shared: Arc<Shared>,
    id: u32,
    membership: Option<LogId>,
) -> Result<(), EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    close_held(&shared, id).await;
    let log = shared.journal.group(id);
    let state = log.state();
    if state.descriptor.is_none() {
        return Ok(());
    }
    let removal = match membership {
        Some(membership) => Removal::LeftOut(Some(log_id_in(membership))),
        None => Removal::Gone,
    };
    let failed = |error: std::io::Error| {
        let stopped = shared.failure();
        stopped.unwrap_or_else(|| EngineError::StorageFailed(error.to_string()))
    };
    if shared.gone.contains(id) {
        // That it is not to come back is known without anything that it leaves.
        return durable(|done| log.remove(done)).await.map_err(failed);
    }
    let vote = state.vote.clone().map(decode_stored_vote).transpose();
    let last_log = last_log_id(&log).await.map_err(damaged)?;
    let remains = Remains {
        vote: vote.map_err(damaged)?.unwrap_or_else(|| Vote::new(0, 0)),
        // A member that was removed before it caught up is held to what it had at first.
        last_log: last_log.max(state.vote.as_ref().and_then(decode_floor)),
        removal,
    };
    let removed = durable(|done| log.remove_but(remains.encode(), done)).await;
    removed.map_err(failed)
}

/// Has commands for a group that has no member here sent to these members, or no longer if there
/// are none.
pub(crate) async fn set_elsewhere(
    shared: Arc<Shared>,
    id: u32,
    members: Vec<Member>,
) -> Result<(), EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    if shared.find(id).is_some() {
        return Err(EngineError::AlreadyAdded(id));
    }
    if let Some(known) = shared.find_elsewhere(id) {
        if members.is_empty() {
            shared.proposer.refuse_pending(&known, Reason::NoSuchGroup);
            shared.forget(id);
        } else {
            *known.elsewhere.lock() = Some(members);
        }
        return Ok(());
    }
    if members.is_empty() {
        return Ok(());
    }
    let lease = Lease::take(shared.identity.node, shared.clock).ok_or_else(|| {
        EngineError::Overloaded(format!("{LEASE_SLOTS_MAX} groups are open in this process"))
    })?;
    let group = Group::new(GroupParts {
        id,
        node: shared.identity.node,
        log: shared.journal.group(id),
        lease,
        events: shared.events.clone(),
        counters: shared.counters.clone(),
        world: shared.options.world.clone(),
        snapshot_log_bytes_min: shared.options.snapshot_log_bytes_min,
        bound: false,
        elsewhere: Some(members),
        timer: shared.timer.clone(),
        guarded_until: Instant::now(),
    });
    shared.insert(&Arc::new(group))
}

/// Sees to what messages of other nodes said.
pub(crate) async fn run_errands(
    shared: Weak<Shared>,
    mut errands: mpsc::UnboundedReceiver<Errand>,
) {
    while let Some(Errand::Removed { group, membership }) = errands.recv().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(known) = shared.find(group) else {
            continue;
        };
        let ours = {
            let members = known.members.lock();
            let effective = members.effective().and_then(|stored| *stored.log_id());
            effective.map_or(0, |log_id| log_id.index)
        };
        if membership.is_none_or(|membership| membership.index <= ours) {
            // What this node knows is newer than what it was told. That a group is gone says the
            // host alone: another node's word is not enough to give up what may be the last copy.
            continue;
        }
        match remove(shared.clone(), group, membership).await {
            Ok(()) => {
                tracing::info!(group, "is no member any more, and deleted what it had");
                shared.events.push(Event::MemberRemoved { group });
            }
            Err(error) => tracing::warn!(group, %error, "a removed member stays"),
        }
    }
}

impl Shared {
    /// What to answer for a group that is not open here.
    pub(crate) fn unknown(&self, group: u32) -> Response {
        let log = self.journal.group(group);
        if self.gone.contains(group) && log.state().descriptor.is_none() {
            return Response::GroupRemoved { membership: None };
        }
        let removal = remains(&log).ok().flatten();
        match removal.map(|remains| remains.removal) {
            Some(Removal::Gone) => Response::GroupRemoved { membership: None },
            _ => Response::UnknownGroup,
        }
    }
}
