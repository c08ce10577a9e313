//! What the layer above does with messages of other nodes.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::error::Refusal;
use crate::message::{NodeFault, Note, Request, Response};
use crate::snapshot_receiver::SnapshotStream;

/// Another node, as it said it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its id.
    pub node: u64,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its cluster's id; 0 as long as it has none.
    pub cluster: u64,
    /// Where it says it can be dialled.
    pub address: Arc<str>,
    /// The newest protocol that both sides speak.
    pub protocol: u32,
    /// Version of what its upper layers store and send.
    pub format_version: u32,
}

/// How a peer is, by the stream that this node dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// It can be called.
    Up,
    /// It cannot be called.
    Down {
        /// Since when.
        since: Instant,
    },
    /// It was started anew; what was under way to its former process has failed. Said once, at the
    /// first word from the new process, while the peer is down or has not been dialled.
    Restarted {
        /// The new incarnation.
        incarnation: u64,
    },
}

/// A stream that was refused, by either side. A refusal that repeats is reported now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedStream {
    /// The other node's id; 0 if it is not known.
    pub node: u64,
    /// The other node's address, as dialled or as advertised.
    pub address: Arc<str>,
    /// Why.
    pub refusal: Refusal,
}

/// Carries out what other nodes ask.
///
/// To be correct, an implementation must return from every method at once. The futures of one
/// stream are first polled in the order in which the other node sent the requests, each before the
/// next method is called; what must keep that order has to happen in that first poll. After it they
/// run side by side on the stream's task, so none may block. They are dropped when the stream ends.
pub trait Handler: Send + Sync + 'static {
    /// A request to this node's member of a group.
    fn request(
        &self,
        from: &PeerIdentity,
        group: u32,
        request: Request,
    ) -> BoxFuture<'static, Response>;

    /// A call of one of the upper layers' methods. `from` may have no cluster.
    fn node_call(
        &self,
        from: &PeerIdentity,
        method: u32,
        body: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, NodeFault>>;

    /// Something about a group that wants no answer.
    fn note(&self, from: &PeerIdentity, group: u32, note: Note);

    /// A snapshot begins. The future reads it from `pieces`, and its result is the sender's answer;
    /// an error is its text there. When a sender has given up and begins again, the future of its
    /// former attempt may still be running; the implementation keeps the two apart.
    fn snapshot(
        &self,
        from: &PeerIdentity,
        header: Bytes,
        pieces: SnapshotStream,
    ) -> BoxFuture<'static, Result<Bytes, String>>;

    /// A peer went up or down, or a node started anew. Called one after the other, in the order in
    /// which it happened.
    fn peer_changed(&self, node: u64, state: PeerState);

    /// A stream was refused.
    fn refused(&self, refused: RefusedStream);
}
