//! openraft's own suite for logs and state machines, on the adapters and a real journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use parking_lot::Mutex;
use raft_kv_journal::{Journal, JournalOptions, Location};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::events::{EventQueue, StateMachineHost};
use crate::frames::{event_type, word};
use crate::group::{Group, GroupParts};
use crate::leases::{Lease, LeaseClock};
use crate::links::Links;
use crate::proposer::Proposer;
use crate::raft::log_store::LogStore;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::TypeConfig;
use crate::sleep::Sleeper;
use crate::statistics::Counters;
use crate::timer::Timer;
use crate::world::World;

/// A host that answers every request for a snapshot at once, from within `wake`.
#[derive(Default)]
struct PromptHost {
    parts: OnceLock<(Weak<EventQueue>, Weak<Group>)>,
    drained: Mutex<Vec<u8>>,
}

impl StateMachineHost for PromptHost {
    fn wake(&self) {
        let Some((queue, group)) = self.parts.get() else {
            return;
        };
        let (Some(queue), Some(group)) = (queue.upgrade(), group.upgrade()) else {
            return;
        };
        let mut bytes = self.drained.lock();
        bytes.clear();
        while queue.drain(&mut bytes, usize::MAX) {}
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (event, later) = rest.split_at(word(rest, 0) as usize);
            if word(event, 4) == event_type::BEGIN_SNAPSHOT {
                let number = u64::from(word(event, 12));
                group.snapshots.piece(group.id, number, b"the").unwrap();
                group.snapshots.piece(group.id, number, b"state").unwrap();
                group.snapshots.finish(number);
            }
            rest = later;
        }
    }
}

struct Builder {
    directory: Option<TempDir>,
    built: AtomicU64,
}

/// Keeps alive what the host holds weakly, and the journal.
struct Guard {
    _queue: Arc<EventQueue>,
    _journal: Journal,
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, StateMachine), StorageError<TypeConfig>> {
        let number = self.built.fetch_add(1, Ordering::SeqCst);
        let location = match &self.directory {
            Some(directory) => Location::Directory(directory.path().join(number.to_string())),
            None => Location::Memory,
        };
        let mut options = JournalOptions::new(location);
        options.reserve_bytes = 4096;
        let journal = Journal::open(options).unwrap();
        let host = Arc::new(PromptHost::default());
        let queue = Arc::new(EventQueue::new(host.clone(), 1 << 20));
        let counters = Arc::new(Counters::default());
        let links = Arc::new(Links::new().0);
        let (second, long) = (Duration::from_secs(1), Duration::from_secs(5));
        let sleeper = Arc::new(Sleeper::new(links.clone(), long, long));
        let timer = Arc::new(Timer::new(second, long, sleeper, World::default()));
        let clock = LeaseClock {
            opened: Instant::now(),
            length: Duration::from_secs(5),
        };
        let group = Arc::new(Group::new(GroupParts {
            id: 7,
            node: 0,
            log: journal.group(7),
            lease: Lease::take(0, clock).unwrap(),
            events: queue.clone(),
            counters: counters.clone(),
            world: World::default(),
            snapshot_log_bytes_min: u64::MAX,
            bound: true,
            elsewhere: None,
            timer,
            guarded_until: Instant::now(),
        }));
        let proposer = Arc::new(Proposer::new(queue.clone(), counters, links));
        host.parts
            .set((Arc::downgrade(&queue), Arc::downgrade(&group)))
            .unwrap();
        let (machine, _ended) = StateMachine::new(group.clone(), queue.clone(), proposer);
        Ok((
            Guard {
                _queue: queue,
                _journal: journal,
            },
            LogStore::new(group),
            machine,
        ))
    }
}

async fn run(directory: Option<TempDir>) {
    let builder = Builder {
        directory,
        built: AtomicU64::new(0),
    };
    Suite::<TypeConfig, LogStore, StateMachine, Builder, Guard>::test_all(builder)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn openrafts_suite_passes_in_memory() {
    run(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn openrafts_suite_passes_in_a_directory() {
    run(Some(TempDir::new().unwrap())).await;
}
