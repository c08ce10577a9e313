//! The one door to the clock and to threads that wait for it.

use std::time::{Duration, Instant};

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's monotonic clock.
    System,
    /// Stands still between steps of a simulation, which says what time it is.
    #[cfg(any(test, feature = "testing"))]
    Stepped(Instant),
}

impl Clock {
    /// What time it is.
    pub(crate) fn now(self) -> Instant {
        match self {
            Clock::System => now(),
            #[cfg(any(test, feature = "testing"))]
            Clock::Stepped(now) => now,
        }
    }
}

/// The system's time, for what no simulation reaches.
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Holds the thread up.
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
