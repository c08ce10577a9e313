//! Logs that have an entry in common have everything before it in common. Source: Raft, figure 3,
//! "Log Matching: if two logs contain an entry with the same index and term, then the logs are
//! identical in all entries up through the given index".
//!
//! It follows from two things that are looked at in all logs at all times: an entry with an index
//! and a leader is always the same, and so is the leader of the entry before it.

use std::collections::BTreeMap;

use super::Invariant;
use crate::clock::Time;
use crate::facts::{Fact, Log};

type Leader = (u64, u64);

/// See the module.
#[derive(Default)]
pub struct LogMatching {
    entries: BTreeMap<(u32, u64, Leader), u64>,
    before: BTreeMap<(u32, u64, Leader), Leader>,
}

impl LogMatching {
    fn check(&mut self, log: &Log) -> Result<(), String> {
        let (place, group) = (log.place, log.group);
        let mut before: Option<(u64, Leader)> = None;
        for entry in &log.entries {
            let key = (group, entry.index, entry.leader);
            let known = *self.entries.entry(key).or_insert(entry.hash);
            let what = format!("entry {} of {:?}", entry.index, entry.leader);
            if known != entry.hash {
                return Err(format!("group {group}: {what} is another one at {place}"));
            }
            if let Some((index, leader)) = before {
                if index + 1 != entry.index {
                    return Err(format!("group {group}: {what} follows {index} at {place}"));
                }
                let known = *self.before.entry(key).or_insert(leader);
                if known != leader {
                    return Err(format!(
                        "group {group}: before {what} there is one of {leader:?} at {place}, and \
                         one of {known:?} elsewhere"
                    ));
                }
            }
            before = Some((entry.index, entry.leader));
        }
        Ok(())
    }
}

impl Invariant for LogMatching {
    fn name(&self) -> &'static str {
        "log matching (Raft, figure 3)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Log(log) => self.check(log),
            _ => Ok(()),
        }
    }
}
