//! Tests of the journal as a whole, most of them on a simulated disk.

mod cleaning;
mod corruption;
mod directory;
mod failure;
mod front;
mod hostile;
mod model;
mod random;
mod snapshots;
mod stepped;

use std::sync::mpsc;

use bytes::Bytes;

use crate::{Completion, Journal, JournalError, JournalOptions, Location, SimulatedDisk};

/// Starts something and waits for its completion.
fn durable(start: impl FnOnce(Completion)) -> Result<(), JournalError> {
    let (sender, receiver) = mpsc::channel();
    start(Box::new(move |result| drop(sender.send(result))));
    receiver.recv().expect("a completion is always called")
}

/// A completion that nobody waits for.
fn unheeded() -> Completion {
    Box::new(|_| {})
}

fn on(disk: &SimulatedDisk) -> JournalOptions {
    JournalOptions::new(Location::Simulated(disk.clone()))
}

fn in_folder(folder: &tempfile::TempDir) -> JournalOptions {
    let mut options = JournalOptions::new(Location::Directory(folder.path().join("data")));
    options.reserve_bytes = 4096;
    options
}

/// An entry that tells group, index and version, of about `bytes` bytes.
fn entry(group: u32, index: u64, version: u64, bytes: usize) -> Bytes {
    let text = format!("{group}/{index}/{version};");
    let mut entry = text.clone().into_bytes();
    while entry.len() < bytes {
        entry.extend_from_slice(text.as_bytes());
    }
    Bytes::from(entry)
}

fn append_durably(journal: &Journal, group: u32, first: u64, count: u64, bytes: usize) {
    let entries = (first..first + count)
        .map(|index| entry(group, index, 0, bytes))
        .collect();
    durable(|done| journal.group(group).append(first, entries, done)).unwrap();
}
