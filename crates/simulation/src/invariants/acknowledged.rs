//! What was acknowledged is there at the end, what was refused is not, and nothing is there twice.
//! Source: `ARCHITECTURE.md`, "acknowledged is durable" and "its outcome never guessed".

use std::collections::{BTreeMap, BTreeSet};

use super::{Final, Invariant};
use crate::clock::Time;
use crate::facts::Fact;
use crate::machine::Op;

/// See the module.
#[derive(Default)]
pub struct Acknowledged {
    groups: BTreeMap<Op, u32>,
    acknowledged: BTreeSet<Op>,
    refused: BTreeSet<Op>,
    /// The index at which a command was applied.
    applied: BTreeMap<Op, u64>,
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "no acknowledged command lost (ARCHITECTURE.md)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Invoked { op, group, .. } => {
                self.groups.insert(*op, *group);
            }
            Fact::Acknowledged { op } => {
                self.acknowledged.insert(*op);
            }
            Fact::Refused { op } => {
                self.refused.insert(*op);
                if let Some(index) = self.applied.get(op) {
                    return Err(format!(
                        "command {op} of entry {index} is said to be refused"
                    ));
                }
            }
            Fact::Applied {
                group, index, ops, ..
            } => {
                for (_, op) in ops {
                    let first = *self.applied.entry(*op).or_insert(*index);
                    if first != *index {
                        return Err(format!(
                            "group {group}: command {op} is in entries {first} and {index}"
                        ));
                    }
                    if self.refused.contains(op) {
                        return Err(format!(
                            "group {group}: command {op} was refused and is in entry {index}"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, group: &Final<'_>) -> Result<(), String> {
        for (place, machine) in &group.machines {
            let there: BTreeSet<Op> = machine.keys.values().flatten().copied().collect();
            let ours = |op: &&Op| self.groups.get(*op) == Some(&group.group);
            let mut acknowledged = self.acknowledged.iter().filter(ours);
            if let Some(lost) = acknowledged.find(|op| !there.contains(*op)) {
                return Err(format!(
                    "group {}: command {lost} was acknowledged, and is not at {place}",
                    group.group
                ));
            }
            let all: usize = machine.keys.values().map(Vec::len).sum();
            if all != there.len() {
                return Err(format!(
                    "group {}: a command is twice at {place}",
                    group.group
                ));
            }
        }
        Ok(())
    }
}
