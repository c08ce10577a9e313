//! A writer that is stepped does what the writing thread does, and no more than it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::on;
use crate::clock::now;
use crate::limits::COMMITTED_IDLE;
use crate::{Completion, Journal, SimulatedDisk, WriterStep};

struct Told(Arc<AtomicUsize>);

impl Told {
    fn done(&self) -> Completion {
        let told = Arc::clone(&self.0);
        Box::new(move |result| {
            result.unwrap();
            told.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn stepped(acknowledges_early: bool) -> (SimulatedDisk, Arc<AtomicUsize>) {
    let woken = Arc::<AtomicUsize>::default();
    let wakes = Arc::clone(&woken);
    let wake = move || {
        wakes.fetch_add(1, Ordering::SeqCst);
    };
    (
        SimulatedDisk::new().stepped(Arc::new(wake), acknowledges_early),
        woken,
    )
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable_and_a_crash_between_loses_it() {
    let (disk, woken) = stepped(false);
    let journal = Journal::open(on(&disk)).unwrap();
    let told = Told(Arc::default());
    let log = journal.group(1);
    assert!(matches!(disk.begin_round(now()), WriterStep::RestsUntil(_)));
    log.save_vote(Bytes::from("first"), told.done());
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert_eq!(disk.begin_round(now()), WriterStep::Begun);
    log.save_vote(Bytes::from("second"), told.done());
    assert_eq!(told.times(), 0);
    disk.finish_round(now());
    assert_eq!(told.times(), 1, "the second one is of the next round");
    assert_eq!(disk.begin_round(now()), WriterStep::Begun);
    disk.crash(0, 0);
    drop((log, journal));
    assert_eq!(told.times(), 1);
    assert_eq!(disk.begin_round(now()), WriterStep::Closed);
    let journal = Journal::open(on(&disk)).unwrap();
    assert_eq!(journal.group(1).state().vote, Some(Bytes::from("first")));
}

#[test]
fn what_breaks_the_promise_on_purpose_loses_what_it_acknowledged() {
    let (disk, _) = stepped(true);
    let journal = Journal::open(on(&disk)).unwrap();
    let told = Told(Arc::default());
    journal.group(1).save_vote(Bytes::from("vote"), told.done());
    assert_eq!(disk.begin_round(now()), WriterStep::Begun);
    assert_eq!(told.times(), 1);
    disk.crash(0, 0);
    drop(journal);
    let journal = Journal::open(on(&disk)).unwrap();
    assert_eq!(journal.group(1).state().vote, None);
}

#[test]
fn closing_writes_what_waits_and_committed_marks_are_written_in_the_end() {
    let (disk, _) = stepped(false);
    let journal = Journal::open(on(&disk)).unwrap();
    let told = Told(Arc::default());
    let log = journal.group(1);
    log.save_vote(Bytes::from("vote"), told.done());
    journal.work_off(now());
    assert_eq!(told.times(), 1);
    let time = now();
    log.save_committed(Bytes::from("mark"));
    assert!(matches!(disk.begin_round(time), WriterStep::RestsUntil(_)));
    let later = time + COMMITTED_IDLE + Duration::from_secs(1);
    assert_eq!(disk.begin_round(later), WriterStep::Begun);
    log.save_vote(Bytes::from("newer"), told.done());
    journal.close().unwrap();
    assert_eq!(told.times(), 2);
    let journal = Journal::open(on(&disk)).unwrap();
    let state = journal.group(1).state();
    assert_eq!(state.vote, Some(Bytes::from("newer")));
    assert_eq!(state.committed, Some(Bytes::from("mark")));
}
