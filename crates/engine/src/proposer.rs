//! Takes what waits for the groups and proposes it to openraft.
//!
//! One task for all groups: whoever adds commands puts the group on a list and wakes it. It runs on
//! the same thread as openraft, so a command's way from here to the journal needs no further
//! thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::batching::Proposal;
use crate::error::EngineError;
use crate::events::{Event, EventQueue, Reason};
use crate::forwarding::{Forward, Outcome};
use crate::group::Group;
use crate::limits::{ENTRIES_IN_FLIGHT_MAX, SNAPSHOTS_AT_ONCE_MAX};
use crate::links::Links;
use crate::raft::types::{Callback, Commands, TypeConfig};
use crate::sleep::rouse;
use crate::statistics::Counters;
use crate::world::spawn;

/// See the module.
pub(crate) struct Proposer {
    events: Arc<EventQueue>,
    counters: Arc<Counters>,
    links: Arc<Links>,
    listed: Mutex<Vec<Arc<Group>>>,
    work: Notify,
    stopped: AtomicBool,
    batches: AtomicU64,
    snapshots: AtomicU64,
    snapshot_permits: Arc<Semaphore>,
    failure: OnceLock<EngineError>,
}

impl Proposer {
    /// A proposer without groups.
    pub(crate) fn new(events: Arc<EventQueue>, counters: Arc<Counters>, links: Arc<Links>) -> Self {
        Self {
            events,
            counters,
            links,
            listed: Mutex::default(),
            work: Notify::new(),
            stopped: AtomicBool::new(false),
            batches: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
            snapshot_permits: Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE_MAX)),
            failure: OnceLock::new(),
        }
    }

    /// The number of the next batch of this session.
    pub(crate) fn next_batch(&self) -> u64 {
        self.batches.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the next snapshot.
    pub(crate) fn next_snapshot_number(&self) -> u64 {
        self.snapshots.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Leave to write a snapshot, unless enough are being written.
    pub(crate) fn snapshot_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.snapshot_permits.clone().try_acquire_owned().ok()
    }

    /// Why the storage stopped, if it did.
    pub(crate) fn failure(&self) -> Option<&EngineError> {
        self.failure.get()
    }

    /// The storage stopped; the first reason counts.
    pub(crate) fn fail(&self, error: EngineError) {
        drop(self.failure.set(error));
    }

    /// Has the group looked at; the caller wakes the task.
    pub(crate) fn list(&self, group: &Arc<Group>) {
        if !group.listed.swap(true, Ordering::SeqCst) {
            self.listed.lock().push(group.clone());
        }
    }

    /// Wakes the task.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Has openraft asked for a snapshot of the group.
    pub(crate) fn request_snapshot(&self, group: &Arc<Group>) {
        if !group.snapshot_wanted.swap(true, Ordering::SeqCst) {
            self.list(group);
            self.wake();
        }
    }

    /// Ends the task.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// The task.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut groups = Vec::new();
        while !self.stopped.load(Ordering::SeqCst) {
            self.work.notified().await;
            std::mem::swap(&mut groups, &mut *self.listed.lock());
            for group in groups.drain(..) {
                group.listed.store(false, Ordering::SeqCst);
                self.propose(&group).await;
            }
        }
    }

    async fn propose(self: &Arc<Self>, group: &Arc<Group>) {
        let Some(raft) = group.raft() else {
            // Before openraft runs, commands wait; opening lists the group again.
            if group.is_elsewhere() {
                while let Some(proposal) = Self::next(group) {
                    self.send_on(group, proposal);
                }
            }
            return;
        };
        if group.snapshot_wanted.swap(false, Ordering::SeqCst)
            && raft.trigger().snapshot().await.is_err()
        {
            tracing::debug!(group = group.id, "no snapshot: the group has stopped");
        }
        if group.sleep.is_down() && !group.sends_on() {
            let (proposer, group) = (self.clone(), group.clone());
            spawn(async move {
                rouse(&group).await;
                proposer.list(&group);
                proposer.wake();
            });
            return;
        }
        while let Some(proposal) = Self::next(group) {
            group.sleep.touch();
            if group.sends_on() {
                self.send_on(group, proposal);
                continue;
            }
            self.counters
                .entries_proposed
                .fetch_add(1, Ordering::Relaxed);
            let (stored, settlement) = self.settlement(group, proposal);
            let callback = Callback::new(move |result| settlement.settle(result));
            // When the group has stopped, the callback is dropped, and refuses the commands.
            if raft
                .client_write_ff(Commands(stored), Some(callback))
                .await
                .is_err()
            {
                tracing::debug!(group = group.id, "proposed to a group that has stopped");
            }
        }
    }

    fn settlement(self: &Arc<Self>, group: &Arc<Group>, proposal: Proposal) -> (Bytes, Settlement) {
        let settlement = Settlement {
            proposer: self.clone(),
            group: group.clone(),
            requests: proposal.requests,
            record_bytes: proposal.record_bytes,
            settled: false,
        };
        (proposal.stored, settlement)
    }

    /// Sends an entry to the node that leads. Queued here, in order; what becomes of it is waited
    /// for elsewhere.
    fn send_on(self: &Arc<Self>, group: &Arc<Group>, proposal: Proposal) {
        let (stored, mut settlement) = self.settlement(group, proposal);
        let Some(forward) = Forward::begin(group, &self.links, stored) else {
            return settlement.refuse(Reason::NotLeader, 0, false);
        };
        let events = self.events.clone();
        spawn(async move {
            match forward.finish().await {
                Outcome::Applied(results) => {
                    let group = settlement.group.id;
                    if settlement.group.needs_results() {
                        events.push(Event::Results { group, results });
                    }
                    settlement.release();
                }
                Outcome::NotLeader(leader) => {
                    settlement.refuse(Reason::NotLeader, leader, false);
                }
                Outcome::Removed(_) => settlement.refuse(Reason::NotLeader, 0, false),
                Outcome::Unknown => settlement.refuse(Reason::NotLeader, 0, true),
            }
        });
    }

    /// Takes an entry if one more may be in flight; counts it before the intake is unlocked.
    fn next(group: &Group) -> Option<Proposal> {
        let mut intake = group.intake.lock();
        if group.in_flight.load(Ordering::SeqCst) >= ENTRIES_IN_FLIGHT_MAX {
            return None;
        }
        let proposal = intake.pending.take()?;
        group.in_flight.fetch_add(1, Ordering::SeqCst);
        Some(proposal)
    }

    /// Gives back what commands took of the limits.
    pub(crate) fn release(&self, commands: usize, record_bytes: usize) {
        self.counters
            .pending_commands
            .fetch_sub(commands as u64, Ordering::SeqCst);
        self.counters
            .pending_bytes
            .fetch_sub(record_bytes as u64, Ordering::SeqCst);
    }

    /// Refuses commands that were taken and never proposed.
    pub(crate) fn refuse_pending(&self, group: &Group, reason: Reason) {
        for proposal in group.take_pending() {
            self.release(proposal.requests.len(), proposal.record_bytes);
            self.refuse(group.id, reason, 0, proposal.requests, false);
        }
        group.settled.notify_waiters();
    }

    /// Tells the host of refused commands.
    pub(crate) fn refuse(
        &self,
        group: u32,
        reason: Reason,
        leader: u64,
        requests: Vec<u64>,
        unknown: bool,
    ) {
        if requests.is_empty() {
            return;
        }
        self.counters
            .commands_refused
            .fetch_add(requests.len() as u64, Ordering::Relaxed);
        self.events.push(Event::CommandsRefused {
            group,
            reason,
            leader,
            requests,
            unknown,
        });
    }
}

/// One proposed entry until it is applied or refused. Dropped when its group stops before that.
struct Settlement {
    proposer: Arc<Proposer>,
    group: Arc<Group>,
    requests: Vec<u64>,
    record_bytes: usize,
    settled: bool,
}

impl Settlement {
    fn settle(mut self, result: ClientWriteResult<TypeConfig>) {
        match result {
            Ok(_) => self.release(),
            // Refused before it came into the log.
            Err(ClientWriteError::ForwardToLeader(forward)) => {
                self.refuse(Reason::NotLeader, forward.leader_id.unwrap_or(0), false);
            }
            Err(_) => self.refuse(Reason::NotLeader, 0, true),
        }
    }

    fn refuse(&mut self, reason: Reason, leader: u64, unknown: bool) {
        let requests = std::mem::take(&mut self.requests);
        let count = requests.len();
        self.proposer
            .refuse(self.group.id, reason, leader, requests, unknown);
        self.release_count(count);
    }

    fn release(&mut self) {
        self.release_count(self.requests.len());
    }

    fn release_count(&mut self, commands: usize) {
        self.settled = true;
        self.proposer.release(commands, self.record_bytes);
        self.group.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !self.group.intake.lock().pending.is_empty() {
            self.proposer.list(&self.group);
            self.proposer.wake();
        }
        self.group.settled.notify_waiters();
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if !self.settled {
            let failed = self.proposer.failure().is_some();
            let reason = if failed {
                Reason::StorageFailed
            } else {
                Reason::Closed
            };
            self.refuse(reason, 0, true);
        }
    }
}
