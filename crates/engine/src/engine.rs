//! The engine as its host sees it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use openraft::Config;
use parking_lot::{Mutex, RwLock};
use raft_kv_journal::{Journal, JournalError, JournalOptions};
use raft_kv_routing::KeyHash;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing::instrument::WithSubscriber;

use crate::batching::Session;
use crate::error::EngineError;
use crate::events::{Event, EventQueue, FailureKind, Reason, StateMachineHost};
use crate::forwarding::ResultsDesk;
use crate::gone::GoneGroups;
use crate::group::Group;
use crate::group_locks::GroupLocks;
use crate::handing_over;
use crate::host_calls::CallDesk;
use crate::identity::NodeIdentity;
use crate::leases::{self, LeaseClock};
use crate::lifecycle::{self, Opening};
use crate::limits::LEASE_MARGIN_DIVISOR;
use crate::links::Links;
use crate::logging::dispatch;
use crate::lost::LostNodes;
use crate::network::{AddressBook, Nodes};
use crate::options::EngineOptions;
use crate::proposer::Proposer;
use crate::routes::Routes;
use crate::sleep::Sleeper;
use crate::statistics::{Counters, EngineStatistics};
use crate::submission::{Groups, Submission};
use crate::timer::Timer;
use crate::world::blocking;

/// A group that the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its number.
    pub group: u32,
    /// What it was created with.
    pub descriptor: Bytes,
}

/// One node's Raft groups. Clones are the same engine; the last one to go stops what still runs.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

/// What the parts of an engine share.
pub(crate) struct Shared {
    pub(crate) options: EngineOptions,
    pub(crate) config: Arc<Config>,
    pub(crate) journal: Journal,
    pub(crate) identity: NodeIdentity,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) locks: GroupLocks,
    pub(crate) running: Mutex<HashMap<u32, oneshot::Receiver<()>>>,
    pub(crate) links: Arc<Links>,
    pub(crate) timer: Arc<Timer>,
    pub(crate) sleeper: Arc<Sleeper>,
    pub(crate) clock: LeaseClock,
    /// Groups that this process had open.
    pub(crate) opened: Mutex<HashSet<u32>>,
    pub(crate) results: ResultsDesk,
    pub(crate) calls: Arc<CallDesk>,
    pub(crate) cluster: AtomicU64,
    pub(crate) lost: LostNodes,
    pub(crate) gone: GoneGroups,
    pub(crate) addresses: Arc<AddressBook>,
    pub(crate) nodes: OnceLock<Arc<Nodes>>,
    /// Listening and belonging to a cluster, one at a time.
    pub(crate) settling: tokio::sync::Mutex<()>,
    groups: RwLock<Groups>,
    routes: Routes,
    submission: Submission,
    pub(crate) runtime: Handle,
    /// What this node's tasks say their lines to.
    pub(crate) log: Dispatch,
    pub(crate) closing: AtomicBool,
    pub(crate) closed: tokio::sync::Mutex<Option<Result<(), EngineError>>>,
}

impl Shared {
    /// Refuses when the engine closes or its storage failed.
    pub(crate) fn check_open(&self) -> Result<(), EngineError> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(EngineError::Closed);
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Why the storage stopped, if it did.
    pub(crate) fn failure(&self) -> Option<EngineError> {
        self.proposer.failure().cloned()
    }

    /// For how long a follower honours the lease of the leader that it heard.
    pub(crate) fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.options.election_timeout_ms)
    }

    /// An open group.
    pub(crate) fn find(&self, id: u32) -> Option<Arc<Group>> {
        let found = self.groups.read().get(&id).cloned();
        found.filter(|group| !group.is_elsewhere())
    }

    /// What is known of a group that has no member here.
    pub(crate) fn find_elsewhere(&self, id: u32) -> Option<Arc<Group>> {
        let found = self.groups.read().get(&id).cloned();
        found.filter(|group| group.is_elsewhere())
    }

    /// Adds a group that opens, unless the engine closes or failed: both look at the groups later.
    pub(crate) fn insert(&self, group: &Arc<Group>) -> Result<(), EngineError> {
        let mut groups = self.groups.write();
        self.check_open()?;
        groups.insert(group.id, group.clone());
        Ok(())
    }

    /// Takes a closed group out.
    pub(crate) fn forget(&self, id: u32) {
        self.groups.write().remove(&id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Group>> {
        let mut groups: Vec<_> = self.groups.read().values().cloned().collect();
        groups.sort_unstable_by_key(|group| group.id);
        groups
    }

    /// The storage stopped: no lease may outlive that, and nothing further is taken.
    fn storage_failed(&self, error: JournalError) {
        let kind = match error {
            JournalError::Full { .. } => FailureKind::Full,
            JournalError::Corrupted { .. } => FailureKind::Corrupted,
            _ => FailureKind::Failed,
        };
        let text = error.to_string();
        self.proposer.fail(EngineError::from(error));
        let groups = self.all();
        groups.iter().for_each(|group| group.lease.end());
        for group in groups {
            self.proposer.refuse_pending(&group, Reason::StorageFailed);
        }
        self.events.push(Event::StorageFailed { kind, text });
        self.end_streams();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.proposer.stop();
        self.timer.stop();
        for group in self.all() {
            group.halt();
            if let Some(raft) = group.raft().cloned() {
                self.runtime.spawn(async move { raft.shutdown().await });
            }
        }
    }
}

impl Engine {
    /// Opens an engine: its directory, its identity, nothing of its groups yet. Blocks.
    pub fn open(
        options: EngineOptions,
        host: Arc<dyn StateMachineHost>,
    ) -> Result<Engine, EngineError> {
        let events = Arc::new(EventQueue::new(host, options.event_queue_bytes_max));
        let log = dispatch(options.log_level, &events);
        with_default(&log, || Self::open_with(options, events, log.clone()))
    }

    fn open_with(
        options: EngineOptions,
        events: Arc<EventQueue>,
        log: Dispatch,
    ) -> Result<Engine, EngineError> {
        let config = Arc::new(options.raft_config()?);
        let runtime = options.world.runtime()?;
        let journal = open_journal(&options)?;
        let identity = NodeIdentity::open(&journal, &options.cluster_name, &options.world)?;
        let counters = Arc::new(Counters::default());
        let (links, errands) = Links::new();
        let links = Arc::new(links);
        let proposer = Proposer::new(events.clone(), counters.clone(), links.clone());
        let proposer = Arc::new(proposer);
        let session = Session {
            node: identity.node,
            incarnation: identity.incarnation,
        };
        let submission = Submission::new(session, proposer.clone(), counters.clone(), &options);
        runtime.spawn(proposer.clone().run().with_subscriber(log.clone()));
        let election_timeout = Duration::from_millis(options.election_timeout_ms);
        let sleep_after = Duration::from_millis(options.sleep_after_ms);
        let sleeper = Arc::new(Sleeper::new(links.clone(), sleep_after, election_timeout));
        let timer = Arc::new(Timer::new(
            Duration::from_millis(options.heartbeat_interval_ms),
            election_timeout,
            sleeper.clone(),
            options.world.clone(),
        ));
        runtime.spawn(timer.clone().run().with_subscriber(log.clone()));
        let clock = LeaseClock {
            opened: Instant::now(),
            length: election_timeout - election_timeout / LEASE_MARGIN_DIVISOR,
        };
        let shared = Arc::new(Shared {
            options,
            config,
            journal,
            cluster: AtomicU64::new(identity.cluster),
            lost: LostNodes::new(identity.lost.clone()),
            gone: GoneGroups::new(identity.existing.clone()),
            identity,
            events,
            counters,
            proposer,
            locks: GroupLocks::default(),
            running: Mutex::default(),
            links,
            results: ResultsDesk::default(),
            calls: Arc::default(),
            addresses: Arc::default(),
            nodes: OnceLock::new(),
            settling: tokio::sync::Mutex::default(),
            timer,
            sleeper,
            clock,
            opened: Mutex::default(),
            groups: RwLock::default(),
            routes: Routes::default(),
            submission,
            runtime,
            log,
            closing: AtomicBool::new(false),
            closed: tokio::sync::Mutex::new(None),
        });
        let failing = Arc::downgrade(&shared);
        shared.journal.on_failure(Box::new(move |error| {
            if let Some(shared) = failing.upgrade() {
                shared.storage_failed(error);
            }
        }));
        let errands = lifecycle::run_errands(Arc::downgrade(&shared), errands);
        shared.runtime.spawn(errands.with_current_subscriber());
        Ok(Engine(shared))
    }

    /// Who this node is.
    #[must_use]
    pub fn identity(&self) -> NodeIdentity {
        NodeIdentity {
            cluster: self.0.cluster(),
            lost: self.0.lost.all(),
            existing: self.0.gone.existing(),
            ..self.0.identity.clone()
        }
    }

    /// The groups that were created here and not removed, open or not.
    #[must_use]
    pub fn stored_groups(&self) -> Vec<StoredGroup> {
        let journal = &self.0.journal;
        let stored = journal.groups().into_iter().filter_map(|group| {
            let descriptor = journal.group(group).state().descriptor?;
            Some(StoredGroup { group, descriptor })
        });
        stored.collect()
    }

    /// Creates a group with this node as its only member, and returns the slot of its lease once
    /// this node leads it. A group that is there with the same descriptor is opened, or left open.
    pub async fn create_group(&self, group: u32, descriptor: Bytes) -> Result<u32, EngineError> {
        check_group_number(group)?;
        let opening = Opening::Alone;
        self.run(lifecycle::create(
            self.0.clone(),
            group,
            descriptor,
            opening,
        ))
        .await
    }

    /// Opens a stored group: gives the host its snapshot and its committed entries, and returns the
    /// slot of its lease; where this node is the only voter, once it leads it.
    pub async fn open_group(&self, group: u32) -> Result<u32, EngineError> {
        let opening = Opening::Stored { bound: true };
        self.run(lifecycle::open(self.0.clone(), group, opening))
            .await
    }

    /// Closes a group, after what is under way; it can be opened again.
    pub async fn close_group(&self, group: u32) -> Result<(), EngineError> {
        self.run(lifecycle::close(self.0.clone(), group)).await
    }

    /// Closes a group and deletes its log and snapshots. Its number is not used again.
    pub async fn remove_group(&self, group: u32) -> Result<(), EngineError> {
        self.run(lifecycle::remove(self.0.clone(), group, None))
            .await
    }

    /// Runs work on the engine's runtime, for a host that has none of its own.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0
            .runtime
            .spawn(work.with_subscriber(self.0.log.clone()));
    }

    /// Runs to the end even if the caller no longer waits.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        let work = work.with_subscriber(self.0.log.clone());
        match self.0.runtime.spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(EngineError::StorageFailed(format!(
                "a task of the engine: {error}"
            ))),
        }
    }

    /// Takes a frame of commands (ARCHITECTURE.md, "Commands") as a whole or not at all.
    pub fn submit(&self, records: &[u8], acknowledged: u64) -> Result<(), EngineError> {
        let shared = &self.0;
        shared.check_open()?;
        let groups = shared.groups.read();
        shared
            .submission
            .submit(records, acknowledged, &groups, &shared.routes)
    }

    /// Appends whole events, up to `max_bytes` but at least one if any waits; whether more waits.
    pub fn drain(&self, into: &mut Vec<u8>, max_bytes: usize) -> bool {
        self.0.events.drain(into, max_bytes)
    }

    /// Sets which groups serve a keyspace.
    pub fn set_routes(
        &self,
        keyspace: u32,
        name: &str,
        starts: &[u32],
        groups: &[u32],
    ) -> Result<(), EngineError> {
        let set = self.0.routes.set(keyspace, name, starts, groups);
        set.map_err(|error| EngineError::InvalidArgument(error.to_string()))
    }

    /// Forgets a keyspace.
    pub fn remove_routes(&self, keyspace: u32) {
        self.0.routes.remove(keyspace);
    }

    /// The hash of a key of a keyspace that has routes.
    #[must_use]
    pub fn hash_key(&self, keyspace: u32, key: &[u8]) -> Option<KeyHash> {
        self.0
            .routes
            .read()
            .get(&keyspace)
            .map(|known| known.hash(key))
    }

    /// The group that serves a hash of a keyspace.
    #[must_use]
    pub fn find_group(&self, keyspace: u32, hash: u32) -> Option<u32> {
        self.0.routes.read().get(&keyspace)?.find(hash)
    }

    /// The host has applied all that came before the event "leader ready" of this term.
    pub fn host_ready(&self, group: u32, term: u64) {
        if let Some(group) = self.0.find(group) {
            group.lease.host_ready(term);
        }
    }

    /// Takes a piece of a snapshot that the host was asked for. `false` asks it to pause until the
    /// event "snapshot may continue".
    pub fn snapshot_piece(
        &self,
        group: u32,
        number: u64,
        piece: &[u8],
    ) -> Result<bool, EngineError> {
        let open = self.0.find(group).ok_or(EngineError::NoSuchGroup(group))?;
        open.snapshots.piece(group, number, piece)
    }

    /// All pieces of the snapshot were given.
    pub fn finish_snapshot(&self, group: u32, number: u64) {
        if let Some(group) = self.0.find(group) {
            group.snapshots.finish(number);
        }
    }

    /// The host cannot give the snapshot. The one before it stays; another is asked for later.
    pub fn fail_snapshot(&self, group: u32, number: u64, reason: &str) {
        if let Some(group) = self.0.find(group) {
            group.snapshots.fail(number, reason);
        }
    }

    /// The lease slots of all groups of the process. They live as long as the process.
    #[must_use]
    pub fn lease_slots(&self) -> &'static [AtomicI32] {
        leases::values()
    }

    /// Counters.
    #[must_use]
    pub fn statistics(&self) -> EngineStatistics {
        let shared = &self.0;
        EngineStatistics {
            groups: shared.groups.read().len() as u64,
            groups_left_over: shared.journal.left_over().len() as u64,
            event_bytes: shared.events.bytes() as u64,
            journal: shared.journal.statistics(),
            ..shared.counters.read()
        }
    }

    /// Refuses new commands, hands what this node leads to others, lets those under way finish for a while, stops all groups and closes
    /// the journal. Events can still be drained. May be called again, with the same result.
    pub async fn close(&self) -> Result<(), EngineError> {
        self.run(close(self.0.clone())).await
    }
}

fn open_journal(options: &EngineOptions) -> Result<Journal, JournalError> {
    let mut journal_options = JournalOptions::new(options.location.clone());
    journal_options.durability = options.durability;
    Journal::open(journal_options)
}

/// Refuses what is no group's number.
pub(crate) fn check_group_number(group: u32) -> Result<(), EngineError> {
    if group == 0 || group > i32::MAX as u32 {
        return Err(EngineError::InvalidArgument(format!(
            "{group} is no group's number"
        )));
    }
    Ok(())
}

async fn close(shared: Arc<Shared>) -> Result<(), EngineError> {
    let mut closed = shared.closed.lock().await;
    if let Some(result) = closed.as_ref() {
        return result.clone();
    }
    shared.closing.store(true, Ordering::SeqCst);
    let groups = shared.all();
    // Groups that still open would otherwise go on to the end of their logs.
    let opening = groups
        .iter()
        .filter(|group| !shared.running.lock().contains_key(&group.id));
    opening.for_each(|group| group.halt());
    handing_over::hand_over(&shared, &groups).await;
    join_all(
        groups
            .iter()
            .map(|group| lifecycle::close(shared.clone(), group.id)),
    )
    .await;
    if let Some(nodes) = shared.nodes.get() {
        nodes.transport().close().await;
    }
    shared.proposer.stop();
    shared.timer.stop();
    let journal = shared.journal.clone();
    let result = match blocking(move || journal.close()).await {
        Ok(result) => result.map_err(EngineError::from),
        Err(error) => Err(EngineError::StorageFailed(format!(
            "closing the journal: {error}"
        ))),
    };
    *closed = Some(result.clone());
    result
}
