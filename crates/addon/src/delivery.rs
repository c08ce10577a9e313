//! Gives the engine's events to JavaScript: one wake-up of the event loop, one buffer.
//!
//! The engine wakes when its queue turns from empty to filled. The wake-up runs on the JavaScript
//! thread, drains up to a byte limit there and calls `onEvents`. What is left over belongs to
//! JavaScript, which *pulls* it by `drain` until that returns null; while it pulls, wake-ups
//! deliver nothing, so events arrive in order and each once. None is lost: `drain` leaves the
//! pulling state before it looks into the queue and enters it again if it found something, so an
//! event is either seen by that look or its wake-up goes through.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use napi::{
    Env, Status,
    bindgen_prelude::{BufferSlice, FnArgs, Function, ToNapiValue},
    sys,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue},
};
use parking_lot::{Mutex, RwLock};
use raft_kv_engine::{Engine, StateMachineHost};

use crate::{
    errors::{Result, closed, from_napi},
    limits::SPARE_BYTES_MAX,
};

/// What `onEvents` is called with: the events, if any, and whether more wait.
pub type EventArguments = FnArgs<(Option<EventBytes>, bool)>;

/// The function that JavaScript gave for events.
pub type OnEvents<'env> = Function<'env, EventArguments, UnknownReturnValue>;

/// Weak: by itself it does not hold the process alive.
type Wake = ThreadsafeFunction<(), UnknownReturnValue, EventArguments, Status, false, true, 0>;

/// Whole events, on their way into a buffer of JavaScript's own. They are copied: measured, that is
/// as quick as lending the memory, and is not held up by the collector. The buffer starts an
/// ArrayBuffer of its own, and its length is a multiple of 4, because every event's is: an
/// `Int32Array` may be laid over it.
pub struct EventBytes {
    bytes: Vec<u8>,
    /// Where the memory goes to be used again.
    spare: Arc<Mutex<Vec<u8>>>,
}

impl ToNapiValue for EventBytes {
    // SAFETY: the signature is the trait's; the caller vouches for `env`, and nothing else is used.
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> napi::Result<sys::napi_value> {
        let buffer = BufferSlice::copy_from(&Env::from_raw(env), &value.bytes)?;
        // SAFETY: as above.
        unsafe { BufferSlice::to_napi_value(env, buffer) }
    }
}

impl Drop for EventBytes {
    fn drop(&mut self) {
        if self.bytes.capacity() <= SPARE_BYTES_MAX {
            self.bytes.clear();
            *self.spare.lock() = std::mem::take(&mut self.bytes);
        }
    }
}

/// One engine's way to JavaScript; the engine's host. Empty again once the engine is closed.
pub struct Delivery {
    engine: RwLock<Option<Engine>>,
    wake: RwLock<Option<Wake>>,
    pulling: AtomicBool,
    batch_bytes_max: usize,
    spare: Arc<Mutex<Vec<u8>>>,
}

impl StateMachineHost for Delivery {
    fn wake(&self) {
        if self.pulling.load(Ordering::SeqCst) {
            return;
        }
        if let Some(wake) = &*self.wake.read() {
            // A refusal means that the JavaScript environment ends: nobody is left to be told.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Delivery {
    /// A delivery without an engine; nothing is given out before `attach`.
    pub fn new(batch_bytes_max: usize) -> Self {
        Self {
            engine: RwLock::new(None),
            wake: RwLock::new(None),
            pulling: AtomicBool::new(false),
            batch_bytes_max,
            spare: Arc::default(),
        }
    }

    /// Makes `on_events` what wake-ups call.
    pub fn listen(self: &Arc<Self>, on_events: &OnEvents<'_>) -> Result<()> {
        let delivery = self.clone();
        let wake = on_events
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |_| Ok(delivery.next_batch().into()))
            .map_err(from_napi)?;
        *self.wake.write() = Some(wake);
        Ok(())
    }

    /// Starts giving out the events of `engine`.
    pub fn attach(&self, engine: Engine) {
        *self.engine.write() = Some(engine);
        // Wake-ups from before found no engine to drain.
        self.wake();
    }

    /// The engine, until it is closed.
    pub fn engine(&self) -> Result<Engine> {
        self.engine.read().clone().ok_or_else(closed)
    }

    /// Runs `call` on the engine without counting its references up and down.
    pub fn with_engine<T>(&self, call: impl FnOnce(&Engine) -> Result<T>) -> Result<T> {
        self.engine
            .read()
            .as_ref()
            .ok_or_else(closed)
            .and_then(call)
    }

    /// Lets go of the engine and of the JavaScript function, and returns the events that were still
    /// queued.
    pub fn detach(&self) -> Option<EventBytes> {
        let rest = self.take(usize::MAX).0;
        // Taken out under the lock, dropped outside it.
        let (engine, wake) = (self.engine.write().take(), self.wake.write().take());
        drop((engine, wake));
        rest
    }

    /// Holds the process alive, or lets it end.
    #[expect(
        deprecated,
        reason = "the replacement that the note names cannot ref or unref"
    )]
    pub fn keep_alive(&self, env: &Env, keep: bool) -> Result<()> {
        match &mut *self.wake.write() {
            None => Ok(()),
            Some(wake) if keep => wake.refer(env).map_err(from_napi),
            Some(wake) => wake.unref(env).map_err(from_napi),
        }
    }

    /// Keeps back further calls of `onEvents` until `drain` has returned nothing.
    pub fn hold(&self) {
        self.pulling.store(true, Ordering::SeqCst);
    }

    /// The next events for JavaScript that pulls; nothing ends the pulling.
    pub fn drain(&self, bytes_max: usize) -> Option<EventBytes> {
        self.pulling.store(false, Ordering::SeqCst);
        let (events, _) = self.take(bytes_max);
        if events.is_some() {
            self.pulling.store(true, Ordering::SeqCst);
        }
        events
    }

    /// What a wake-up delivers.
    fn next_batch(&self) -> (Option<EventBytes>, bool) {
        if self.pulling.load(Ordering::SeqCst) {
            return (None, false);
        }
        // A panic must not unwind into the event loop; the engine has reported it to its log.
        let (events, more) = catch_unwind(AssertUnwindSafe(|| self.take(self.batch_bytes_max)))
            .unwrap_or((None, false));
        if more {
            self.pulling.store(true, Ordering::SeqCst);
        }
        (events, more)
    }

    fn take(&self, bytes_max: usize) -> (Option<EventBytes>, bool) {
        let bytes = std::mem::take(&mut *self.spare.lock());
        let mut events = EventBytes {
            bytes,
            spare: self.spare.clone(),
        };
        let more = match &*self.engine.read() {
            Some(engine) => engine.drain(&mut events.bytes, bytes_max),
            None => false,
        };
        debug_assert!(
            events.bytes.len().is_multiple_of(4),
            "events are whole words"
        );
        ((!events.bytes.is_empty()).then_some(events), more)
    }
}
