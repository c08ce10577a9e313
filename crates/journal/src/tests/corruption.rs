//! Everything that is damaged or missing is found at opening, and said.

use super::{append_durably, durable, in_folder, on, unheeded};
use crate::chunk::CHUNK_HEADER_BYTES;
use crate::{Journal, JournalError, JournalOptions, SimulatedDisk};

use bytes::Bytes;

fn filled(options: JournalOptions) {
    let journal = Journal::open(options).unwrap();
    append_durably(&journal, 1, 0, 3, 100);
    append_durably(&journal, 1, 3, 3, 50_000);
    append_durably(&journal, 2, 0, 3, 100);
    durable(|done| journal.group(1).save_vote(Bytes::from("vote"), done)).unwrap();
    journal.close().unwrap();
}

fn place_of(result: Result<Journal, JournalError>) -> String {
    match result.map(drop) {
        Err(JournalError::Corrupted { place, advice, .. }) => {
            assert!(!advice.is_empty());
            place
        }
        other => panic!("expected damage, got {other:?}"),
    }
}

#[test]
fn a_flipped_byte_anywhere_is_found() {
    let disk = SimulatedDisk::new();
    filled(on(&disk));
    let mut flipped = 0;
    for round in disk.rounds() {
        for chunk in 0..6 {
            for byte in [
                0,
                4,
                9,
                16,
                21,
                24,
                CHUNK_HEADER_BYTES - 1,
                CHUNK_HEADER_BYTES + 3,
            ] {
                if disk.flip_byte(round, chunk, byte) {
                    flipped += 1;
                    let place = place_of(Journal::open(on(&disk)));
                    assert_eq!(place, format!("round {round}, chunk {chunk}"));
                    disk.flip_byte(round, chunk, byte);
                }
            }
        }
    }
    assert_eq!(flipped, 8 * (1 + 5 + 1 + 1));
    Journal::open(on(&disk)).unwrap();
}

#[test]
fn a_missing_round_or_chunk_is_found() {
    let rounds = {
        let disk = SimulatedDisk::new();
        filled(on(&disk));
        disk.rounds()
    };
    for &round in &rounds {
        for chunk in 0..if round == 2 { 5 } else { 1 } {
            let disk = SimulatedDisk::new();
            filled(on(&disk));
            disk.lose_chunk(round, chunk);
            let place = place_of(Journal::open(on(&disk)));
            assert!(
                place.contains(&format!("round {round}")),
                "{place} for {round}, {chunk}"
            );
        }
    }
}

#[test]
fn missing_rounds_at_the_end_are_found() {
    for lost in 1..=4 {
        let disk = SimulatedDisk::new();
        filled(on(&disk));
        for &round in disk.rounds().iter().rev().take(lost) {
            (0..5).for_each(|chunk| disk.lose_chunk(round, chunk));
        }
        assert_eq!(
            place_of(Journal::open(on(&disk))),
            format!("round {}", 5 - lost)
        );
    }
}

#[test]
fn damage_met_while_reading_ends_all_writing() {
    let disk = SimulatedDisk::new();
    filled(on(&disk));
    let journal = Journal::open(on(&disk)).unwrap();
    assert!(disk.flip_byte(2, 3, 1000));
    assert_eq!(journal.group(2).entries(0..3, usize::MAX).unwrap().len(), 3);
    let read = journal.group(1).entries(0..6, usize::MAX);
    assert!(
        matches!(read, Err(JournalError::Corrupted { .. })),
        "{read:?}"
    );
    assert!(matches!(
        journal.failure(),
        Some(JournalError::Corrupted { .. })
    ));
    let refused = durable(|done| journal.group(2).save_vote(Bytes::new(), done));
    assert!(matches!(refused, Err(JournalError::Corrupted { .. })));
    assert!(journal.close().is_err());
}

#[test]
fn damage_in_a_directory_is_found() {
    fn open_log(path: &std::path::Path) -> sled::Db {
        let segment = crate::limits::STORE_SEGMENT_BYTES;
        let config = sled::Config::new()
            .path(path.join("log"))
            .segment_size(segment);
        config
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(None)
            .open()
            .unwrap()
    }
    let key = |round: u64, chunk: u64| [round.to_be_bytes(), chunk.to_be_bytes()].concat();
    type Damage = fn(&sled::Db, &dyn Fn(u64, u64) -> Vec<u8>);
    let table: [(&str, Damage); 4] = [
        ("round 1, chunk 0", |log, key| {
            let mut value = log.get(key(1, 0)).unwrap().unwrap().to_vec();
            value[60] ^= 1;
            log.insert(key(1, 0), value).unwrap();
        }),
        ("round 3, chunk 0", |log, key| {
            drop(log.remove(key(3, 0)).unwrap())
        }),
        ("round 2, chunk 4", |log, key| {
            drop(log.remove(key(2, 4)).unwrap())
        }),
        ("round 4", |log, key| drop(log.remove(key(4, 0)).unwrap())),
    ];
    for (place, damage) in table {
        let folder = tempfile::tempdir().unwrap();
        filled(in_folder(&folder));
        let log = open_log(&folder.path().join("data"));
        damage(&log, &key);
        log.flush().unwrap();
        drop(log);
        assert_eq!(place_of(Journal::open(in_folder(&folder))), place);
    }
}

#[test]
fn missing_or_foreign_files_in_a_directory_are_found() {
    type Damage = fn(&std::path::Path);
    let table: [(&str, Damage); 8] = [
        ("data/front", |data| {
            std::fs::remove_file(data.join("front")).unwrap()
        }),
        ("the front file", |data| {
            std::fs::write(data.join("front"), [7; 8192]).unwrap()
        }),
        ("the front file, its end", |data| {
            let front = std::fs::File::options()
                .write(true)
                .open(data.join("front"));
            front.unwrap().set_len(100_000).unwrap();
        }),
        ("acknowledged", |data| {
            std::fs::remove_file(data.join("acknowledged")).unwrap()
        }),
        ("acknowledged", |data| {
            std::fs::write(data.join("acknowledged"), [7; 8192]).unwrap()
        }),
        ("format", |data| {
            std::fs::write(data.join("format"), "what").unwrap()
        }),
        ("round 1", |data| {
            std::fs::remove_dir_all(data.join("log")).unwrap()
        }),
        ("blobs", |data| {
            std::fs::write(data.join("log/blobs/1"), "blob").unwrap()
        }),
    ];
    for (place, damage) in table {
        let folder = tempfile::tempdir().unwrap();
        filled(in_folder(&folder));
        damage(&folder.path().join("data"));
        let found = place_of(Journal::open(in_folder(&folder)));
        assert!(found.contains(place), "{found} for {place}");
    }
    // Wherever the rounds are: all at home, or none of them.
    for remove_log in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        filled(in_folder(&folder));
        std::fs::remove_file(folder.path().join("data/format")).unwrap();
        if remove_log {
            std::fs::remove_dir_all(folder.path().join("data/log")).unwrap();
        }
        for _ in 0..2 {
            assert!(place_of(Journal::open(in_folder(&folder))).contains("format"));
        }
    }
}

#[test]
fn an_unacknowledged_torn_round_is_dropped() {
    for torn_bytes in [1, CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + 10] {
        for kept in 0..5 {
            let disk = SimulatedDisk::new();
            filled(on(&disk));
            let journal = Journal::open(on(&disk)).unwrap();
            append_durably(&journal, 1, 6, 1, 100);
            disk.fail_one_sync_after(0);
            disk.hold_unsynced();
            let entries = (0..3).map(|i| super::entry(3, i, 0, 50_000)).collect();
            let failed = durable(|done| journal.group(3).append(0, entries, done));
            assert!(failed.is_err());
            assert_eq!(
                disk.unsynced_changes(),
                1 + 5,
                "all that waits, and the round"
            );
            disk.crash(kept + 1, torn_bytes);
            drop(journal);
            let journal = Journal::open(on(&disk)).unwrap();
            assert_eq!(journal.group(3).state(), crate::GroupState::default());
            assert_eq!(journal.group(1).state().next_index, 7);
            journal
                .group(3)
                .append(0, vec![Bytes::from("again")], unheeded());
            journal.close().unwrap();
            let journal = Journal::open(on(&disk)).unwrap();
            assert_eq!(journal.group(3).last_entry().unwrap().unwrap(), "again");
        }
    }
}
