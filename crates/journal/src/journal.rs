//! The journal as a whole: opening, identity, groups, statistics, closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::book::Book;
use crate::clock;
use crate::error::{Completion, JournalError};
use crate::group_log::GroupLog;
use crate::options::{JournalOptions, Location};
use crate::recovery::recover;
use crate::shared::Shared;
use crate::snapshot::SnapshotHome;
use crate::statistics::{Counters, JournalStatistics};
use crate::store::RoundStore;
use crate::store::directory::{DirectoryLock, open_directory};
use crate::store::memory::MemoryStore;
use crate::writer::Writer;

/// The journal of a node. Clones are the same journal; it closes when it is told to, or with the
/// last clone and the last [`GroupLog`].
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    /// The writing thread, unless a simulation steps the writer.
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: Option<ThreadId>,
}

struct Opened {
    store: Box<dyn RoundStore>,
    snapshots: SnapshotHome,
    lock: Option<DirectoryLock>,
}

fn open_location(options: &JournalOptions) -> Result<Opened, JournalError> {
    match &options.location {
        Location::Memory => Ok(Opened {
            store: Box::new(MemoryStore::default()),
            snapshots: SnapshotHome::in_memory(),
            lock: None,
        }),
        Location::Directory(path) => {
            let (lock, store) = open_directory(path, options)?;
            let snapshots = SnapshotHome::in_directory(path)?;
            Ok(Opened {
                store: Box::new(store),
                snapshots,
                lock: Some(lock),
            })
        }
        #[cfg(any(test, feature = "testing"))]
        Location::Simulated(disk) => Ok(Opened {
            store: Box::new(disk.open(options)?),
            snapshots: disk.snapshots(),
            lock: None,
        }),
    }
}

/// Starts the writing thread, or leaves the writer to a simulation.
#[expect(clippy::disallowed_methods, reason = "this is the door to threads")]
fn start(options: &JournalOptions, writer: Writer) -> Result<Option<JoinHandle<()>>, JournalError> {
    #[cfg(any(test, feature = "testing"))]
    let writer = match &options.location {
        Location::Simulated(disk) => match disk.take_over(writer) {
            Some(writer) => writer,
            None => return Ok(None),
        },
        Location::Memory | Location::Directory(_) => writer,
    };
    #[cfg(not(any(test, feature = "testing")))]
    let _ = options;
    let log = tracing::dispatcher::get_default(tracing::Dispatch::clone);
    let thread = std::thread::Builder::new()
        .name("raft-kv-journal".into())
        .spawn(move || tracing::dispatcher::with_default(&log, || writer.run()));
    let thread = thread.map_err(|error| JournalError::io("starting the writing thread", &error))?;
    Ok(Some(thread))
}

/// What was found, and how long reading it took.
fn note_opening(book: &Book, took: Duration) {
    let described = book.groups.values();
    let groups = described.filter(|group| group.descriptor.is_some()).count();
    tracing::info!(
        groups,
        rounds = book.rounds.written,
        bytes = book.rounds.ledger.live_bytes(),
        ms = took.as_millis() as u64,
        "opened the log"
    );
}

impl Journal {
    /// Opens the journal, creating it if it is not there. Reads all that is stored of the log and
    /// checks it.
    pub fn open(options: JournalOptions) -> Result<Journal, JournalError> {
        let opened_at = clock::now();
        let Opened {
            store,
            snapshots,
            lock,
        } = open_location(&options)?;
        let book = recover(store.as_ref())?;
        // What was found may have been written but never made durable before; from now on others
        // build on it.
        store.flush()?;
        store.sync()?;
        store.save_mark(book.rounds.written)?;
        snapshots.check(book.snapshots())?;
        let written = book.rounds.written;
        note_opening(&book, opened_at.elapsed());
        let shared = Arc::new(Shared {
            options,
            book: Mutex::new(book),
            wake: Condvar::new(),
            store: RwLock::new(Some(store)),
            lock: Mutex::new(lock),
            snapshots,
            counters: Counters::default(),
            listeners: Mutex::new(Vec::new()),
        });
        let writer = Writer::new(Arc::clone(&shared), written);
        let thread = start(&shared.options, writer)?;
        let thread_id = thread.as_ref().map(|thread| thread.thread().id());
        Ok(Journal(Arc::new(Inner {
            shared,
            thread: Mutex::new(thread),
            thread_id,
        })))
    }

    /// Writes all that waits, if no thread of the journal does; the time is `now`.
    pub fn work_off(&self, now: Instant) {
        #[cfg(any(test, feature = "testing"))]
        if let Location::Simulated(disk) = &self.0.shared.options.location {
            disk.work_off(now);
        }
        #[cfg(not(any(test, feature = "testing")))]
        let _ = now;
    }

    /// The last saved identity of the node.
    #[must_use]
    pub fn identity(&self) -> Option<Bytes> {
        self.0
            .shared
            .book
            .lock()
            .identity
            .as_ref()
            .map(|mark| mark.value.clone())
    }

    /// Saves the identity of the node.
    pub fn save_identity(&self, identity: Bytes, done: Completion) {
        self.0
            .shared
            .submit(done, |book| book.save_identity(identity));
    }

    /// The groups that have a descriptor and were not removed, in order.
    #[must_use]
    pub fn groups(&self) -> Vec<u32> {
        let book = self.0.shared.book.lock();
        let described = book
            .groups
            .iter()
            .filter(|(_, group)| group.descriptor.is_some());
        let mut groups = described.map(|(number, _)| *number).collect::<Vec<_>>();
        groups.sort_unstable();
        groups
    }

    /// The groups that were removed and left a vote, in order.
    #[must_use]
    pub fn left_over(&self) -> Vec<u32> {
        let book = self.0.shared.book.lock();
        let left = book
            .groups
            .iter()
            .filter(|(_, group)| group.descriptor.is_none() && group.vote.is_some());
        let mut groups = left.map(|(number, _)| *number).collect::<Vec<_>>();
        groups.sort_unstable();
        groups
    }

    /// The log of a group, which springs into being with the first write. Once it is removed, it
    /// takes nothing more; what is asked for later is a new log.
    #[must_use]
    pub fn group(&self, group: u32) -> GroupLog {
        GroupLog::new(Arc::clone(&self.0), group)
    }

    /// Has `listener` called with the first storage error, once; at once if it was there before.
    pub fn on_failure(&self, listener: Box<dyn Fn(JournalError) + Send + Sync>) {
        self.0.shared.listeners.lock().push(listener);
        self.0.shared.tell_listeners();
    }

    /// The first storage error. It is final.
    #[must_use]
    pub fn failure(&self) -> Option<JournalError> {
        self.0.shared.book.lock().failure.clone()
    }

    /// What the journal did, and how large it is.
    #[must_use]
    pub fn statistics(&self) -> JournalStatistics {
        let shared = &self.0.shared;
        let (live_bytes, cached_bytes) = {
            let book = shared.book.lock();
            (book.rounds.ledger.live_bytes(), book.cached_bytes)
        };
        let counters = &shared.counters;
        JournalStatistics {
            rounds: counters.rounds.load(Ordering::Relaxed),
            flushes: counters.flushes.load(Ordering::Relaxed),
            appended_bytes: counters.appended_bytes.load(Ordering::Relaxed),
            live_bytes,
            disk_bytes: shared
                .store
                .read()
                .as_deref()
                .map_or(0, RoundStore::disk_bytes),
            last_flush_nanoseconds: counters.last_flush_nanoseconds.load(Ordering::Relaxed),
            cached_bytes,
        }
    }

    /// Writes what waits, makes it durable, ends the thread and frees the directory. Later changes
    /// are refused with [`JournalError::Closed`]. May be called again, with the same result. Called
    /// from a completion it cannot wait for the end.
    pub fn close(&self) -> Result<(), JournalError> {
        self.0.close();
        self.failure().map_or(Ok(()), Err)
    }

    /// Ends as if the process had died, for tests: what waits is not written, and nothing that was
    /// written is made durable any more. The round that is being written is, as a dying process's
    /// may be. Frees the directory; later changes are refused with [`JournalError::Closed`].
    pub fn abandon(&self) {
        self.0.shared.abandon();
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.shared.book.lock().closing = true;
        self.shared.wake.notify_all();
        #[cfg(any(test, feature = "testing"))]
        if let Location::Simulated(disk) = &self.shared.options.location {
            disk.close_writer(&self.shared);
        }
        if self.thread_id == Some(std::thread::current().id()) {
            // Called by a completion, or the last handle went with one: the thread ends by itself.
            return;
        }
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the journal panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
