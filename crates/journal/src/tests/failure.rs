//! The first storage error is final.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::{append_durably, durable, on};
use crate::{Journal, JournalError, JournalOptions, Location, SimulatedDisk};

fn count_failures(journal: &Journal) -> Arc<AtomicUsize> {
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    journal.on_failure(Box::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    count
}

#[test]
fn a_failed_flush_is_never_tried_again() {
    let disk = SimulatedDisk::new();
    let journal = Journal::open(on(&disk)).unwrap();
    append_durably(&journal, 1, 0, 3, 10);
    let failures = count_failures(&journal);
    disk.fail_one_sync_after(0);
    let log = journal.group(1);
    let failed = durable(|done| log.append(3, vec![Bytes::from("lost")], done));
    assert!(matches!(failed, Err(JournalError::Failed { .. })));
    let syncs = disk.syncs();
    for _ in 0..3 {
        let failed = durable(|done| log.save_vote(Bytes::from("vote"), done));
        assert!(matches!(failed, Err(JournalError::Failed { .. })));
    }
    let removed = durable(|done| journal.group(2).remove(done));
    assert!(matches!(removed, Err(JournalError::Failed { .. })));
    assert!(log.begin_snapshot().is_err());
    assert!(journal.close().is_err());
    assert!(journal.close().is_err());
    assert_eq!(disk.syncs(), syncs, "no flush after the failed one");
    assert_eq!(failures.load(Ordering::SeqCst), 1);
    assert_eq!(
        count_failures(&journal).load(Ordering::SeqCst),
        1,
        "told at once"
    );
    disk.crash(0, 0);
    let journal = Journal::open(on(&disk)).unwrap();
    assert_eq!(journal.group(1).state().next_index, 3);
    assert_eq!(journal.group(1).state().vote, None);
}

#[test]
fn a_full_disk_is_called_so_and_loses_nothing_acknowledged() {
    for writes in 0..8 {
        let disk = SimulatedDisk::new();
        let journal = Journal::open(on(&disk)).unwrap();
        disk.fail_writes_after(writes, true);
        let mut acknowledged = 0;
        let error = loop {
            let entries = vec![super::entry(1, acknowledged, 0, 40_000)];
            match durable(|done| journal.group(1).append(acknowledged, entries, done)) {
                Ok(()) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        drop(journal);
        disk.crash(usize::MAX, 0);
        let journal = Journal::open(on(&disk)).unwrap();
        assert_eq!(journal.group(1).state().next_index, acknowledged);
    }
}

#[test]
fn one_flush_serves_many_groups() {
    let disk = SimulatedDisk::new();
    let journal = Journal::open(on(&disk)).unwrap();
    let (held, release) = std::sync::mpsc::channel::<()>();
    let (sender, done) = std::sync::mpsc::channel();
    // The writing thread stands still in the first completion while all others come in.
    let hold = Box::new(move |_| assert!(release.recv().is_err()));
    journal.group(1).save_vote(Bytes::from("first"), hold);
    while journal.statistics().rounds == 0 {
        std::thread::yield_now();
    }
    let before = journal.statistics();
    for group in 0..500 {
        let sender = sender.clone();
        let note = Box::new(move |result: Result<(), JournalError>| {
            result.unwrap();
            sender.send(group).unwrap();
        });
        journal
            .group(group)
            .append(0, vec![Bytes::from("entry")], note);
    }
    drop(held);
    let acknowledged = done.iter().take(500).collect::<Vec<_>>();
    assert_eq!(acknowledged, (0..500).collect::<Vec<_>>());
    let after = journal.statistics();
    assert_eq!(
        (after.rounds - before.rounds, after.flushes - before.flushes),
        (1, 1)
    );
}

#[test]
fn committed_marks_ride_along_or_wait_for_an_idle_second() {
    let disk = SimulatedDisk::new();
    let journal = Journal::open(on(&disk)).unwrap();
    append_durably(&journal, 1, 0, 1, 10);
    let before = journal.statistics();
    let log = journal.group(1);
    (0..100).for_each(|mark| log.save_committed(Bytes::from(format!("mark {mark}"))));
    durable(|done| log.save_vote(Bytes::from("vote"), done)).unwrap();
    let after = journal.statistics();
    assert_eq!(after.rounds - before.rounds, 1);
    log.save_committed(Bytes::from("by itself"));
    while journal.statistics().rounds == after.rounds {
        crate::clock::pause(std::time::Duration::from_millis(20));
    }
    disk.crash(0, 0);
    drop((journal, log));
    let journal = Journal::open(on(&disk)).unwrap();
    assert_eq!(journal.group(1).state().committed.unwrap(), "by itself");
}

#[test]
fn impossible_requests_are_refused_alone() {
    let journal = Journal::open(JournalOptions::new(Location::Memory)).unwrap();
    append_durably(&journal, 1, 5, 3, 10);
    let log = journal.group(1);
    let gap = durable(|done| log.append(9, vec![Bytes::from("gap")], done));
    assert!(matches!(gap, Err(JournalError::Failed { .. })));
    durable(|done| log.purge(6, Bytes::from("six"), done)).unwrap();
    let purged = durable(|done| log.append(6, vec![Bytes::from("purged")], done));
    assert!(matches!(purged, Err(JournalError::Failed { .. })));
    assert!(journal.failure().is_none());
    append_durably(&journal, 1, 8, 1, 10);
    assert_eq!((log.state().first_index, log.state().next_index), (7, 9));
    durable(|done| log.remove(done)).unwrap();
    let removed = durable(|done| log.save_vote(Bytes::new(), done));
    assert!(matches!(removed, Err(JournalError::Closed)));
    assert_eq!(log.state(), crate::GroupState::default());

    // A group that comes back has a new log; the old one neither sees nor changes it.
    let again = journal.group(1);
    durable(|done| again.save_vote(Bytes::from("new"), done)).unwrap();
    append_durably(&journal, 1, 3, 2, 10);
    let late = durable(|done| log.save_vote(Bytes::from("late"), done));
    assert!(matches!(late, Err(JournalError::Closed)));
    assert!(log.begin_snapshot().is_err());
    log.save_committed(Bytes::from("late"));
    durable(|done| log.remove(done)).unwrap_err();
    assert_eq!(log.state(), crate::GroupState::default());
    let state = again.state();
    assert_eq!(state.vote, Some(Bytes::from("new")));
    assert_eq!(
        (state.first_index, state.next_index, state.committed),
        (3, 5, None)
    );
}

#[test]
fn entries_leave_memory_when_they_are_released_or_too_many() {
    let disk = SimulatedDisk::new();
    let mut options = on(&disk);
    options.cached_bytes_max = 100_000;
    let journal = Journal::open(options).unwrap();
    append_durably(&journal, 1, 0, 50, 1000);
    let all = journal.statistics().cached_bytes;
    assert!(all >= 50_000);
    let log = journal.group(1);
    log.release(24);
    let half = journal.statistics().cached_bytes;
    assert!((25_000..all).contains(&half), "{half}");
    append_durably(&journal, 1, 50, 100, 1000);
    append_durably(&journal, 1, 150, 1, 10);
    assert!(journal.statistics().cached_bytes <= 100_000);
    let entries = log.entries(0..1000, usize::MAX).unwrap();
    let expected = (0..150)
        .map(|i| super::entry(1, i, 0, 1000))
        .collect::<Vec<_>>();
    assert_eq!(entries[..150], expected);
}
