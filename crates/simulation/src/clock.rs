//! Time: one that the world goes by, and for each process its own, which runs at a speed of its
//! own.
//!
//! The clock of a process is the paused clock of its runtime. It counts whole milliseconds, also
//! while the process stands still.

use std::time::Duration;

use tokio::time::Instant;

/// Microseconds since the world began.
pub type Time = u64;

/// Microseconds of a millisecond.
pub const MILLISECOND: Time = 1000;

/// Microseconds of a second.
pub const SECOND: Time = 1000 * MILLISECOND;

/// The clock of one process.
#[derive(Clone, Copy, Debug)]
pub struct NodeClock {
    /// The world's time at which the process began.
    begun: Time,
    /// The process's time at that moment.
    origin: Instant,
    /// How many millionths of the world's time it runs at.
    speed: u64,
}

impl NodeClock {
    /// The clock of a process that begins now; the caller is in its runtime.
    pub fn begin(begun: Time, speed: u64) -> NodeClock {
        NodeClock {
            begun,
            origin: Instant::now(),
            speed,
        }
    }

    /// What the clock shows at a time of the world.
    pub fn at(&self, time: Time) -> Instant {
        let passed = u128::from(time.saturating_sub(self.begun)) * u128::from(self.speed);
        let milliseconds = (passed / 1_000_000 / u128::from(MILLISECOND)) as u64;
        self.origin + Duration::from_millis(milliseconds)
    }

    /// The world's time, read off the clock; to be called in the process's runtime.
    pub fn time(&self) -> Time {
        let shown = (Instant::now() - self.origin).as_micros() * 1_000_000;
        self.begun + shown.div_ceil(u128::from(self.speed)) as Time
    }
}
