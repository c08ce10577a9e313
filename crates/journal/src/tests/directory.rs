//! The directory: who holds it, what is in it, and that it is free after closing.

use bytes::Bytes;

use super::{append_durably, durable, in_folder};
use crate::{Journal, JournalError};

#[test]
fn a_second_journal_is_told_who_holds_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(in_folder(&folder)).unwrap();
    for _ in 0..2 {
        match Journal::open(in_folder(&folder)).map(drop) {
            Err(JournalError::Locked {
                directory,
                process_id,
            }) => {
                assert_eq!(directory, folder.path().join("data"));
                assert_eq!(process_id, Some(std::process::id()));
            }
            other => panic!("{other:?}"),
        }
    }
    append_durably(&journal, 1, 0, 1, 10);
    journal.close().unwrap();
    Journal::open(in_folder(&folder)).unwrap();
}

#[test]
fn a_closed_directory_is_free_at_once_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    for opening in 0..40 {
        let journal = Journal::open(in_folder(&folder)).unwrap();
        assert_eq!(journal.group(1).state().next_index, opening);
        let log = journal.group(1);
        log.append(opening, vec![Bytes::from("entry")], Box::new(|_| {}));
        if opening % 2 == 0 {
            journal.close().unwrap();
        }
    }
}

#[test]
fn another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(in_folder(&folder)).unwrap());
    for found in [0, 3] {
        std::fs::write(folder.path().join("data/format"), format!("{found}\n")).unwrap();
        let refused = Journal::open(in_folder(&folder)).map(drop);
        let Err(JournalError::FormatVersion {
            found: told,
            supported: 2,
        }) = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!(told, found);
    }
}

#[test]
fn a_directory_without_a_front_opens_and_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let journal = Journal::open(in_folder(&folder)).unwrap();
    append_durably(&journal, 1, 0, 3, 10);
    journal.close().unwrap();
    // As a program left it that knew no front, and as one leaves it that is killed while it makes it.
    for half_made in [false, true] {
        std::fs::write(data.join("format"), "1\n").unwrap();
        if half_made {
            std::fs::write(data.join("front"), [0; 5000]).unwrap();
        } else {
            std::fs::remove_file(data.join("front")).unwrap();
        }
        let journal = Journal::open(in_folder(&folder)).unwrap();
        let index = journal.group(1).state().next_index;
        append_durably(&journal, 1, index, 1, 10);
        journal.close().unwrap();
        let format = std::fs::read_to_string(data.join("format")).unwrap();
        assert_eq!(format, "2\n", "older programs refuse it");
    }
    let journal = Journal::open(in_folder(&folder)).unwrap();
    assert_eq!(journal.group(1).state().next_index, 5);
}

#[test]
fn the_reserve_is_there_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(in_folder(&folder)).unwrap());
    let reserve = folder.path().join("data/reserve");
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 4096);
    std::fs::remove_file(&reserve).unwrap();
    drop(Journal::open(in_folder(&folder)).unwrap());
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 4096);
}

#[test]
fn the_last_handle_may_go_with_a_completion() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(in_folder(&folder)).unwrap();
    let log = journal.group(1);
    let kept = log.clone();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    log.save_vote(
        Bytes::from("vote"),
        Box::new(move |result| {
            result.unwrap();
            let _ = receiver.recv();
            drop(kept);
        }),
    );
    drop((journal, log));
    drop(sender);
    let journal = loop {
        match Journal::open(in_folder(&folder)) {
            Err(JournalError::Locked { .. }) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(journal.group(1).state().vote.unwrap(), "vote");
    durable(|done| journal.group(1).save_vote(Bytes::new(), done)).unwrap();
}
