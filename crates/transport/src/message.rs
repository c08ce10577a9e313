//! What nodes say to each other about groups, as the layer above gives and takes it.
//!
//! Plain data: votes and log ids have the fields that Raft needs, entries are bytes that the sender
//! encoded. Entries of a received append share the memory of the frame they came in.

use bytes::Bytes;

/// Names an entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogId {
    /// Term of the leader that proposed it.
    pub term: u64,
    /// That leader's node id.
    pub node: u64,
    /// Its place in the log.
    pub index: u64,
}

/// A vote: for whom in which term, and whether a majority gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// The candidate's, or leader's, node id.
    pub node: u64,
    /// A majority gave it: the node leads the term.
    pub committed: bool,
}

/// Asks for a vote, or whether it would be given.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VoteRequest {
    /// What the candidate wants to be voted.
    pub vote: Vote,
    /// The candidate's last entry.
    pub last_log: Option<LogId>,
    /// The leader asked the candidate to stand.
    pub leadership_transfer: bool,
}

/// Answers a vote request.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct VoteResponse {
    /// The answering node's vote.
    pub vote: Vote,
    /// The vote was given.
    pub granted: bool,
    /// The answering node's last entry.
    pub last_log: Option<LogId>,
}

/// Gives a follower entries; without any it is a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AppendRequest {
    /// The leader's vote.
    pub vote: Vote,
    /// The entry before the first of `entries`.
    pub previous: Option<LogId>,
    /// What the leader knows to be committed.
    pub commit: Option<LogId>,
    /// Entries, each as its sender encoded it.
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
#[derive(Clone, Debug, PartialEq, Eq, Default)]
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
    /// To [`Request::TransferLeader`].
    TransferLeader,
    /// The node has no such group (yet).
    UnknownGroup,
    /// The node's member was removed from the group.
    GroupRemoved {
        /// The membership that left it out.
        membership: Option<LogId>,
    },
    /// The node has the group, and its member failed.
    Failed(String),
}

/// Something a node is told about a group and does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Note {
    /// What it is; numbers are given out by the layer above.
    pub kind: u32,
    /// The rest.
    pub body: Bytes,
}

/// How a node call failed, in the method's own terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({code})")]
pub struct NodeFault {
    /// The method's own code.
    pub code: u32,
    /// What happened, for people.
    pub text: String,
}
