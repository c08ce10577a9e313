//! Nodes that this one is cut off from: how tests make a partition of a real network. A stream goes
//! in both directions or not at all, as with any network that loses packets; but each node has one of
//! its own, so that one may reach the other and not be reached.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::core::Core;
use crate::error::CallError;

/// Why a stream is not there.
pub(crate) const REASON: &str = "cut off by a test";

/// See the module.
#[derive(Default)]
pub(crate) struct Cuts(RwLock<Sets>);

#[derive(Default)]
struct Sets {
    to: HashSet<u64>,
    from: HashSet<u64>,
}

impl Cuts {
    /// No stream is made to the node.
    pub(crate) fn to(&self, node: u64) -> bool {
        self.0.read().to.contains(&node)
    }

    /// No stream of the node is taken.
    pub(crate) fn from(&self, node: u64) -> bool {
        self.0.read().from.contains(&node)
    }

    /// As [`Cuts::to`], when a stream is about to be made.
    pub(crate) fn check_to(&self, node: u64) -> Result<(), CallError> {
        if self.to(node) {
            return Err(CallError::unreachable(REASON));
        }
        Ok(())
    }
}

impl Core {
    /// Takes the place of all cuts from before. Streams that are cut end at once; what was sent on
    /// them may have arrived.
    pub(crate) fn cut_off(self: &Arc<Self>, to: &[u64], from: &[u64]) {
        *self.cuts.0.write() = Sets {
            to: to.iter().copied().collect(),
            from: from.iter().copied().collect(),
        };
        // Whoever is let in later has seen the cuts.
        self.end_accepted(|node| self.cuts.from(node), REASON);
        for lane in self.lanes() {
            if self.cuts.to(lane.node()) {
                lane.cut(self, REASON);
            } else {
                lane.hasten();
            }
        }
    }
}
