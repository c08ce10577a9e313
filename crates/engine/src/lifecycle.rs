//! Opening, closing and removing groups.
//!
//! One of these at a time for each group; different groups side by side.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use openraft::EmptyNode;
use parking_lot::Mutex;
use raft_kv_journal::GroupLog;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::Shared;
use crate::error::EngineError;
use crate::events::Reason;
use crate::group::{Group, GroupParts};
use crate::leases::Lease;
use crate::limits::{CLOSE_WAIT, LEAD_WAIT, LEASE_SLOTS_MAX, STOP_WAIT};
use crate::raft::log_store::{LogStore, durable};
use crate::raft::network::NoNetwork;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::Raft;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// One lock for each group that something is being done with.
#[derive(Default)]
pub(crate) struct GroupLocks(Mutex<HashMap<u32, Lock>>);

impl GroupLocks {
    async fn hold(&self, group: u32) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock();
            locks.retain(|id, lock| *id == group || Arc::strong_count(lock) > 1);
            locks.entry(group).or_default().clone()
        };
        lock.lock_owned().await
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
) -> Result<u32, EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    let log = shared.journal.group(id);
    match log.state().descriptor {
        Some(stored) if stored != descriptor => return Err(EngineError::AlreadyAdded(id)),
        Some(_) => {}
        None => save_descriptor(&log, descriptor).await?,
    }
    if let Some(group) = shared.find(id) {
        return Ok(group.lease.slot());
    }
    open_held(&shared, id, log).await
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
pub(crate) async fn open(shared: Arc<Shared>, id: u32) -> Result<u32, EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    if shared.find(id).is_some() {
        return Err(EngineError::AlreadyAdded(id));
    }
    let log = shared.journal.group(id);
    if log.state().descriptor.is_none() {
        return Err(EngineError::NoSuchGroup(id));
    }
    open_held(&shared, id, log).await
}

async fn open_held(shared: &Arc<Shared>, id: u32, log: GroupLog) -> Result<u32, EngineError> {
    let lease = Lease::take().ok_or_else(|| {
        EngineError::Overloaded(format!("{LEASE_SLOTS_MAX} groups are open in this process"))
    })?;
    // The host starts this group anew; what a former opening left is of no use to it.
    shared.events.forget(id);
    let group = Arc::new(Group::new(GroupParts {
        id,
        node: shared.identity.node,
        log,
        lease,
        events: shared.events.clone(),
        counters: shared.counters.clone(),
        snapshot_log_bytes_min: shared.options.snapshot_log_bytes_min,
    }));
    // From here on the host can answer for the group, and closing the engine finds it.
    shared.insert(&group)?;
    match start(shared, &group).await {
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
) -> Result<oneshot::Receiver<()>, (EngineError, oneshot::Receiver<()>)> {
    let (machine, ended) = StateMachine::new(
        group.clone(),
        shared.events.clone(),
        shared.proposer.clone(),
    );
    let led = async {
        let raft = run(shared, group, machine).await?;
        group.set_raft(raft.clone());
        lead(group, &raft).await?;
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
    let raft = Raft::new(group.node, shared.config.clone(), NoNetwork, store, machine).await;
    raft.map_err(|error| EngineError::StorageFailed(format!("group {}: {error}", group.id)))
}

/// Makes this node the group's first member if it has none, and its leader.
async fn lead(group: &Arc<Group>, raft: &Raft) -> Result<(), EngineError> {
    let failed = |error: String| EngineError::StorageFailed(format!("group {}: {error}", group.id));
    if !raft
        .is_initialized()
        .await
        .map_err(|error| failed(error.to_string()))?
    {
        let members = BTreeMap::from([(group.node, EmptyNode::new())]);
        raft.initialize(members)
            .await
            .map_err(|error| failed(error.to_string()))?;
    }
    let node = group.node;
    let sole_voter = raft
        .with_raft_state(move |state| {
            let voters: Vec<u64> = state
                .membership_state
                .effective()
                .membership()
                .voter_ids()
                .collect();
            voters == [node]
        })
        .await
        .map_err(|error| failed(error.to_string()))?;
    group.lease.set_sole_voter(sole_voter);
    raft.trigger()
        .elect(true)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let led = timeout(LEAD_WAIT, group.wait_to_lead()).await;
    led.map_err(|_| EngineError::NoLeader(group.id))
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
}

/// Closes a group and deletes what is stored of it.
pub(crate) async fn remove(shared: Arc<Shared>, id: u32) -> Result<(), EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    close_held(&shared, id).await;
    let log = shared.journal.group(id);
    let state = log.state();
    if state.descriptor.is_none() && state.vote.is_none() && state.next_index == 0 {
        return Ok(());
    }
    let removed = durable(|done| log.remove(done)).await;
    removed.map_err(|error| {
        shared
            .failure()
            .unwrap_or_else(|| EngineError::StorageFailed(error.to_string()))
    })
}
