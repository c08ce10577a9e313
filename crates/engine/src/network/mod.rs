//! The way to the engines of other nodes: the seam [`Peers`], and what carries messages over it.
//!
//! Messages are the transport's. Entries are bytes in the engine's own versioned form and need no
//! further encoding. Requests are few kinds; whatever else two engines have to say to each other
//! goes as a call with a method number and a body that only the engines read.

mod addresses;
mod handler;
mod nodes;

use std::io;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
pub use raft_kv_transport::{
    AppendRequest, AppendResponse, LogId, Request, Response, TransferRequest, Vote, VoteRequest,
    VoteResponse,
};

pub(crate) use addresses::AddressBook;
pub(crate) use handler::Receiver;
pub(crate) use nodes::{Nodes, transport_error};

/// A node, and where it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub node: u64,
    /// Where it is reached; opaque to the engine.
    pub address: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It was not sent: the node got nothing.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The node cannot be reached, or did not answer in time. The request may have been taken.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The node answered that it does not take this.
    #[error("{0}")]
    Refused(String),
}

/// An answer to come.
pub type Answer<T> = BoxFuture<'static, Result<T, PeerError>>;

/// Gives the bytes of a snapshot from an offset on.
pub type Pieces =
    Box<dyn FnOnce(u64) -> BoxStream<'static, io::Result<Bytes>> + Send + Sync + 'static>;

/// Carries messages to other nodes.
///
/// To be correct, an implementation must queue a request when it is called, not when the answer is
/// first polled, and deliver requests and calls to one node in the order of the calls; it may lose
/// any of them, and says `NotSent` only of what the node certainly did not get. It must end every
/// answer in bounded time, and bound what waits for a node.
pub trait Peers: Send + Sync + 'static {
    /// Sends a request to the member of `group` on a node.
    fn request(&self, node: &Member, group: u32, request: Request) -> Answer<Response>;

    /// Sends a snapshot; see [`Engine::deliver_snapshot`](crate::Engine). Apart from requests, and
    /// only as quickly as the node takes it. Ends also when the node goes away.
    fn snapshot(&self, node: &Member, header: Bytes, pieces: Pieces) -> Answer<Bytes>;

    /// Asks a node's engine something else; see [`Engine::answer_call`](crate::Engine).
    fn call(&self, node: &Member, method: u32, body: Bytes) -> Answer<Bytes>;
}

/// A snapshot that comes in.
pub trait IncomingPieces: Send + 'static {
    /// From which byte on the pieces are wanted; said before the first one is asked for.
    fn start_at(&mut self, offset: u64);

    /// The next bytes, or `None` after the last ones. May be cut anywhere. Dropping the future
    /// loses nothing that was not given.
    fn next(&mut self) -> BoxFuture<'_, Option<io::Result<Bytes>>>;
}
