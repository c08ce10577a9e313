//! One lock for each group that is being opened, closed or removed.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// See the module.
#[derive(Default)]
pub(crate) struct GroupLocks(Mutex<HashMap<u32, Lock>>);

impl GroupLocks {
    /// Waits until nothing else is being done with the group.
    pub(crate) async fn hold(&self, group: u32) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock();
            locks.retain(|id, lock| *id == group || Arc::strong_count(lock) > 1);
            locks.entry(group).or_default().clone()
        };
        lock.lock_owned().await
    }
}
