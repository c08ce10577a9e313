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
