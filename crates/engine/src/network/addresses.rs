//! Where nodes are reached, as far as that is known better than memberships know it: nodes that
//! were started anew at another address say so themselves, and hosts are told.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits::ADDRESSES_MAX;

/// See the module.
#[derive(Default)]
pub(crate) struct AddressBook(Mutex<HashMap<u64, Arc<str>>>);

impl AddressBook {
    /// Notes where a node is reached; whether that is news.
    pub(crate) fn set(&self, node: u64, address: &str) -> bool {
        let mut book = self.0.lock();
        if book.get(&node).is_some_and(|known| **known == *address) {
            return false;
        }
        if book.len() >= ADDRESSES_MAX && !book.contains_key(&node) {
            tracing::warn!(node, "the address is not noted: too many are");
            return false;
        }
        book.insert(node, address.into());
        true
    }

    /// Where a node is reached, if that was said.
    pub(crate) fn get(&self, node: u64) -> Option<Arc<str>> {
        self.0.lock().get(&node).cloned()
    }

    /// All nodes that are noted.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        self.0.lock().keys().copied().collect()
    }

    /// Forgets a node.
    pub(crate) fn forget(&self, node: u64) {
        self.0.lock().remove(&node);
    }
}
