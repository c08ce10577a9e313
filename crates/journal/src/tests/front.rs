//! The front before the log: the power is taken at every single step, and every part of the file is
//! damaged.

use std::collections::BTreeMap;

use crate::chunk::{CHUNK_CONTENT_BYTES, chunk_count, encode_chunk};
use crate::ledger::Retired;
use crate::record::{RecordKind, encode_record};
use crate::recovery::recover;
use crate::store::RoundStore;
use crate::store::front::BLOCK_BYTES;
use crate::store::simulated::SimulatedFronted;
use crate::{JournalError, SimulatedDisk};

/// Two halves of four blocks.
const FRONT_BYTES: usize = 10 * BLOCK_BYTES;

/// Opens a front that is so small, and takes rounds as large, that every case comes up soon.
fn open(disk: &SimulatedDisk) -> Result<SimulatedFronted, JournalError> {
    let mut options = super::on(disk);
    options.front_bytes = FRONT_BYTES;
    options.front_round_bytes_max = FRONT_BYTES;
    disk.open(&options)
}

/// Rounds before the newest ones that are still needed.
const KEPT_ROUNDS: u64 = 4;

/// Chunks of a round: one vote, in between one and seven blocks, a few of them too large for the
/// front.
fn chunks(round: u64) -> Vec<Vec<u8>> {
    let bytes = match round % 9 {
        2 => 5_000,
        5 => 9_000,
        7 => 20_000,
        8 => 40_000,
        _ => 100,
    };
    let mut records = Vec::new();
    let vote = vec![round as u8; bytes];
    encode_record(&mut records, RecordKind::Vote, 1, 0, &[&vote]);
    let count = chunk_count(records.len() as u64);
    let contents = records.chunks(CHUNK_CONTENT_BYTES);
    let numbered = (0..count).zip(contents).map(|(chunk, content)| {
        let mut value = Vec::new();
        encode_chunk(&mut value, round, chunk, count, floor(round), content);
        value
    });
    numbered.collect()
}

fn floor(round: u64) -> u64 {
    round.saturating_sub(KEPT_ROUNDS).max(1)
}

fn write(store: &SimulatedFronted, round: u64) -> Result<(), JournalError> {
    for (chunk, value) in (0..).zip(chunks(round)) {
        store.write(round, chunk, &value)?;
    }
    store.flush()
}

/// What a writer does: rounds one after the other, each synced, settled in between in its two ways,
/// the rounds that are not needed removed, all settled at the end. Notes what was acknowledged.
fn run(disk: &SimulatedDisk, rounds: u64, acknowledged: &mut u64) -> Result<(), JournalError> {
    let store = open(disk)?;
    let found = recover(&store)?.rounds.written;
    store.flush()?;
    store.sync()?;
    store.save_mark(found)?;
    for round in found + 1..=found + rounds {
        write(&store, round)?;
        store.sync()?;
        *acknowledged = round;
        for (chunk, value) in (0..).zip(chunks(round)) {
            assert_eq!(store.read(round, chunk)?, Some(value), "read at once");
        }
        if floor(round) > floor(round - 1) {
            let gone = floor(round - 1);
            let chunks = chunks(gone).len() as u32;
            store.remove(Retired {
                round: gone,
                chunks,
            })?;
        }
        while store.settle(round % 8 == 0)? {}
        if round % 5 == 0 {
            store.save_mark(round)?;
        }
    }
    store.finish()
}

/// Opens the disk after a crash and checks that it holds all rounds that are needed, whole, up to
/// one that is not below `acknowledged`; returns it.
fn check(disk: &SimulatedDisk, acknowledged: u64) -> u64 {
    let store = open(disk).unwrap();
    let written = recover(&store).unwrap().rounds.written;
    assert!(
        (acknowledged..=acknowledged + 1).contains(&written),
        "round {written} after {acknowledged} was acknowledged"
    );
    for round in floor(written)..=written {
        for (chunk, value) in (0..).zip(chunks(round)) {
            assert_eq!(store.read(round, chunk).unwrap(), Some(value));
        }
    }
    written
}

/// Takes the power in each way that `way` counts; false when there is no such way.
fn take_the_power(disk: &SimulatedDisk, way: usize) -> bool {
    // What the home kept, and which blocks of what the front was writing.
    let (home, blocks) = (way / 8, way % 8);
    let kept = [0, 1, 7, usize::MAX];
    let Some(&kept) = kept.get(home) else {
        return false;
    };
    disk.crash_apart(kept, |_, block| blocks >> block.min(2) & 1 == 1);
    true
}

#[test]
fn the_power_may_go_at_every_step() {
    const ROUNDS: u64 = 14;
    let mut cuts = 0;
    'cut: for cut in 0.. {
        for way in 0.. {
            let disk = SimulatedDisk::new();
            let mut acknowledged = 0;
            // Not the first opening: the epochs before are full of rounds of the same shapes.
            run(&disk, 9, &mut acknowledged).unwrap();
            disk.cut_after(cut);
            let ended = run(&disk, ROUNDS, &mut acknowledged);
            if !take_the_power(&disk, way) {
                break;
            }
            if ended.is_ok() {
                check(&disk, acknowledged);
                break 'cut;
            }
            let written = check(&disk, acknowledged);
            // What is found counts from now on: it is built upon, and the power goes once more.
            let mut acknowledged = written;
            disk.cut_after(cut % 23);
            let _ = run(&disk, 5, &mut acknowledged);
            disk.crash_apart(way % 3, |_, block| block == way % 2);
            check(&disk, acknowledged);
        }
        cuts = cut;
    }
    assert!(cuts >= 60, "{cuts} steps");
}

#[test]
fn unsynced_rounds_survive_from_the_oldest_on_without_gaps() {
    for blocks in 0..1 << 6_usize {
        let disk = SimulatedDisk::new();
        let mut acknowledged = 0;
        run(&disk, 4, &mut acknowledged).unwrap();
        let store = open(&disk).unwrap();
        for round in 5..=6 {
            write(&store, round).unwrap();
        }
        store.sync().unwrap();
        // Rounds 9 to 13 take a block each, but for the second, which takes two.
        let rounds = [9, 10, 11, 12, 13];
        for round in [7, 8] {
            write(&store, round).unwrap();
        }
        store.sync().unwrap();
        for round in rounds {
            write(&store, round).unwrap();
        }
        disk.crash_apart(0, |change, block| blocks >> (change + block) & 1 == 1);
        let store = open(&disk).unwrap();
        let written = recover(&store).unwrap().rounds.written;
        assert!((8..=13).contains(&written), "{written}");
        drop(store);
        // The dropped ones never come back, although new rounds have their numbers.
        let mut acknowledged = written;
        run(&disk, 1, &mut acknowledged).unwrap();
        assert_eq!(check(&disk, written + 1), written + 1);
    }
}

#[test]
fn a_small_round_never_survives_a_large_one_before_it() {
    for kept in 0..12 {
        let disk = SimulatedDisk::new();
        let store = open(&disk).unwrap();
        recover(&store).unwrap();
        for round in 1..=6 {
            write(&store, round).unwrap();
            store.sync().unwrap();
        }
        // Buffered: nothing is synced after rounds 7 and 8, which go home, nor after round 9.
        for round in 7..=9 {
            write(&store, round).unwrap();
        }
        disk.crash_apart(kept, |_, _| true);
        let store = open(&disk).unwrap();
        let written = recover(&store).unwrap().rounds.written;
        assert!((6..=9).contains(&written), "{written} of {kept}");
    }
}

/// A disk with rounds 1 to 7 acknowledged, 5 to 7 in front alone, and the offsets of these.
fn three_in_front() -> (SimulatedDisk, BTreeMap<u64, usize>) {
    let disk = SimulatedDisk::new();
    let mut acknowledged = 0;
    run(&disk, 3, &mut acknowledged).unwrap();
    let store = open(&disk).unwrap();
    recover(&store).unwrap();
    let mut offsets = BTreeMap::new();
    let mut offset = 2 * BLOCK_BYTES;
    for round in [4, 5, 6] {
        write(&store, round).unwrap();
        store.sync().unwrap();
        offsets.insert(round, offset);
        offset += (chunks(round)[0].len() + 68).next_multiple_of(BLOCK_BYTES);
    }
    disk.crash(0, 0);
    (disk, offsets)
}

fn place_of(disk: &SimulatedDisk) -> String {
    match open(disk).map(drop) {
        Err(JournalError::Corrupted { what, place, .. }) => format!("{what} ({place})"),
        other => panic!("expected damage, got {other:?}"),
    }
}

#[test]
fn damage_of_a_round_before_others_is_found() {
    let (_, offsets) = three_in_front();
    for (round, offset) in offsets {
        for byte in [0, 5, 8, 17, 24, 33, 40, 49, 57, 61, 64, 70, 150] {
            let (disk, _) = three_in_front();
            disk.flip_front_byte(offset + byte);
            if round < 6 {
                let place = place_of(&disk);
                assert!(
                    place.contains(&format!("front file, round {round}")),
                    "{place}"
                );
                continue;
            }
            // The last one may have been torn: nothing says that it was acknowledged.
            let store = open(&disk).unwrap();
            assert_eq!(recover(&store).unwrap().rounds.written, 5);
        }
    }
}

#[test]
fn damage_of_the_last_round_is_found_below_the_acknowledged_mark() {
    let (disk, offsets) = three_in_front();
    let store = open(&disk).unwrap();
    store.save_mark(6).unwrap();
    disk.flip_front_byte(offsets[&6] + 70);
    drop(store);
    // It went home at opening: damage in front does no harm any more.
    assert_eq!(check(&disk, 6), 6);

    let disk = SimulatedDisk::new();
    let store = open(&disk).unwrap();
    write(&store, 1).unwrap();
    store.sync().unwrap();
    store.save_mark(1).unwrap();
    disk.crash(0, 0);
    disk.flip_front_byte(2 * BLOCK_BYTES + 70);
    let place = place_of(&disk);
    assert!(place.contains("front file, round 1"), "{place}");
}

#[test]
fn a_lost_header_and_a_home_that_lost_rounds_are_found() {
    let header = |disk: &SimulatedDisk, slot: usize| disk.flip_front_byte(slot * BLOCK_BYTES + 10);
    let newest = |disk: &SimulatedDisk| {
        let front = disk.front();
        usize::from(front[8] < front[BLOCK_BYTES + 8])
    };
    let (disk, _) = three_in_front();
    header(&disk, newest(&disk));
    assert!(place_of(&disk).contains("newest header is lost"));
    header(&disk, 1 - newest(&disk));
    assert!(place_of(&disk).contains("header is damaged"));

    let (disk, _) = three_in_front();
    header(&disk, 1 - newest(&disk));
    assert_eq!(check(&disk, 6), 6);

    let (disk, _) = three_in_front();
    disk.lose_chunk(3, 0);
    assert!(place_of(&disk).contains("round 3"));
}

#[test]
fn a_failed_write_or_sync_at_home_loses_nothing_acknowledged() {
    for writes in 0..30 {
        let disk = SimulatedDisk::new();
        let mut acknowledged = 0;
        disk.fail_writes_after(writes + 3, true);
        let ended = run(&disk, 30, &mut acknowledged);
        assert!(matches!(ended, Err(JournalError::Full { .. })), "{ended:?}");
        disk.crash(0, 0);
        let written = check(&disk, acknowledged);
        assert_eq!(written, acknowledged);

        let disk = SimulatedDisk::new();
        let mut acknowledged = 0;
        disk.fail_one_sync_after(writes);
        let ended = run(&disk, 30, &mut acknowledged);
        assert!(
            matches!(ended, Err(JournalError::Failed { .. })),
            "{ended:?}"
        );
        disk.crash(0, 0);
        check(&disk, acknowledged);
    }
}
