//! What invariants are told: what processes saw, and what the world saw in their logs.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Time;
use crate::machine::Op;
use crate::network::Place;

/// An entry as a log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub index: u64,
    /// Term and node of the leader that proposed it. With openraft two nodes may lead in one term,
    /// the one with the greater id after the other.
    pub leader: (u64, u64),
    /// Hash of what hosts are given of it.
    pub hash: u64,
    /// It is none for hosts.
    pub passed: bool,
}

/// The log of a group's member.
#[derive(Clone, Debug)]
pub struct Log {
    pub place: Place,
    /// How often the node was started.
    pub boot: u32,
    pub group: u32,
    /// The term of its vote.
    pub term: u64,
    /// The term in which it leads.
    pub leads: Option<u64>,
    /// Index of the last entry that was purged; 0 at first.
    pub purged: u64,
    /// All entries behind.
    pub entries: Vec<LogEntry>,
}

/// Something that was seen.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A member leads in a term.
    Led {
        place: Place,
        boot: u32,
        group: u32,
        term: u64,
    },
    /// A host was given an entry, at a member whose vote is of `known_term`.
    Applied {
        group: u32,
        index: u64,
        term: u64,
        known_term: u64,
        hash: u64,
        ops: Vec<(u32, Op)>,
    },
    /// A host was told of an entry that is not for it.
    Passed { group: u32, index: u64 },
    /// A host's state after an entry.
    State {
        place: Place,
        group: u32,
        index: u64,
        chain: u64,
    },
    /// A client calls a command.
    Invoked { op: Op, group: u32, key: u32 },
    /// The command took effect, and the client knows.
    Acknowledged { op: Op },
    /// The command will not take effect, and the client knows.
    Refused { op: Op },
    /// A client begins to read.
    ReadBegun { read: u64, group: u32, key: u32 },
    /// A client read a list of this length, which ends with this command.
    Read {
        read: u64,
        place: Place,
        length: usize,
        last: Option<Op>,
        /// It was answered by a lease alone.
        leased: bool,
    },
    /// What is in a log.
    Log(Log),
    /// A node reaches nobody and is reached by nobody, and nothing is under way to it any more.
    Alone { place: Place },
    /// It may be reached again.
    Joined { place: Place },
    /// A process did what none may do.
    Wrong { what: String },
}

/// Facts in the order in which they were seen; times may be out of order between processes.
pub type SharedFacts = Arc<Mutex<Vec<(Time, Fact)>>>;
