//! The keyspaces that this node knows: how to hash their keys, and which groups serve them.

use std::collections::HashMap;

use parking_lot::{RwLock, RwLockReadGuard};
use raft_kv_routing::{KeyHash, KeyspaceHasher, RouteError, RouteTable};

/// One keyspace.
#[derive(Debug)]
pub(crate) struct Keyspace {
    hasher: KeyspaceHasher,
    table: RouteTable,
}

impl Keyspace {
    /// Hashes a key of the keyspace.
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        self.hasher.hash(key)
    }

    /// The group that serves a hash.
    pub(crate) fn find(&self, hash: u32) -> Option<u32> {
        self.table.find(hash)
    }
}

/// All keyspaces by their numbers.
pub(crate) type Keyspaces = HashMap<u32, Keyspace>;

/// The routes of an engine.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    keyspaces: RwLock<Keyspaces>,
}

impl Routes {
    /// Sets or replaces a keyspace's routes.
    pub(crate) fn set(
        &self,
        keyspace: u32,
        name: &str,
        starts: &[u32],
        groups: &[u32],
    ) -> Result<(), RouteError> {
        let table = RouteTable::new(starts, groups)?;
        let hasher = KeyspaceHasher::new(name);
        self.keyspaces
            .write()
            .insert(keyspace, Keyspace { hasher, table });
        Ok(())
    }

    /// Forgets a keyspace.
    pub(crate) fn remove(&self, keyspace: u32) {
        self.keyspaces.write().remove(&keyspace);
    }

    /// A look at all keyspaces.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Keyspaces> {
        self.keyspaces.read()
    }
}
