//! What was acknowledged is there after closing and opening again.

use std::sync::mpsc;

use bytes::Bytes;
use raft_kv_journal::{Completion, Journal, JournalError, JournalOptions, Location};

fn durable(start: impl FnOnce(Completion)) -> Result<(), JournalError> {
    let (sender, receiver) = mpsc::channel();
    start(Box::new(move |result| {
        let _ = sender.send(result);
    }));
    receiver.recv().expect("a completion is always called")
}

#[test]
fn everything_of_a_group_comes_back_from_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(Location::Directory(folder.path().join("data")));
    for opening in 0..5_u64 {
        let journal = Journal::open(options.clone()).unwrap();
        let log = journal.group(7);
        if opening > 0 {
            let state = log.state();
            assert_eq!(journal.identity().unwrap(), "me");
            assert_eq!(journal.groups(), [7]);
            assert_eq!(state.vote.unwrap(), format!("vote {}", opening - 1));
            assert_eq!(
                state.committed.unwrap(),
                format!("committed {}", opening - 1)
            );
            assert_eq!((state.first_index, state.next_index), (0, opening * 3));
            let entries = log.entries(0..100, usize::MAX).unwrap();
            let expected = (0..opening * 3).map(|index| format!("entry {index}"));
            assert_eq!(entries, expected.collect::<Vec<_>>());
            let snapshot = state.snapshot.unwrap();
            assert_eq!(snapshot.meta, format!("meta {}", opening - 1));
            let mut reader = log.read_snapshot().unwrap().unwrap();
            assert_eq!(reader.next().unwrap().unwrap(), "one piece");
            assert_eq!(reader.next().unwrap().unwrap(), "");
            assert_eq!(reader.next().unwrap(), None);
            assert_eq!(reader.next().unwrap(), None);
        }
        durable(|done| journal.save_identity(Bytes::from("me"), done)).unwrap();
        durable(|done| log.save_descriptor(Bytes::from("descriptor"), done)).unwrap();
        durable(|done| log.save_vote(Bytes::from(format!("vote {opening}")), done)).unwrap();
        let entries = (opening * 3..opening * 3 + 3).map(|i| Bytes::from(format!("entry {i}")));
        durable(|done| log.append(opening * 3, entries.collect(), done)).unwrap();
        let mut writer = log.begin_snapshot().unwrap();
        writer.write(b"one piece").unwrap();
        writer.write(b"").unwrap();
        let meta = Bytes::from(format!("meta {opening}"));
        durable(|done| writer.finish(meta, done)).unwrap();
        log.save_committed(Bytes::from(format!("committed {opening}")));
        journal.close().unwrap();
        journal.close().unwrap();
        assert!(matches!(
            durable(|done| log.save_vote(Bytes::new(), done)),
            Err(JournalError::Closed)
        ));
    }
}

/// Abandoned while it writes: what was durable is there, and everybody who waits is told.
#[test]
fn what_was_durable_when_a_journal_was_abandoned_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(Location::Directory(folder.path().join("data")));
    let mut durable_entries = 0;
    for life in 0..4_u64 {
        let journal = Journal::open(options.clone()).unwrap();
        let log = journal.group(7);
        let next = log.state().next_index;
        assert!(next >= durable_entries, "{next} of {durable_entries}");
        let entry = |number: u64| vec![Bytes::from(format!("entry {number}"))];
        durable(|done| log.append(next, entry(next), done)).unwrap();
        let (sender, told) = mpsc::channel();
        for number in next + 1..next + 100 {
            let sender = sender.clone();
            let done = Box::new(move |result| sender.send((number, result)).unwrap());
            log.append(number, entry(number), done);
        }
        drop(sender);
        if life % 2 == 0 {
            told.recv().unwrap().1.unwrap();
        }
        journal.abandon();
        journal.abandon();
        let is_over =
            |result: &Result<(), JournalError>| matches!(result, Err(JournalError::Closed));
        durable_entries = next + 1;
        for (number, result) in told.iter() {
            assert!(result.is_ok() || is_over(&result), "{result:?}");
            if result.is_ok() {
                durable_entries = durable_entries.max(number + 1);
            }
        }
        assert!(is_over(&durable(|done| log.save_vote(Bytes::new(), done))));
        drop(journal);
    }
    let journal = Journal::open(options).unwrap();
    let log = journal.group(7);
    let entries = log.entries(0..durable_entries, usize::MAX).unwrap();
    let expected = (0..durable_entries).map(|index| format!("entry {index}"));
    assert_eq!(entries, expected.collect::<Vec<_>>());
    journal.close().unwrap();
}
