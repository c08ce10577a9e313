//! Nodes that an operator gave up for lost. Groups went on without the promises that they made, so
//! none of their messages may ever be taken again, and none is sent to them. This is durable: a
//! group that is opened listens to its members before its host knows anything.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::engine::{Engine, Shared};
use crate::error::EngineError;
use crate::identity::NodeIdentity;
use crate::limits::LOST_NODES_MAX;
use crate::raft::log_store::durable;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LostNodes(RwLock<Vec<u64>>);

impl LostNodes {
    /// As they were stored.
    pub(crate) fn new(stored: Vec<u64>) -> Self {
        Self(RwLock::new(stored))
    }

    /// Whether a node was given up.
    pub(crate) fn contains(&self, node: u64) -> bool {
        self.0.read().contains(&node)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<u64> {
        self.0.read().clone()
    }

    /// Adds those that are new; whether there are any.
    fn add(&self, nodes: &[u64]) -> bool {
        let mut known = self.0.write();
        let before = known.len();
        for node in nodes {
            if !known.contains(node) {
                known.push(*node);
            }
        }
        let added = known.len() > before;
        let over = known.len().saturating_sub(LOST_NODES_MAX);
        known.drain(..over);
        added
    }
}

impl Shared {
    /// Makes who this node is, with what changes of it, durable; one at a time.
    pub(crate) async fn save_identity(&self, cluster: u64) -> Result<(), EngineError> {
        let identity = NodeIdentity {
            cluster,
            lost: self.lost.all(),
            existing: self.gone.existing(),
            ..self.identity.clone()
        };
        let saved = durable(|done| self.journal.save_identity(identity.encode(), done)).await;
        saved.map_err(|error| {
            let stopped = self.failure();
            stopped.unwrap_or_else(|| EngineError::StorageFailed(error.to_string()))
        })
    }

    /// Why nothing of a node is taken, if it was given up for lost.
    pub(crate) fn check_not_lost(&self, node: u64) -> Result<(), EngineError> {
        if self.lost.contains(node) {
            let what =
                format!("node {node} was given up for lost, and the cluster went on without");
            return Err(EngineError::NodeLost(what));
        }
        Ok(())
    }
}

impl Engine {
    /// These nodes are lost for good: they are neither listened to nor dialled again, whatever they
    /// say. Durable when it returns.
    pub async fn give_up_nodes(&self, nodes: Vec<u64>) -> Result<(), EngineError> {
        self.run(give_up(self.0.clone(), nodes)).await
    }
}

async fn give_up(shared: Arc<Shared>, nodes: Vec<u64>) -> Result<(), EngineError> {
    let _settling = shared.settling.lock().await;
    shared.check_open()?;
    if nodes.contains(&shared.identity.node) {
        let what = "a node does not give itself up";
        return Err(EngineError::InvalidArgument(what.into()));
    }
    if !shared.lost.add(&nodes) {
        return Ok(());
    }
    if let Some(way) = shared.nodes.get() {
        way.transport().refuse_nodes(&nodes);
        nodes.iter().for_each(|node| way.forget(*node));
    }
    shared.save_identity(shared.cluster()).await
}
