//! The one runtime of the process, shared by all engines.
//!
//! One worker thread: what a command needs runs on it one after the other, so that the only
//! threads a command visits are the caller's, this one, and the journal's. Never dropped: dropping
//! a runtime blocks, and an engine may be dropped anywhere.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::EngineError;
use crate::limits::BLOCKING_THREADS_MAX;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// A handle of the runtime, which is started by the first call.
pub(crate) fn runtime() -> Result<Handle, EngineError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("raft-kv-engine")
        .enable_all()
        .build()
        .map_err(|error| EngineError::StorageFailed(format!("no thread to run on: {error}")))?;
    if let Err(spare) = RUNTIME.set(runtime) {
        spare.shutdown_background();
    }
    Ok(RUNTIME
        .get()
        .expect("set just now, here or by another thread")
        .handle()
        .clone())
}
