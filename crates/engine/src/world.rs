//! What an engine takes from the world around it: a runtime to work on, chance, and the time of
//! day. Each has its one door here, so that a simulation can put its own in their place.
//!
//! The clock that leases, deadlines and heartbeats count by is the runtime's
//! (`tokio::time::Instant`): the system's, unless the runtime's time is paused. A runtime that has
//! but one thread does in place what may wait for the disk.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing::instrument::WithSubscriber;

use crate::error::EngineError;
use crate::runtime::runtime;
use crate::traps::Traps;

struct Simulated {
    runtime: Handle,
    random: Mutex<StdRng>,
    /// Milliseconds since 1970.
    time_of_day: AtomicU64,
    traps: Traps,
}

/// See the module.
#[derive(Clone, Default)]
pub struct World(Option<Arc<Simulated>>);

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulated = self.0.is_some();
        formatter.write_str(if simulated { "simulated" } else { "real" })
    }
}

impl World {
    /// A world for one engine: `runtime` has one thread and a time of its own, and all chance comes
    /// from `seed`. Some guards may be missing in it.
    #[doc(hidden)]
    #[must_use]
    pub fn simulated(runtime: Handle, seed: u64, traps: Traps) -> World {
        World(Some(Arc::new(Simulated {
            runtime,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            time_of_day: AtomicU64::new(0),
            traps,
        })))
    }

    /// Says what time of day it is in a simulated world, in milliseconds since 1970.
    #[doc(hidden)]
    pub fn set_time_of_day(&self, milliseconds: u64) {
        if let Some(simulated) = &self.0 {
            simulated.time_of_day.store(milliseconds, Ordering::Relaxed);
        }
    }

    /// The guards that are missing: none in the real world.
    pub(crate) fn traps(&self) -> Traps {
        self.0.as_ref().map_or(Traps::default(), |it| it.traps)
    }

    /// The runtime that an engine works on.
    pub(crate) fn runtime(&self) -> Result<Handle, EngineError> {
        match &self.0 {
            Some(simulated) => Ok(simulated.runtime.clone()),
            None => runtime(),
        }
    }

    /// 64 random bits.
    #[expect(clippy::disallowed_methods, reason = "this is the door to chance")]
    pub(crate) fn random(&self) -> u64 {
        match &self.0 {
            Some(simulated) => simulated.random.lock().random(),
            None => rand::random(),
        }
    }

    /// A number from 0 to below 1.
    pub(crate) fn random_share(&self) -> f64 {
        // 53 bits are what a float holds.
        (self.random() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Milliseconds since 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the time of day"
    )]
    pub(crate) fn time_of_day_ms(&self) -> f64 {
        match &self.0 {
            Some(simulated) => simulated.time_of_day.load(Ordering::Relaxed) as f64,
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                now.unwrap_or_default().as_millis() as f64
            }
        }
    }
}

/// Does work on the runtime of the caller, beside it; its lines are the caller's node's.
#[expect(clippy::disallowed_methods, reason = "this is the door to tasks")]
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work.with_current_subscriber())
}

/// Does work that may wait for the disk.
#[expect(clippy::disallowed_methods, reason = "this is the door to threads")]
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return Ok(work());
    }
    let log = tracing::dispatcher::get_default(Dispatch::clone);
    let work = move || with_default(&log, work);
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_what_chance_brings() {
        let runtime = runtime().unwrap();
        let draw = |seed| {
            let world = World::simulated(runtime.clone(), seed, Traps::default());
            [world.random(), world.random()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let real = World::default();
        assert_ne!(real.random(), real.random());
        for world in [real, World::simulated(runtime, 3, Traps::default())] {
            assert!((0..100).all(|_| (0.0..1.0).contains(&world.random_share())));
        }
    }

    #[test]
    fn the_time_of_day_is_the_systems_or_what_was_said() {
        let world = World::simulated(runtime().unwrap(), 1, Traps::default());
        world.set_time_of_day(7);
        assert_eq!(world.time_of_day_ms(), 7.0);
        assert!(World::default().time_of_day_ms() > 1.7e12);
    }
}
