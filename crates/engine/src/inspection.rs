//! What a simulation sees of a group: its vote, whether it leads, and its log.

use bytes::Bytes;

use crate::engine::Engine;
use crate::raft::codec::decode_entry;
use crate::raft::remains::decode_stored_vote;
use crate::raft::types::Payload;

/// An entry of a log.
#[derive(Clone, Debug)]
pub struct InspectedEntry {
    /// Its index.
    pub index: u64,
    /// The term of the leader that proposed it.
    pub term: u64,
    /// The node of that leader: two may lead in one term, one after the other.
    pub leader: u64,
    /// The entry as hosts are given it; empty when it is none of theirs.
    pub entry: Bytes,
}

/// A look at the log of a group that is open here.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The term of the last vote.
    pub term: u64,
    /// The term in which this node leads.
    pub leads: Option<u64>,
    /// Index of the last entry that was purged.
    pub purged: Option<u64>,
    /// The entries behind it.
    pub entries: Vec<InspectedEntry>,
}

impl Engine {
    /// Looks at a group; at its entries from an index on. `None` when it is not open, or its log
    /// cannot be read.
    #[doc(hidden)]
    #[must_use]
    pub fn inspect(&self, group: u32, from: u64) -> Option<Inspection> {
        let group = self.0.find(group)?;
        let state = group.log.state();
        let vote = state.vote.map(decode_stored_vote).transpose().ok()?;
        let purged = state.purged.map(|(index, _)| index);
        let range = from.max(state.first_index)..state.next_index;
        let stored = group.log.entries(range, usize::MAX).ok()?;
        let entries = stored.into_iter().map(|bytes| {
            let entry = decode_entry(bytes).ok()?;
            let leader_id = entry.log_id.leader_id;
            Some(InspectedEntry {
                index: entry.log_id.index,
                term: leader_id.term,
                leader: leader_id.node_id,
                entry: match entry.payload {
                    Payload::Normal(commands) => commands.entry(),
                    Payload::Blank | Payload::Membership(_) => Bytes::new(),
                },
            })
        });
        Some(Inspection {
            term: vote.map_or(0, |vote| vote.leader_id().term),
            leads: group.lease.leading_term(),
            purged,
            entries: entries.collect::<Option<_>>()?,
        })
    }
}
