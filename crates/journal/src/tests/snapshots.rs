//! Snapshots: the one that counts is whole, or said to be damaged; no other file stays.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{durable, in_folder, on};
use crate::{Durability, GroupLog, Journal, JournalError, SimulatedDisk};

fn write(log: &GroupLog, pieces: &[&[u8]], meta: &'static str) -> Result<(), JournalError> {
    let mut writer = log.begin_snapshot()?;
    pieces.iter().try_for_each(|piece| writer.write(piece))?;
    durable(|done| writer.finish(Bytes::from(meta), done))
}

fn read(log: &GroupLog) -> Result<Vec<Bytes>, JournalError> {
    let mut reader = log.read_snapshot()?.expect("a snapshot counts");
    let mut pieces = Vec::new();
    while let Some(piece) = reader.next()? {
        pieces.push(piece);
    }
    Ok(pieces)
}

fn files(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.path().join("data/snapshots")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn only_the_snapshot_that_counts_stays() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(in_folder(&folder)).unwrap();
    let log = journal.group(1);
    assert!(log.read_snapshot().unwrap().is_none());
    write(&log, &[b"a", b"", b"bc"], "first").unwrap();
    let mut of_first = log.read_snapshot().unwrap().unwrap();
    assert_eq!(of_first.next().unwrap().unwrap(), "a");
    let mut unfinished = log.begin_snapshot().unwrap();
    unfinished.write(b"never").unwrap();
    write(&log, &[b"d"], "second").unwrap();
    assert_eq!(read(&log).unwrap(), ["d"]);
    assert_eq!(of_first.next().unwrap().unwrap(), "");
    assert_eq!(of_first.next().unwrap().unwrap(), "bc");
    assert_eq!(of_first.next().unwrap(), None);
    drop(unfinished);
    let other = journal.group(2);
    write(&other, &[b"e"], "other").unwrap();
    assert_eq!(other.state().snapshot.unwrap().meta, "other");
    durable(|done| other.remove(done)).unwrap();
    // An older snapshot that is finished late does not count any more.
    let late = log.begin_snapshot().unwrap();
    write(&log, &[b"f"], "third").unwrap();
    durable(|done| late.finish(Bytes::from("late"), done)).unwrap();
    assert_eq!(log.state().snapshot.unwrap().meta, "third");
    journal.close().unwrap();
    assert_eq!(files(&folder).len(), 1, "{:?}", files(&folder));
    std::fs::write(
        folder.path().join("data/snapshots/1-9.snapshot.writing"),
        "x",
    )
    .unwrap();
    let journal = Journal::open(in_folder(&folder)).unwrap();
    assert_eq!(files(&folder).len(), 1);
    assert_eq!(read(&journal.group(1)).unwrap(), ["f"]);
    assert!(journal.group(1).begin_snapshot().unwrap().number() > 3);
}

fn is_damaged<T>(result: Result<T, JournalError>) -> bool {
    matches!(result, Err(JournalError::Corrupted { .. }))
}

fn found_damaged(folder: &tempfile::TempDir) -> bool {
    match Journal::open(in_folder(folder)) {
        Ok(journal) => is_damaged(read(&journal.group(1))),
        Err(error) => is_damaged::<()>(Err(error)),
    }
}

fn with_snapshot() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(in_folder(&folder)).unwrap();
    write(&journal.group(1), &[b"one piece", b"", b"another"], "meta").unwrap();
    journal.close().unwrap();
    let path = files(&folder).remove(0);
    (folder, path)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn every_damaged_byte_of_a_snapshot_is_found() {
    let (folder, path) = with_snapshot();
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    for byte in 0..length {
        change(&path, |bytes| bytes[byte] ^= 0x10);
        assert!(found_damaged(&folder), "byte {byte} of {length}");
        change(&path, |bytes| bytes[byte] ^= 0x10);
    }
    assert!(!found_damaged(&folder));
}

#[test]
fn a_cut_longer_or_missing_snapshot_is_found_at_opening() {
    let (folder, path) = with_snapshot();
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        change(&path, |bytes| bytes.truncate(length));
        assert!(
            is_damaged(Journal::open(in_folder(&folder))),
            "cut to {length}"
        );
        std::fs::write(&path, &whole).unwrap();
    }
    change(&path, |bytes| bytes.extend_from_slice(b"more"));
    assert!(is_damaged(Journal::open(in_folder(&folder))));
    std::fs::remove_file(&path).unwrap();
    assert!(is_damaged(Journal::open(in_folder(&folder))));
}

#[test]
fn an_older_snapshot_stays_until_a_crash_cannot_bring_it_back() {
    let disk = SimulatedDisk::new();
    let mut options = on(&disk);
    options.durability = Durability::Buffered;
    let journal = Journal::open(options.clone()).unwrap();
    write(&journal.group(1), &[b"old"], "old").unwrap();
    journal.close().unwrap();
    let journal = Journal::open(options.clone()).unwrap();
    write(&journal.group(1), &[b"new"], "new").unwrap();
    disk.crash(0, 0);
    drop(journal);
    let journal = Journal::open(options).unwrap();
    let log = journal.group(1);
    assert_eq!(read(&log).unwrap(), [log.state().snapshot.unwrap().meta]);
}
