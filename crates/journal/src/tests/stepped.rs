//! A writer that is stepped does what the writing thread does, and no more than it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::on;
use crate::clock::now;
use crate::limits::{COMMITTED_IDLE, SLOW_ROUND};
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

/// Keeps the messages of warnings.
#[derive(Default)]
struct Warnings(parking_lot::Mutex<Vec<String>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().push(text.0);
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_slow_round_is_told_of_and_a_quick_one_is_not() {
    let warnings = Arc::<Warnings>::default();
    let (disk, _) = stepped(false);
    let journal = Journal::open(on(&disk)).unwrap();
    let told = Told(Arc::default());
    let round = |took: Duration| {
        let start = now();
        journal.group(1).save_vote(Bytes::from("vote"), told.done());
        assert_eq!(disk.begin_round(start), WriterStep::Begun);
        disk.finish_round(start + took);
    };
    tracing::dispatcher::with_default(&tracing::Dispatch::new(warnings.clone()), || {
        round(SLOW_ROUND);
        round(SLOW_ROUND + Duration::from_millis(1));
    });
    assert_eq!(told.times(), 2);
    let warnings = warnings.0.lock();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("writing to the log was slow"));
    assert!(warnings[0].contains("ms=501 "), "{warnings:?}");
}
