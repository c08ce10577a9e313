//! No two hosts are given different entries for one index. Source: Raft, figure 3, "State Machine
//! Safety: if a server has applied a log entry at a given index to its state machine, no other
//! server will ever apply a different log entry for the same index".

use std::collections::BTreeMap;

use super::Invariant;
use crate::clock::Time;
use crate::facts::Fact;

/// See the module.
#[derive(Default)]
pub struct StateMachineSafety {
    /// By group and index: term and hash; `None` for an entry that is none for hosts.
    entries: BTreeMap<(u32, u64), Option<(u64, u64)>>,
}

impl Invariant for StateMachineSafety {
    fn name(&self) -> &'static str {
        "state machine safety (Raft, figure 3)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        let (group, index, entry) = match fact {
            Fact::Applied {
                group,
                index,
                term,
                hash,
                ..
            } => (*group, *index, Some((*term, *hash))),
            Fact::Passed { group, index } => (*group, *index, None),
            _ => return Ok(()),
        };
        let known = *self.entries.entry((group, index)).or_insert(entry);
        if known == entry {
            return Ok(());
        }
        Err(format!(
            "group {group}: index {index} is {entry:x?} here and was {known:x?} elsewhere"
        ))
    }
}
