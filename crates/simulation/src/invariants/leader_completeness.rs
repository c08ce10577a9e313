//! Whoever is elected has all that was committed before. Source: Raft, figure 3, "Leader
//! Completeness: if a log entry is committed in a given term, then that entry will be present in
//! the logs of the leaders for all higher-numbered terms".
//!
//! An entry that a host was given was committed in the term of its member's vote at the latest.

use std::collections::BTreeMap;

use super::Invariant;
use crate::clock::Time;
use crate::facts::{Fact, Log};

/// See the module.
#[derive(Default)]
pub struct LeaderCompleteness {
    /// By group and index: a term in which it was committed, or later, and the entry's hash.
    committed: BTreeMap<u32, BTreeMap<u64, (u64, u64)>>,
}

impl LeaderCompleteness {
    fn check(&self, log: &Log, term: u64) -> Result<(), String> {
        let Some(committed) = self.committed.get(&log.group) else {
            return Ok(());
        };
        let mut entries = log.entries.iter().peekable();
        for (index, (by, hash)) in committed.range(log.purged + 1..) {
            if *by >= term {
                continue;
            }
            while entries.next_if(|entry| entry.index < *index).is_some() {}
            let found = entries.peek().filter(|entry| entry.index == *index);
            if found.is_none_or(|entry| entry.passed || entry.hash != *hash) {
                return Err(format!(
                    "group {}: node {} leads in term {term} without entry {index}, which was \
                     committed by term {by}: {found:?}",
                    log.group, log.place
                ));
            }
        }
        Ok(())
    }
}

impl Invariant for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "leader completeness (Raft, figure 3)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Applied {
                group,
                index,
                known_term,
                hash,
                ..
            } => {
                let entries = self.committed.entry(*group).or_default();
                let known = entries.entry(*index).or_insert((*known_term, *hash));
                known.0 = known.0.min(*known_term);
                Ok(())
            }
            Fact::Log(log) => log.leads.map_or(Ok(()), |term| self.check(log, term)),
            _ => Ok(()),
        }
    }
}
