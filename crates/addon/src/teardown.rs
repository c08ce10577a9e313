//! Closes what is still open when the JavaScript environment ends, within a bounded time, so that
//! what the durability mode promised less for ("buffered") is written and threads do not outlive
//! the environment.

use std::{
    sync::{
        OnceLock,
        mpsc::{RecvTimeoutError, channel},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use napi::Env;
use parking_lot::Mutex;
use raft_kv_engine::Engine;

use crate::{
    errors::{Result, from_napi, invalid},
    limits::TEARDOWN_CLOSE_MS_MAX,
};

/// The one JavaScript thread that engines were opened on.
static OWNER: OnceLock<ThreadId> = OnceLock::new();

/// Engines that are open, by the number they were registered with.
static OPEN: Mutex<Vec<(u64, Engine)>> = Mutex::new(Vec::new());

/// Refuses every JavaScript thread but the first, and sees to it that its end closes its engines.
pub fn claim_thread(env: &Env) -> Result<()> {
    let this = thread::current().id();
    if let Some(owner) = OWNER.get() {
        return if *owner == this {
            Ok(())
        } else {
            Err(invalid(WORKER_MESSAGE))
        };
    }
    env.add_env_cleanup_hook((), |()| close_all())
        .map_err(from_napi)?;
    OWNER.get_or_init(|| this);
    Ok(())
}

const WORKER_MESSAGE: &str =
    "worker threads are not supported yet: open raft-kv on the main thread";

/// Notes that `engine` is open.
pub fn register(number: u64, engine: Engine) {
    OPEN.lock().push((number, engine));
}

/// Notes that the engine is closed.
pub fn unregister(number: u64) {
    OPEN.lock().retain(|(other, _)| *other != number);
}

fn close_all() {
    let deadline = Instant::now() + Duration::from_millis(TEARDOWN_CLOSE_MS_MAX);
    let engines = std::mem::take(&mut *OPEN.lock());
    let (sender, closed) = channel::<()>();
    for (_, engine) in &engines {
        let (engine_to_close, sender) = (engine.clone(), sender.clone());
        engine.spawn(async move {
            if let Err(error) = engine_to_close.close().await {
                tracing::error!(%error, "an engine could not be closed as the process ended");
            }
            drop(sender);
        });
    }
    drop(sender);
    // Nothing is ever sent: the channel disconnects when the last engine has closed.
    let remaining = deadline.saturating_duration_since(Instant::now());
    match closed.recv_timeout(remaining) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => {
            tracing::error!(
                waited_ms = TEARDOWN_CLOSE_MS_MAX,
                "the process ends before every engine was closed"
            );
        }
    }
}
