//! Messages between the nodes of a cluster.
//!
//! Each node keeps one HTTP/2 stream to each other node, for its own requests of all groups; the
//! answers come back on it. What waits shares frames. Snapshots go on connections of their own.
//!
//! Promises:
//! - Requests to a peer arrive, and are first polled there, in the order of the calls; each is
//!   settled exactly once, and its error says whether the peer may have got it.
//! - A peer that is down costs a bounded amount of memory: calls fail at once.
//! - Who belongs to another cluster, is an older process of a node, or a copy of one, is refused,
//!   and both sides learn why.
//! - With TLS, both sides show a certificate of the cluster's authority before anything is said.
//! - Whatever bytes come in, nothing panics, and no more memory is taken than `limits.rs` says.
//!
//! May not: know anything of Raft beyond the messages' fields, of what node calls mean, or of
//! openraft.

mod acceptor;
mod assembly;
mod codec;
mod convert;
mod core;
mod cuts;
mod dialer;
mod dialing;
mod error;
mod handler;
mod hello;
mod incoming;
mod lane;
mod limits;
mod message;
mod options;
mod outbox;
mod peer;
mod receiver;
mod snapshot_receiver;
mod snapshot_sender;
mod statistics;
mod transport;
mod wire;

pub use error::{CallError, Refusal, RefusalReason, SnapshotError, TransportError};
pub use handler::{Handler, PeerIdentity, PeerState, RefusedStream};
pub use limits::{
    HANDLED_AT_ONCE_MAX, ITEM_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_ITEMS_MAX, REQUESTS_IN_FLIGHT_MAX,
    SNAPSHOT_PIECE_BYTES_MAX, SNAPSHOTS_PER_PEER_MAX,
};
pub use message::{
    AppendRequest, AppendResponse, LogId, NodeFault, Note, Request, Response, TransferRequest,
    Vote, VoteRequest, VoteResponse,
};
pub use options::{Identity, TlsOptions, TransportOptions};
pub use peer::Peer;
pub use snapshot_receiver::SnapshotStream;
pub use statistics::PeerStatistics;
pub use transport::Transport;

#[cfg(test)]
mod tests;
