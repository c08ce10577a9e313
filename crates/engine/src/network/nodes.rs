//! Other nodes by the transport: finds a peer by its node id, and says what became of a message in
//! the engine's terms.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::RwLock;
use raft_kv_transport::{
    CallError, Peer, RefusalReason, Request, Response, SnapshotError, Transport, TransportError,
};

use crate::error::EngineError;
use crate::host_calls::{Answered, from_fault};
use crate::limits::{CALL_WAIT, REQUEST_WAIT};
use crate::links::method;
use crate::network::addresses::AddressBook;
use crate::network::{Answer, Member, PeerError, Peers, Pieces};

/// See the module.
pub(crate) struct Nodes {
    transport: Transport,
    book: Arc<AddressBook>,
    peers: RwLock<HashMap<u64, Peer>>,
}

/// The transport's clock is the system's.
fn until(wait: Duration) -> std::time::Instant {
    (tokio::time::Instant::now() + wait).into_std()
}

fn not_sent<T: Send + 'static>(why: &str) -> Answer<T> {
    std::future::ready(Err(PeerError::NotSent(why.into()))).boxed()
}

fn peer_error(error: CallError) -> PeerError {
    match error {
        CallError::Failed(fault) => PeerError::Refused(fault.to_string()),
        error if error.outcome_unknown() => PeerError::Unreachable(error.to_string()),
        error => PeerError::NotSent(error.to_string()),
    }
}

fn snapshot_error(error: SnapshotError) -> PeerError {
    match error {
        SnapshotError::Call(error) => peer_error(error),
        SnapshotError::Receiver(text) => PeerError::Refused(text),
        SnapshotError::Source(_) | SnapshotError::Damaged(_) => {
            PeerError::Unreachable(error.to_string())
        }
    }
}

/// What a host hears of a call that has no answer.
fn call_error(error: CallError) -> EngineError {
    match error {
        CallError::Failed(fault) => from_fault(fault),
        CallError::Overloaded => EngineError::Overloaded(error.to_string()),
        CallError::TooLong(_) => EngineError::InvalidArgument(error.to_string()),
        CallError::Refused(refusal) => match refusal.reason {
            RefusalReason::OtherName | RefusalReason::OtherCluster => {
                EngineError::OtherCluster(refusal.to_string())
            }
            RefusalReason::LostNode => EngineError::NodeLost(refusal.to_string()),
            _ => EngineError::NotSent(refusal.to_string()),
        },
        error if error.outcome_unknown() => EngineError::TimedOut(error.to_string()),
        error => EngineError::NotSent(error.to_string()),
    }
}

/// Why listening, or belonging to a cluster, did not work.
pub(crate) fn transport_error(error: TransportError) -> EngineError {
    let text = error.to_string();
    match error {
        TransportError::AddressInUse(_) => EngineError::AddressInUse(text),
        TransportError::ClusterFixed { .. } => EngineError::OtherCluster(text),
        TransportError::CannotListen { .. }
        | TransportError::InvalidTls(_)
        | TransportError::InvalidOption(_) => EngineError::InvalidOption(text),
    }
}

impl Nodes {
    /// The nodes that `transport` reaches.
    pub(crate) fn new(transport: Transport, book: Arc<AddressBook>) -> Self {
        Self {
            transport,
            book,
            peers: RwLock::default(),
        }
    }

    /// This node's end.
    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    fn peer(&self, node: u64, address: &str) -> Option<Peer> {
        if let Some(peer) = self.peers.read().get(&node) {
            return Some(peer.clone());
        }
        let known = self.book.get(node);
        let address = known.as_deref().unwrap_or(address);
        if address.is_empty() {
            return None;
        }
        let mut peers = self.peers.write();
        let peer = peers
            .entry(node)
            .or_insert_with(|| self.transport.peer(node, address));
        Some(peer.clone())
    }

    /// A node is reached at another address from now on.
    pub(crate) fn moved(&self, node: u64, address: &str) {
        let mut peers = self.peers.write();
        if let Some(peer) = peers.get_mut(&node) {
            *peer = self.transport.peer(node, address);
        }
    }

    /// Starts to connect to a node, and keeps to it.
    pub(crate) fn watch(&self, node: u64) {
        if let Some(peer) = self.peer(node, "") {
            peer.connect();
        }
    }

    /// Ends the streams to a node and forgets it.
    pub(crate) fn forget(&self, node: u64) {
        self.peers.write().remove(&node);
        self.transport.forget(node);
    }

    /// The incarnation of a node's process that answered last.
    pub(crate) fn incarnation(&self, node: u64) -> Option<u64> {
        let peer = self.peers.read().get(&node).cloned();
        peer?.identity().map(|identity| identity.incarnation)
    }

    /// Calls a node's host.
    pub(crate) async fn call_host(
        &self,
        node: u64,
        body: Bytes,
        wait: Duration,
    ) -> Result<Bytes, EngineError> {
        let Some(peer) = self.peer(node, "") else {
            let what = format!("nothing says where node {node} is reached");
            return Err(EngineError::NotSent(what));
        };
        let answer = peer.call(method::HOST, body, until(wait)).await;
        answer.map_err(call_error)
    }

    /// Calls the host of whatever node is at an address; `None`: this node is there itself.
    pub(crate) async fn call_host_at(
        &self,
        address: &str,
        body: Bytes,
        wait: Duration,
    ) -> Result<Option<Answered>, EngineError> {
        let calling = self
            .transport
            .call_address(address, method::HOST, body, wait);
        match calling.await {
            Ok((identity, body)) => Ok(Some(Answered {
                node: identity.node,
                incarnation: identity.incarnation,
                cluster: identity.cluster,
                address: identity.address.to_string(),
                body,
            })),
            Err(CallError::Refused(refusal)) if refusal.reason == RefusalReason::OwnNode => {
                Ok(None)
            }
            Err(error) => Err(call_error(error)),
        }
    }
}

impl Peers for Nodes {
    fn request(&self, node: &Member, group: u32, request: Request) -> Answer<Response> {
        let Some(peer) = self.peer(node.node, &node.address) else {
            return not_sent("nothing says where the node is reached");
        };
        let answer = peer.request(group, request, until(REQUEST_WAIT));
        answer.map(|answer| answer.map_err(peer_error)).boxed()
    }

    fn snapshot(&self, node: &Member, header: Bytes, pieces: Pieces) -> Answer<Bytes> {
        let Some(peer) = self.peer(node.node, &node.address) else {
            return not_sent("nothing says where the node is reached");
        };
        let answer = peer.send_snapshot(header, pieces);
        answer.map(|answer| answer.map_err(snapshot_error)).boxed()
    }

    fn call(&self, node: &Member, method: u32, body: Bytes) -> Answer<Bytes> {
        let Some(peer) = self.peer(node.node, &node.address) else {
            return not_sent("nothing says where the node is reached");
        };
        let answer = peer.call(method, body, until(CALL_WAIT));
        answer.map(|answer| answer.map_err(peer_error)).boxed()
    }
}
