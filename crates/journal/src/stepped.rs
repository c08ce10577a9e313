//! A writer without a thread: a simulation has it write, round by round, and may end its world
//! between any two steps.
//!
//! What the writing thread does in one go is two steps here: the chunks of a round are written by
//! the first, and made durable and acknowledged by the second.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::round::Round;
use crate::shared::{Shared, run_completions};
use crate::writer::{Rest, Writer};

/// What a stepped writer is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterStep {
    /// A round was handed to the disk and is to be finished.
    Begun,
    /// Nothing until this time, unless it is woken.
    RestsUntil(Instant),
    /// Nothing until it is woken.
    Rests,
    /// The journal is closed, or none is open.
    Closed,
}

/// See the module.
pub(crate) struct SteppedWriter {
    writer: Writer,
    begun: Option<Round>,
    rests: bool,
    /// Breaks a promise on purpose: whoever waits for a round is told before it is durable.
    acknowledges_early: bool,
}

impl SteppedWriter {
    pub(crate) fn new(writer: Writer, acknowledges_early: bool) -> SteppedWriter {
        SteppedWriter {
            writer,
            begun: None,
            rests: true,
            acknowledges_early,
        }
    }

    fn begin(&mut self, now: Instant) -> WriterStep {
        self.writer.clock = Clock::Stepped(now);
        if self.begun.is_some() {
            return WriterStep::Begun;
        }
        if std::mem::take(&mut self.rests) {
            self.writer.woken();
        }
        loop {
            if let Some(mut round) = self.writer.take() {
                if self.acknowledges_early {
                    run_completions(std::mem::take(&mut round.completions), &Ok(()));
                }
                if self.writer.begin(&mut round) {
                    self.begun = Some(round);
                    return WriterStep::Begun;
                }
                continue;
            }
            if self.writer.tidy(true) {
                continue;
            }
            match self.writer.rest() {
                Rest::Work => {}
                Rest::Until(time) => return WriterStep::RestsUntil(time),
                Rest::UntilWoken => {
                    self.rests = true;
                    return WriterStep::Rests;
                }
                Rest::Over => return WriterStep::Closed,
            }
        }
    }

    fn finish(&mut self, now: Instant) {
        self.writer.clock = Clock::Stepped(now);
        if let Some(round) = self.begun.take() {
            self.writer.end(round);
            self.writer.tidy(false);
        }
    }
}

/// The place where a stepped writer is kept between its steps. Clones are the same place.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Option<SteppedWriter>>>);

impl Desk {
    pub(crate) fn put(&self, writer: SteppedWriter) {
        *self.0.lock() = Some(writer);
    }

    /// Forgets the writer, as the end of a process does.
    pub(crate) fn clear(&self) {
        // Not dropped under the lock: whoever waits for its rounds may come back here.
        let writer = self.0.lock().take();
        drop(writer);
    }

    /// Completions may come back to the journal, so nothing is locked while the writer works.
    fn work<T>(&self, work: impl FnOnce(&mut SteppedWriter) -> T) -> Option<T> {
        let mut writer = self.0.lock().take()?;
        let result = work(&mut writer);
        self.0.lock().get_or_insert(writer);
        Some(result)
    }

    pub(crate) fn begin(&self, now: Instant) -> WriterStep {
        self.work(|writer| writer.begin(now))
            .unwrap_or(WriterStep::Closed)
    }

    pub(crate) fn finish(&self, now: Instant) {
        self.work(|writer| writer.finish(now));
    }

    /// Writes all that waits, at once.
    pub(crate) fn work_off(&self, now: Instant) {
        self.work(|writer| {
            while writer.begin(now) == WriterStep::Begun {
                writer.finish(now);
            }
        });
    }

    /// Ends the writer of a journal that is closing.
    pub(crate) fn close(&self, shared: &Arc<Shared>) {
        let here = |it: &SteppedWriter| it.writer.writes_for(shared);
        if !self.0.lock().as_ref().is_some_and(here) {
            return;
        }
        let last = self.work(|writer| writer.writer.clock.now());
        last.into_iter().for_each(|now| self.work_off(now));
        let writer = self.0.lock().take();
        if let Some(writer) = writer {
            writer.writer.leave();
        }
    }
}
