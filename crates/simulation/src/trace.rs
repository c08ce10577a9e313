//! What happened, in order: a running hash of all of it, and the last lines for people.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::clock::{MILLISECOND, Time};

/// Lines that a failure shows.
const LINES_KEPT: usize = 400;

/// See the module.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    /// Every line is written to standard error at once.
    printed: bool,
    /// The last lines are kept.
    kept: bool,
}

/// A hash that is the same in every process.
pub fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Trace {
    /// A trace of which the lines are written to standard error at once, or the last ones kept.
    pub fn new(printed: bool, kept: bool) -> Trace {
        Trace {
            printed,
            kept,
            ..Trace::default()
        }
    }

    /// Adds what happened at a time.
    pub fn add(&mut self, time: Time, what: fmt::Arguments<'_>) {
        let mut hasher = Into(DefaultHasher::new());
        (self.hash, time).hash(&mut hasher.0);
        // Formatting into a hasher does not fail.
        let _ = fmt::write(&mut hasher, what);
        self.hash = hasher.0.finish();
        if self.kept || self.printed {
            let line = format!(
                "{:>10}.{:03} {what}",
                time / MILLISECOND,
                time % MILLISECOND
            );
            if self.printed {
                eprintln!("{line}");
            }
            if self.lines.len() == LINES_KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    /// The hash of all that happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub fn last_lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

struct Into(DefaultHasher);

impl fmt::Write for Into {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.hash(&mut self.0);
        Ok(())
    }
}
