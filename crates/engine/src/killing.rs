//! Ends an engine for tests, as nearly as a part of a process can as if the process had died.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;

use crate::engine::{Engine, Shared};
use crate::error::EngineError;
use crate::lifecycle;
use crate::world::blocking;

impl Engine {
    /// For tests: ends as nearly as a part of a process can as if the process had died. Other nodes
    /// lose it at once, nothing is handed over, and what waits is not written. What was acknowledged
    /// was on the disk before. Frees the directory.
    pub async fn kill(&self) -> Result<(), EngineError> {
        self.run(kill(self.0.clone())).await
    }
}

async fn kill(shared: Arc<Shared>) -> Result<(), EngineError> {
    let mut closed = shared.closed.lock().await;
    if let Some(result) = closed.as_ref() {
        return result.clone();
    }
    shared.closing.store(true, Ordering::SeqCst);
    let groups = shared.all();
    groups.iter().for_each(|group| group.halt());
    // First of all, so that nothing of what follows is seen.
    if let Some(nodes) = shared.nodes.get() {
        nodes.transport().close().await;
    }
    let journal = shared.journal.clone();
    let abandoned = blocking(move || journal.abandon()).await;
    join_all(
        groups
            .iter()
            .map(|group| lifecycle::kill(&shared, group.id)),
    )
    .await;
    shared.proposer.stop();
    shared.timer.stop();
    let result = abandoned
        .map_err(|error| EngineError::StorageFailed(format!("leaving the journal: {error}")));
    *closed = Some(result.clone());
    result
}
