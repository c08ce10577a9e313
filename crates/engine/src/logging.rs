//! Lines of the log, as the host takes them: `tracing`'s events become event 10 of the node whose
//! work they were said in.
//!
//! Several nodes live in one process, and share its runtime. So there is no subscriber for the
//! process: each node has one of its own, its tasks and threads carry it, and what they start
//! inherits it. A line that belongs to no node is not written.
//!
//! Lines are for rare things, and never wait: of each kind so many are kept per time, and beyond a
//! number of lines that the host has not taken all are left out. openraft's own lines name its
//! internals, and repeat themselves where a node is down; what they mean to an operator the engine
//! says. They come only where everything is asked for.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Dispatch, Level, Metadata};

use crate::events::{Event, EventQueue};
use crate::limits::{LINE_VALUE_BYTES_MAX, LINES_OF_A_KIND_MAX, LINES_SPAN};

/// The least severe lines that the host is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What failed for good.
    Error = 1,
    /// What an operator may have to see to.
    Warn = 2,
    /// What changed.
    Info = 3,
    /// Everything, openraft's warnings included.
    Debug = 4,
}

impl LogLevel {
    fn of(level: &Level) -> Option<LogLevel> {
        match *level {
            Level::ERROR => Some(LogLevel::Error),
            Level::WARN => Some(LogLevel::Warn),
            Level::INFO => Some(LogLevel::Info),
            Level::DEBUG => Some(LogLevel::Debug),
            _ => None,
        }
    }

    fn filter(self) -> tracing::level_filters::LevelFilter {
        match self {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
        }
        .into()
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(LogLevel::Error),
            "warn" => Ok(LogLevel::Warn),
            "info" => Ok(LogLevel::Info),
            "debug" => Ok(LogLevel::Debug),
            other => Err(format!("no level of a log: {other:?}")),
        }
    }
}

/// Where a node's tasks and threads say their lines; nowhere without a level.
pub(crate) fn dispatch(level: Option<LogLevel>, events: &Arc<EventQueue>) -> Dispatch {
    match level {
        Some(level) => Dispatch::new(NodeLog {
            level,
            events: events.clone(),
            kinds: Mutex::default(),
        }),
        // Of a program that has a subscriber for all, as tests do.
        None => tracing::dispatcher::get_default(Dispatch::clone),
    }
}

/// How many lines of one kind came in the present span of time.
struct Kind {
    since: Instant,
    lines: u32,
    left_out: u32,
}

impl Kind {
    /// The number of the line in its span, and how many were left out before; `None`: too many.
    fn count(&mut self, now: Instant) -> Option<(u32, u32)> {
        if now.saturating_duration_since(self.since) >= LINES_SPAN {
            self.since = now;
            self.lines = 0;
        }
        if self.lines >= LINES_OF_A_KIND_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some((self.lines, std::mem::take(&mut self.left_out)))
    }
}

/// See the module.
struct NodeLog {
    level: LogLevel,
    events: Arc<EventQueue>,
    /// By where in the code they are said: no more than there are such places.
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

impl NodeLog {
    /// At which level a line is given out, if it is.
    fn level_of(&self, metadata: &Metadata<'_>) -> Option<LogLevel> {
        if !metadata.is_event() {
            return None;
        }
        let level = LogLevel::of(metadata.level())?;
        let target = metadata.target();
        if target.starts_with("raft_kv") {
            return (level <= self.level).then_some(level);
        }
        let foreign = target.starts_with("openraft") && level <= LogLevel::Warn;
        (foreign && self.level == LogLevel::Debug).then_some(LogLevel::Debug)
    }
}

impl Subscriber for NodeLog {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.level_of(metadata) {
            Some(_) => Interest::always(),
            None => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.level_of(metadata).is_some()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.filter())
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let Some(level) = self.level_of(metadata) else {
            return;
        };
        let now = Instant::now();
        let counted = {
            let mut kinds = self.kinds.lock();
            let kind = kinds.entry(metadata.callsite()).or_insert(Kind {
                since: now,
                lines: 0,
                left_out: 0,
            });
            kind.count(now)
        };
        let Some((number, left_out)) = counted else {
            return;
        };
        let mut line = Line::new(metadata.target());
        event.record(&mut line);
        if left_out > 0 {
            line.number("leftOut", left_out);
        }
        if number == LINES_OF_A_KIND_MAX {
            line.text("further", format_args!("{}", Left(LINES_SPAN)));
        }
        let text = line.end();
        self.events.push_line(Event::LogLine { level, text });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What the last line of a span of time says of those that would follow.
struct Left(Duration);

impl fmt::Display for Left {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "left out for up to {} s", self.0.as_secs())
    }
}

/// A line as a JSON object: `target`, `message`, and the fields under their names.
struct Line(String);

impl Line {
    fn new(target: &str) -> Self {
        let mut line = Self(String::from("{"));
        line.text("target", format_args!("{target}"));
        line
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.quoted(format_args!("{name}"));
        self.0.push(':');
    }

    fn number(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        // A string takes whatever is written into it.
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.name(name);
        self.quoted(value);
    }

    fn quoted(&mut self, value: fmt::Arguments<'_>) {
        self.0.push('"');
        let mut escaped = Escaped {
            into: &mut self.0,
            left: LINE_VALUE_BYTES_MAX,
        };
        // It refuses what is too long, which is left out.
        let _ = escaped.write_fmt(value);
        self.0.push('"');
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.number(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format_args!("{value:?}"));
    }
}

/// Writes the inside of a JSON string, up to a number of bytes.
struct Escaped<'a> {
    into: &'a mut String,
    left: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.left = self
                .left
                .checked_sub(character.len_utf8())
                .ok_or(fmt::Error)?;
            match character {
                '"' | '\\' => self.into.extend(['\\', character]),
                character if u32::from(character) < 0x20 => {
                    write!(self.into, "\\u{:04x}", u32::from(character))?;
                }
                character => self.into.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "logging_tests.rs"]
mod tests;
