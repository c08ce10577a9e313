//! At most one leader is elected for a vote. Source: Raft, figure 3, "Election Safety: at most one
//! leader can be elected in a given term".
//!
//! openraft's votes are pairs of term and node: two nodes may be elected in one term, the one with
//! the greater id after the other, and entries carry both. So what must hold is that a pair is used
//! once: a process that was started anew does not lead by a vote that was won before.

use std::collections::BTreeMap;

use super::Invariant;
use crate::clock::Time;
use crate::facts::Fact;
use crate::network::Place;

/// See the module.
#[derive(Default)]
pub struct ElectionSafety(BTreeMap<(u32, u64, Place), u32>);

impl Invariant for ElectionSafety {
    fn name(&self) -> &'static str {
        "election safety (Raft, figure 3)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        let (group, term, place, boot) = match fact {
            Fact::Led {
                place,
                boot,
                group,
                term,
            } => (*group, *term, *place, *boot),
            Fact::Log(log) => match log.leads {
                Some(term) => (log.group, term, log.place, log.boot),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let first = *self.0.entry((group, term, place)).or_insert(boot);
        if first == boot {
            return Ok(());
        }
        Err(format!(
            "group {group}: node {place} leads in term {term} after its starts {first} and {boot}"
        ))
    }
}
