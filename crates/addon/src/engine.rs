//! The class `NativeEngine`: the engine's functions under their own names. Groups are in
//! `groups.rs`, the way to other nodes is in `links.rs`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use napi::{
    Env,
    bindgen_prelude::{ArrayBuffer, Object, Uint32ArraySlice},
    noop_finalize,
};
use napi_derive::napi;
use raft_kv_engine::{Engine, EngineOptions};

use crate::{
    arguments::{id, integer, integer_between, number},
    delivery::{Delivery, EventBytes, OnEvents},
    errors::{Failure, Result, from_engine, from_napi, from_panic, invalid},
    limits::{EVENTS_BYTES_MAX, HASH_MAX},
    options::{NativeIdentity, NativeOptions, NativeStatistics},
    promise::{Pending, promise},
    teardown,
};

/// Numbers engines within the process.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// An open engine. It holds the process alive until `close` or `unref`.
#[napi]
pub struct NativeEngine {
    number: u64,
    pub(crate) delivery: Arc<Delivery>,
}

#[napi]
impl NativeEngine {
    /// Opens an engine. `onEvents` may be called before the promise resolves. When `more` is true,
    /// and after `hold`, the rest is pulled: call `drain` until it returns null.
    #[napi(strict, catch_unwind, ts_return_type = "Promise<NativeEngine>")]
    pub fn open<'env>(
        env: &'env Env,
        options: NativeOptions,
        #[napi(ts_arg_type = "(events: Buffer | null, more: boolean) => void")] on_events: OnEvents<
            '_,
        >,
    ) -> Result<Object<'env>> {
        teardown::claim_thread(env)?;
        let engine_options = options.engine_options()?;
        let delivery = Arc::new(Delivery::new(options.batch_bytes_max()?));
        // The promise comes last: one that never reached the caller must not be rejected.
        delivery.listen(&on_events)?;
        let (pending, promise) = Pending::new(env).inspect_err(|_| drop(delivery.detach()))?;
        let open = move || {
            let outcome = open_engine(engine_options, &delivery);
            if outcome.is_err() {
                delivery.detach();
            }
            pending.settle_with(outcome, move |env, engine| {
                Self::opened(&env, delivery, engine)
            });
        };
        // Recovery may take seconds. A thread that cannot start drops the promise, rejecting it.
        let _started = thread::Builder::new()
            .name("raft-kv-open".into())
            .spawn(open);
        Ok(promise)
    }

    fn opened(env: &Env, delivery: Arc<Delivery>, engine: Engine) -> Result<Self> {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        teardown::register(number, engine.clone());
        delivery.keep_alive(env, true)?;
        delivery.attach(engine);
        Ok(Self { number, delivery })
    }

    /// Closes the engine; what is queued can still be drained. Idempotent.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let Ok(engine) = self.delivery.engine() else {
            let (pending, promise) = Pending::new(env)?;
            pending.settle(Ok(()));
            return Ok(promise);
        };
        let closing = engine.clone();
        promise(env, &engine, async move { closing.close().await })
    }

    /// Ends the engine as if the process had died, for tests. Idempotent.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn kill<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let engine = self.delivery.engine()?;
        let killed = engine.clone();
        promise(env, &engine, async move { killed.kill().await })
    }

    /// Lets go of the closed engine and of `onEvents`, and returns the events that were still
    /// queued. Only then can a closed engine's memory be freed.
    #[napi(catch_unwind, ts_return_type = "Buffer | null")]
    pub fn release(&self) -> Option<EventBytes> {
        teardown::unregister(self.number);
        self.delivery.detach()
    }

    /// Holds the process alive while the engine is open; so it is after `open`.
    #[napi(catch_unwind, js_name = "ref")]
    pub fn hold_process(&self, env: &Env) -> Result<()> {
        self.delivery.keep_alive(env, true)
    }

    /// Lets the process end although the engine is open.
    #[napi(catch_unwind, js_name = "unref")]
    pub fn release_process(&self, env: &Env) -> Result<()> {
        self.delivery.keep_alive(env, false)
    }

    /// Which node and cluster this is.
    #[napi(catch_unwind)]
    pub fn identity(&self) -> Result<NativeIdentity> {
        self.delivery.with_engine(|engine| {
            let identity = engine.identity();
            Ok(NativeIdentity {
                cluster: identity.cluster as f64,
                node: identity.node as f64,
                incarnation: identity.incarnation,
                cluster_name: identity.cluster_name.clone(),
            })
        })
    }

    /// Takes the first `byteLength` bytes of `records`, which are copied.
    #[napi(catch_unwind)]
    pub fn submit(&self, records: &[u8], byte_length: f64, acknowledged: f64) -> Result<()> {
        let length = integer("byteLength", byte_length, records.len() as u64)? as usize;
        let acknowledged = number("acknowledged", acknowledged)?;
        self.delivery.with_engine(|engine| {
            engine
                .submit(&records[..length], acknowledged)
                .map_err(|error| from_engine(&error))
        })
    }

    /// The next events, or null, which ends the pulling.
    #[napi(catch_unwind, ts_return_type = "Buffer | null")]
    pub fn drain(&self, max_bytes: f64) -> Result<Option<EventBytes>> {
        let bytes_max = integer_between("maxBytes", max_bytes, 1, EVENTS_BYTES_MAX)?;
        Ok(self.delivery.drain(bytes_max as usize))
    }

    /// Keeps back further calls of `onEvents` until `drain` has returned null.
    #[napi(catch_unwind)]
    pub fn hold(&self) {
        self.delivery.hold();
    }

    /// Makes the route table of a keyspace, or replaces it.
    #[napi(catch_unwind)]
    pub fn set_routes(
        &self,
        keyspace: f64,
        name: String,
        starts: &[u32],
        groups: &[u32],
    ) -> Result<()> {
        let keyspace = id("keyspace", keyspace)?;
        self.delivery.with_engine(|engine| {
            engine
                .set_routes(keyspace, &name, starts, groups)
                .map_err(|error| from_engine(&error))
        })
    }

    /// Forgets a keyspace.
    #[napi(catch_unwind)]
    pub fn remove_routes(&self, keyspace: f64) -> Result<()> {
        let keyspace = id("keyspace", keyspace)?;
        self.delivery.with_engine(|engine| {
            engine.remove_routes(keyspace);
            Ok(())
        })
    }

    /// Writes the hash and the fingerprint of an encoded key into `result`; false when there is no
    /// such keyspace.
    #[napi(catch_unwind)]
    #[allow(
        unsafe_code,
        reason = "N-API's only way to write into the caller's array"
    )]
    pub fn hash_key(
        &self,
        keyspace: f64,
        key: &[u8],
        mut result: Uint32ArraySlice<'_>,
    ) -> Result<bool> {
        let keyspace = id("keyspace", keyspace)?;
        if result.len() < 2 {
            return Err(invalid("result must have room for two numbers"));
        }
        let found = self
            .delivery
            .with_engine(|engine| Ok(engine.hash_key(keyspace, key)))?;
        let Some(found) = found else { return Ok(false) };
        // SAFETY: JavaScript waits for this call, and `key`, which may overlap, is not read again.
        let words = unsafe { result.as_mut() };
        (words[0], words[1]) = (found.hash, found.fingerprint);
        Ok(true)
    }

    /// The group that owns a hash, or null.
    #[napi(catch_unwind)]
    pub fn find_group(&self, keyspace: f64, hash: f64) -> Result<Option<u32>> {
        let keyspace = id("keyspace", keyspace)?;
        let hash = integer("hash", hash, HASH_MAX)? as u32;
        self.delivery
            .with_engine(|engine| Ok(engine.find_group(keyspace, hash)))
    }

    /// Answers the event "leader ready".
    #[napi(catch_unwind)]
    pub fn host_ready(&self, group: f64, term: f64) -> Result<()> {
        let (group, term) = (id("group", group)?, number("term", term)?);
        self.delivery.with_engine(|engine| {
            engine.host_ready(group, term);
            Ok(())
        })
    }

    /// Takes the next piece of a snapshot; false asks to let the disk catch up.
    #[napi(catch_unwind)]
    pub fn snapshot_piece(&self, group: f64, number: f64, piece: &[u8]) -> Result<bool> {
        let (group, number) = (id("group", group)?, self::number("number", number)?);
        self.delivery.with_engine(|engine| {
            engine
                .snapshot_piece(group, number, piece)
                .map_err(|error| from_engine(&error))
        })
    }

    /// Completes a snapshot.
    #[napi(catch_unwind)]
    pub fn finish_snapshot(&self, group: f64, number: f64) -> Result<()> {
        let (group, number) = (id("group", group)?, self::number("number", number)?);
        self.delivery.with_engine(|engine| {
            engine.finish_snapshot(group, number);
            Ok(())
        })
    }

    /// Gives a snapshot up.
    #[napi(catch_unwind)]
    pub fn fail_snapshot(&self, group: f64, number: f64, reason: String) -> Result<()> {
        let (group, number) = (id("group", group)?, self::number("number", number)?);
        self.delivery.with_engine(|engine| {
            engine.fail_snapshot(group, number, &reason);
            Ok(())
        })
    }

    /// Counters since the engine was opened.
    #[napi(catch_unwind)]
    pub fn statistics(&self) -> Result<NativeStatistics> {
        self.delivery
            .with_engine(|engine| Ok(engine.statistics().into()))
    }

    /// The lease slots: Int32, to be read with `Atomics.load`. One buffer serves the process.
    #[napi(catch_unwind)]
    #[allow(
        unsafe_code,
        reason = "the one place where JavaScript reads Rust's memory"
    )]
    pub fn leases<'env>(&self, env: &'env Env) -> Result<ArrayBuffer<'env>> {
        let slots = self
            .delivery
            .with_engine(|engine| Ok(engine.lease_slots()))?;
        let memory = slots.as_ptr().cast_mut().cast::<u8>();
        // SAFETY: the slots live as long as the process and are never moved, so there is nothing to
        // finalize; both sides touch them by atomic operations only, and JavaScript only reads.
        let buffer = unsafe {
            ArrayBuffer::from_external(env, memory, size_of_val(slots), (), noop_finalize)
        }
        .map_err(from_napi)?;
        // Where foreign memory is forbidden N-API hands out a copy, which would never change: a
        // lease in it would be believed for ever.
        if buffer.as_ptr() != memory {
            return Err(invalid(
                "this JavaScript runtime does not allow memory shared with addons",
            ));
        }
        Ok(buffer)
    }
}

fn open_engine(options: EngineOptions, delivery: &Arc<Delivery>) -> Result<Engine> {
    let host = delivery.clone();
    catch_unwind(AssertUnwindSafe(|| Engine::open(options, host)))
        .map_err(|payload| from_panic(&*payload))
        .and_then(|opened| {
            opened.map_err(|error: raft_kv_engine::EngineError| -> Failure { from_engine(&error) })
        })
}
