//! The way to the engines of other nodes, as whoever carries messages implements it.
//!
//! Plain data: entries are bytes in the engine's own versioned form and need no further encoding.
//! Requests are few kinds; whatever else two engines have to say to each other goes as a call with
//! a method number and a body that only the engines read.

use bytes::Bytes;
use futures::future::BoxFuture;

/// A node, and where it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub node: u64,
    /// Where it is reached; opaque to the engine.
    pub address: String,
}

/// Names an entry of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogId {
    /// Term of the leader that proposed it.
    pub term: u64,
    /// That leader's node id.
    pub node: u64,
    /// Its place in the log.
    pub index: u64,
}

/// A vote: for whom in which term, and whether a majority gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// The candidate's, or leader's, node id.
    pub node: u64,
    /// A majority gave it: the node leads the term.
    pub committed: bool,
}

/// Asks for a vote, or whether it would be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteRequest {
    /// What the candidate wants to be voted.
    pub vote: Vote,
    /// The candidate's last entry.
    pub last_log: Option<LogId>,
    /// The leader asked the candidate to stand.
    pub leadership_transfer: bool,
}

/// Answers a vote request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteResponse {
    /// The answering node's vote.
    pub vote: Vote,
    /// The vote was given.
    pub granted: bool,
    /// The answering node's last entry.
    pub last_log: Option<LogId>,
}

/// Gives a follower entries; without any it is a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendRequest {
    /// The leader's vote.
    pub vote: Vote,
    /// The entry before the first of `entries`.
    pub previous: Option<LogId>,
    /// What the leader knows to be committed.
    pub commit: Option<LogId>,
    /// Entries as they are stored.
    pub entries: Vec<Bytes>,
}

/// Answers an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendResponse {
    /// All entries are there.
    Success,
    /// Entries up to this one are there.
    Partial(Option<LogId>),
    /// The entry before the first is not there, or another one is.
    Conflict,
    /// The follower has seen a higher vote.
    HigherVote(Vote),
}

/// Asks a member to stand for election now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferRequest {
    /// The leader that hands over.
    pub from: Vote,
    /// The node that is to lead.
    pub to: u64,
    /// The entry that the new leader must have.
    pub last_log: Option<LogId>,
}

/// A request to the group's member on another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Vote for me.
    Vote(VoteRequest),
    /// Would you vote for me?
    PreVote(VoteRequest),
    /// Take these entries.
    Append(AppendRequest),
    /// Stand for election.
    TransferLeader(TransferRequest),
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Vote`].
    Vote(VoteResponse),
    /// To [`Request::PreVote`].
    PreVote(VoteResponse),
    /// To [`Request::Append`].
    Append(AppendResponse),
    /// To [`Request::TransferLeader`]: it was taken; whether it succeeds is seen later.
    TransferLeader,
    /// The node has no such group (yet).
    UnknownGroup,
    /// The asking node is no member of the group any more, by this membership; without one, the
    /// group is gone.
    GroupRemoved {
        /// The membership that leaves it out.
        membership: Option<LogId>,
    },
    /// The node has the group, and does not take the request.
    Failed(String),
}

/// A step of sending a snapshot. Steps of one snapshot follow each other, each after the answer
/// to the one before; they may travel apart from requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotStep {
    /// A snapshot is to come; one that was begun before is continued.
    Begin {
        /// The leader's vote.
        vote: Vote,
        /// Tells snapshots of one sender apart.
        number: u64,
        /// What the snapshot stands for, as the engine stores it.
        meta: Bytes,
    },
    /// One piece.
    Piece {
        /// The snapshot.
        number: u64,
        /// Which piece, from 0.
        piece: u64,
        /// Its bytes.
        bytes: Bytes,
    },
    /// All pieces were sent: install the snapshot.
    End {
        /// The leader's vote.
        vote: Vote,
        /// The snapshot.
        number: u64,
        /// How many pieces it has.
        pieces: u64,
    },
}

/// The answer to a [`SnapshotStep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotAnswer {
    /// This piece is wanted next.
    Next(u64),
    /// The snapshot was installed, or is not needed; the receiver's vote.
    Installed(Vote),
    /// The node has no such group (yet).
    UnknownGroup,
    /// The step was not taken.
    Failed(String),
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

/// Carries messages to other nodes.
///
/// To be correct, an implementation must queue a request when it is called, not when the answer is
/// first polled, and deliver requests and calls to one node in the order of the calls; it may lose
/// any of them, and says `NotSent` only of what the node certainly did not get. It must end every answer in bounded time, and bound what waits for a node.
pub trait Peers: Send + Sync + 'static {
    /// Sends a request to the member of `group` on a node.
    fn request(&self, node: &Member, group: u32, request: Request) -> Answer<Response>;

    /// Sends a step of a snapshot.
    fn snapshot(&self, node: &Member, group: u32, step: SnapshotStep) -> Answer<SnapshotAnswer>;

    /// Asks a node's engine something else; see [`Engine::answer_call`](crate::Engine).
    fn call(&self, node: &Member, method: u32, body: Bytes) -> Answer<Bytes>;
}
