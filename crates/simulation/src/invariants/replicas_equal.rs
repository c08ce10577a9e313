//! Replicas are equal: after an entry the states of all hosts are the same, whether they came to it
//! by entries or by a snapshot. Source: `ARCHITECTURE.md`, "replicas are equal".

use std::collections::BTreeMap;

use super::{Final, Invariant};
use crate::clock::Time;
use crate::facts::Fact;

/// See the module.
#[derive(Default)]
pub struct ReplicasEqual(BTreeMap<(u32, u64), u64>);

impl Invariant for ReplicasEqual {
    fn name(&self) -> &'static str {
        "replicas equal (ARCHITECTURE.md)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        let Fact::State {
            place,
            group,
            index,
            chain,
        } = fact
        else {
            return Ok(());
        };
        let known = *self.0.entry((*group, *index)).or_insert(*chain);
        if known == *chain {
            return Ok(());
        }
        Err(format!(
            "group {group}: the state of {place} after entry {index} is another one than elsewhere"
        ))
    }

    fn end(&mut self, group: &Final<'_>) -> Result<(), String> {
        let mut machines = group.machines.iter();
        let Some((first, machine)) = machines.next() else {
            return Ok(());
        };
        match machines.find(|(_, other)| other != machine) {
            Some((place, _)) => Err(format!(
                "group {}: {first} and {place} differ at the end",
                group.group
            )),
            None => Ok(()),
        }
    }
}
