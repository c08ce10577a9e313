//! Old rounds go, and what is needed of them stays.

use super::model::Model;
use super::{append_durably, durable, entry, in_folder, on, unheeded};
use crate::{Journal, SimulatedDisk};

use bytes::Bytes;

const MIB: u64 = 1024 * 1024;

/// A slow group with little data, and a busy one that is purged again and again.
fn churn(journal: &Journal, turns: u64) {
    let busy = journal.group(2);
    let from = busy.state().next_index;
    for turn in 0..turns {
        let first = from + turn * 10;
        append_durably(journal, 2, first, 10, 10_000);
        busy.purge(first + 8, Bytes::from("purged"), unheeded());
    }
    durable(|done| busy.save_vote(Bytes::from("vote"), done)).unwrap();
}

fn slow_group(journal: &Journal) {
    append_durably(journal, 1, 0, 20, 1000);
    let slow = journal.group(1);
    slow.save_committed(Bytes::from("committed"));
    slow.save_descriptor(Bytes::from("descriptor"), unheeded());
    slow.purge(3, Bytes::from("four"), unheeded());
    durable(|done| slow.save_vote(Bytes::from("vote"), done)).unwrap();
    durable(|done| journal.save_identity(Bytes::from("identity"), done)).unwrap();
}

#[test]
fn a_slow_group_survives_the_rounds_it_was_in() {
    let disk = SimulatedDisk::new();
    let mut options = on(&disk);
    options.clean_dead_bytes_min = MIB;
    options.front_bytes = 256 * 1024;
    let journal = Journal::open(options.clone()).unwrap();
    slow_group(&journal);
    let before = Model::read(&journal, &[1]);
    for turns in [50, 50, 50] {
        churn(&journal, turns);
        assert_eq!(Model::read(&journal, &[1]), before);
    }
    assert!(
        disk.rounds()[0] > 50,
        "old rounds are gone: {:?}",
        disk.rounds()
    );
    let bytes = journal.statistics().disk_bytes;
    assert!(
        bytes < 4 * MIB,
        "{bytes} bytes after 15 MB that were purged"
    );
    let both = Model::read(&journal, &[1, 2]);
    disk.crash(0, 0);
    drop(journal);
    let journal = Journal::open(options).unwrap();
    assert_eq!(Model::read(&journal, &[1]), before);
    assert_eq!(
        Model::read(&journal, &[1, 2]).groups[&2].entries,
        both.groups[&2].entries
    );
}

#[test]
fn removed_rounds_free_the_directory_and_nothing_leaves_for_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = in_folder(&folder);
    options.clean_dead_bytes_min = MIB;
    let journal = Journal::open(options.clone()).unwrap();
    slow_group(&journal);
    let before = Model::read(&journal, &[1]);
    churn(&journal, 400);
    let bytes = journal.statistics().disk_bytes;
    assert!(
        bytes < 40 * MIB,
        "{bytes} bytes after 40 MB that were purged"
    );
    let large = vec![
        entry(3, 0, 0, MIB as usize),
        entry(3, 1, 0, 3 * MIB as usize),
    ];
    durable(|done| journal.group(3).append(0, large.clone(), done)).unwrap();
    journal.close().unwrap();
    let journal = Journal::open(options).unwrap();
    assert_eq!(Model::read(&journal, &[1]), before);
    assert_eq!(journal.group(3).entries(0..2, usize::MAX).unwrap(), large);
    let blobs = folder.path().join("data/log/blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
}

#[test]
fn an_idle_journal_stops_writing() {
    let disk = SimulatedDisk::new();
    let mut options = on(&disk);
    options.clean_dead_bytes_min = 100_000;
    let journal = Journal::open(options).unwrap();
    slow_group(&journal);
    churn(&journal, 100);
    let rounds = journal.statistics().rounds;
    let mut last = rounds;
    let mut unchanged = 0;
    // Settles within a bounded number of rounds, however long one looks.
    while unchanged < 20 {
        crate::clock::pause(std::time::Duration::from_millis(10));
        let now = journal.statistics().rounds;
        assert!(now < rounds + 50, "an idle journal goes on rewriting");
        unchanged = if now == last { unchanged + 1 } else { 0 };
        last = now;
    }
}

#[test]
fn reads_go_on_while_rounds_move() {
    let disk = SimulatedDisk::new();
    let mut options = on(&disk);
    options.clean_dead_bytes_min = 50_000;
    let journal = Journal::open(options).unwrap();
    slow_group(&journal);
    let slow = journal.group(1);
    slow.release(u64::MAX - 1);
    let expected = (4..20)
        .map(|index| entry(1, index, 0, 1000))
        .collect::<Vec<_>>();
    let finished = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !finished.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(slow.entries(0..100, usize::MAX).unwrap(), expected);
            }
        });
        churn(&journal, 300);
        finished.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(disk.rounds()[0] > 100);
}
