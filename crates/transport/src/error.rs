//! What can go wrong, by what the caller should do about it.

use std::fmt;
use std::sync::Arc;

use crate::message::NodeFault;

/// Why a transport could not be bound or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// Another program, or another transport of this one, listens there.
    #[error("the address {0} is in use")]
    AddressInUse(String),
    /// The address does not exist here, or may not be used.
    #[error("cannot listen at {address}: {reason}")]
    CannotListen {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// Certificates or key do not read, or do not fit.
    #[error("invalid TLS configuration: {0}")]
    InvalidTls(String),
    /// An option may not be.
    #[error("{0}")]
    InvalidOption(String),
    /// The node belongs to another cluster already.
    #[error("this node belongs to cluster {stored} already, not to {given}")]
    ClusterFixed {
        /// The cluster's id.
        stored: u64,
        /// The id that was given.
        given: u64,
    },
}

impl TransportError {
    /// The error's code in the public API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            TransportError::AddressInUse(_) => "ADDRESS_IN_USE",
            TransportError::CannotListen { .. } => "CANNOT_LISTEN",
            TransportError::InvalidTls(_) => "INVALID_TLS",
            TransportError::InvalidOption(_) => "INVALID_ARGUMENT",
            TransportError::ClusterFixed { .. } => "CLUSTER_MISMATCH",
        }
    }
}

/// Why a stream was refused. The numbers are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum RefusalReason {
    /// A reason that a newer version gave.
    Other = 0,
    /// The nodes' clusters have different names.
    OtherName = 1,
    /// The names are the same, and the clusters are not.
    OtherCluster = 2,
    /// There is no protocol version that both speak.
    NoCommonVersion = 3,
    /// It is this node itself: an address of its own was dialled.
    OwnNode = 4,
    /// Another node was meant to be there.
    OtherNode = 5,
    /// A later opening of the same data directory was seen already.
    StaleIncarnation = 6,
    /// Two processes run with the same data directory, or copies of it.
    DuplicateNode = 7,
    /// What was said does not hold to the protocol.
    Malformed = 8,
    /// A node without a cluster may only make node calls.
    NoCluster = 9,
    /// One of them was given up for lost, and the cluster went on without it.
    LostNode = 10,
    /// One of them does not take the other's certificate, or does not speak TLS.
    Tls = 11,
}

impl RefusalReason {
    /// From the number on the wire.
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            1 => RefusalReason::OtherName,
            2 => RefusalReason::OtherCluster,
            3 => RefusalReason::NoCommonVersion,
            4 => RefusalReason::OwnNode,
            5 => RefusalReason::OtherNode,
            6 => RefusalReason::StaleIncarnation,
            7 => RefusalReason::DuplicateNode,
            8 => RefusalReason::Malformed,
            9 => RefusalReason::NoCluster,
            10 => RefusalReason::LostNode,
            11 => RefusalReason::Tls,
            _ => RefusalReason::Other,
        }
    }
}

/// That two nodes do not talk, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The same for people, with names and numbers.
    pub text: String,
    /// This node refused; otherwise the other one did.
    pub by_this_node: bool,
}

impl Refusal {
    /// This node refuses.
    pub(crate) fn ours(reason: RefusalReason, text: String) -> Self {
        Self {
            reason,
            text,
            by_this_node: true,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_this_node {
            "this"
        } else {
            "the other"
        };
        write!(formatter, "refused by {who} node: {}", self.text)
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer is down; it got nothing.
    #[error("unreachable: {0}")]
    Unreachable(Arc<str>),
    /// Too much waits for the peer, or too many calls are under way; it got nothing.
    #[error("too much waits for the peer")]
    Overloaded,
    /// The request is longer than any may be; the peer got nothing.
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    /// This node or the peer has no cluster yet, so only node calls are answered; nothing was done.
    #[error("this node or the peer has no cluster yet")]
    NoCluster,
    /// The nodes refuse to talk; the peer did nothing.
    #[error("{0}")]
    Refused(Arc<Refusal>),
    /// The peer went away, or started anew, after it may have got the request.
    #[error("connection lost: {0}")]
    Lost(Arc<str>),
    /// No answer in time; the peer may have got the request.
    #[error("no answer in time")]
    TimedOut,
    /// The peer does not know this kind of request: it runs an older version. It did nothing.
    #[error("the peer does not know this kind of request")]
    Unsupported,
    /// The peer carried the node call out, and it failed.
    #[error("{0}")]
    Failed(NodeFault),
    /// The peer's answer does not hold to the protocol.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// The transport is closed, or the peer was forgotten; it got nothing.
    #[error("closed")]
    Closed,
}

impl CallError {
    /// The peer may have carried the request out.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(
            self,
            CallError::Lost(_) | CallError::TimedOut | CallError::Malformed(_)
        )
    }

    /// The peer is down for a reason that somebody should hear.
    pub(crate) fn unreachable(reason: impl AsRef<str>) -> Self {
        CallError::Unreachable(Arc::from(clipped(reason.as_ref())))
    }
}

/// Why a snapshot did not arrive, or not all of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No connection; see the call error.
    #[error("{0}")]
    Call(#[from] CallError),
    /// The sender's pieces ended with an error.
    #[error("cannot read the snapshot: {0}")]
    Source(Arc<std::io::Error>),
    /// The receiver did not take it.
    #[error("the receiver failed: {0}")]
    Receiver(String),
    /// A piece does not fit its checksum, or the pieces do not join.
    #[error("damaged on the way: {0}")]
    Damaged(&'static str),
}

/// The refusal of a peer whose bytes are no message of the protocol, or one that is too long;
/// `None` when a stream ended otherwise.
pub(crate) fn undecodable(status: &tonic::Status) -> Option<Refusal> {
    // An error of the connection has its source; one of the decoder has none.
    let is_connection = std::error::Error::source(status).is_some();
    let is_decoder = matches!(
        status.code(),
        tonic::Code::Internal | tonic::Code::OutOfRange
    );
    (is_decoder && !is_connection).then(|| {
        let text = format!("what it sends cannot be read: {}", status.message());
        Refusal::ours(RefusalReason::Malformed, clipped(&text).to_owned())
    })
}

/// At most so much of a text as goes on the wire, cut between characters.
pub(crate) fn clipped(text: &str) -> &str {
    let mut end = text.len().min(crate::limits::TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What TLS says when the other side's certificate, or its way of talking, is refused here.
const TLS_REFUSED_HERE: [&str; 3] = [
    "invalid peer certificate",
    "peer sent no certificates",
    "received corrupt message",
];
/// What it says when the other side refused.
const TLS_REFUSED_THERE: &str = "received fatal alert";

/// The refusal behind a problem of a connection, if certificates are what it is about.
pub(crate) fn tls_refusal(problem: &CallError) -> Option<Refusal> {
    let CallError::Unreachable(text) = problem else {
        return None;
    };
    let here = TLS_REFUSED_HERE.iter().any(|sign| text.contains(sign));
    if !here && !text.contains(TLS_REFUSED_THERE) {
        return None;
    }
    Some(Refusal {
        reason: RefusalReason::Tls,
        text: format!("TLS: {text}"),
        by_this_node: here,
    })
}

/// An error with its causes, which tonic keeps out of its own texts.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
