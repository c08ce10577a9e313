//! A group's state machine as openraft wants it. The state itself is the host's: applying is
//! putting entries into the event queue, in order, and waits for nothing but room in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, Snapshot};
use tokio::sync::oneshot;

use crate::events::{Event, EventQueue};
use crate::group::Group;
use crate::proposer::Proposer;
use crate::raft::snapshot::{SnapshotBuilder, StoredSnapshot, install, stored_meta};
use crate::raft::types::{Entry, LogId, Payload, SnapshotMeta, StoredMembership, TypeConfig};

/// See the module.
pub(crate) struct StateMachine {
    group: Arc<Group>,
    events: Arc<EventQueue>,
    proposer: Arc<Proposer>,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// Dropped with the state machine: whoever closes the group waits for it.
    _alive: oneshot::Sender<()>,
}

impl StateMachine {
    /// A state machine that has seen nothing yet. The receiver hears of its end.
    pub(crate) fn new(
        group: Arc<Group>,
        events: Arc<EventQueue>,
        proposer: Arc<Proposer>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (alive, ended) = oneshot::channel();
        let machine = Self {
            group,
            events,
            proposer,
            applied: None,
            membership: StoredMembership::default(),
            _alive: alive,
        };
        (machine, ended)
    }

    async fn apply_entry(&mut self, entry: Entry) -> io::Result<()> {
        let log_id = entry.log_id;
        let group = self.group.id;
        let term = log_id.leader_id.term;
        match entry.payload {
            Payload::Normal(commands) => {
                let entry = commands.entry();
                let bytes = entry.len() as u64;
                let event = Event::Entry {
                    group,
                    index: log_id.index,
                    term,
                    entry,
                };
                let pushed = self.events.push_bounded(event, &self.group.stop).await;
                pushed.map_err(|_| io::Error::other("the group is closing"))?;
                self.group.log_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.group
                    .counters
                    .entries_applied
                    .fetch_add(1, Ordering::Relaxed);
            }
            Payload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                self.group.members.lock().commit(self.membership.clone());
                self.pass_by(log_id.index);
            }
            // The first entry of a term. Of this node's present term: all that came before it is
            // in the queue, so the host may be asked whether it has got that far.
            Payload::Blank => {
                self.pass_by(log_id.index);
                let ours = log_id.leader_id.node_id == self.group.node;
                if ours && self.group.lease.leading_term() == Some(term) {
                    self.events.push(Event::LeaderReady { group, term });
                }
            }
        }
        self.applied = Some(log_id);
        self.group.lease.given(log_id.index);
        self.group.given.store(log_id.index, Ordering::SeqCst);
        Ok(())
    }

    /// Tells the host of an entry in which there is nothing for it to do.
    fn pass_by(&self, index: u64) {
        let group = self.group.id;
        self.events.push(Event::PassedBy { group, index });
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = StoredSnapshot;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        // Without the code nothing is applied; what the snapshot stands for is not asked for again.
        if !self.group.bound
            && let Some(meta) = stored_meta(&self.group.log)?
        {
            self.applied = meta.last_log_id;
            self.membership = meta.last_membership;
        }
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.apply_entry(entry).await?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        if let Some(applied) = self.applied {
            self.group.log.release(applied.index);
        }
        if self.group.snapshot_is_due() {
            self.proposer.request_snapshot(&self.group);
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<SnapshotBuilder> {
        let permit = self.proposer.snapshot_permit();
        if permit.is_none() && !force {
            return None;
        }
        self.group.log_bytes.store(0, Ordering::Relaxed);
        Some(SnapshotBuilder::begin(
            self.group.clone(),
            self.events.clone(),
            self.meta(),
            self.proposer.next_snapshot_number(),
            permit,
        ))
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder::begin(
            self.group.clone(),
            self.events.clone(),
            self.meta(),
            self.proposer.next_snapshot_number(),
            None,
        )
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: StoredSnapshot,
    ) -> io::Result<()> {
        install(&self.group, &self.events, meta, snapshot).await?;
        self.applied = meta.last_log_id;
        let given = self.applied.map_or(0, |log_id| log_id.index);
        self.group.given.store(given, Ordering::SeqCst);
        self.membership = meta.last_membership.clone();
        self.group.install_members(self.membership.clone());
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<openraft::type_config::alias::SnapshotOf<TypeConfig, StoredSnapshot>>>
    {
        let log = self.group.log.clone();
        Ok(stored_meta(&log)?.map(|meta| Snapshot {
            meta,
            snapshot: StoredSnapshot(log),
        }))
    }
}
