//! A member that reaches nobody leaves its term alone, so that it deposes nobody when it is back.
//! Source: Raft (dissertation), section 9.6, "Preventing disruptions when a server rejoins the
//! cluster": the pre-vote.

use std::collections::BTreeMap;

use super::Invariant;
use crate::clock::Time;
use crate::facts::Fact;
use crate::network::Place;

/// See the module.
#[derive(Default)]
pub struct Undisturbed {
    alone: BTreeMap<Place, BTreeMap<u32, u64>>,
}

impl Invariant for Undisturbed {
    fn name(&self) -> &'static str {
        "a member that is cut off does not raise its term (Raft, section 9.6)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Alone { place } => {
                self.alone.insert(*place, BTreeMap::new());
            }
            Fact::Joined { place } => {
                self.alone.remove(place);
            }
            Fact::Log(log) => {
                let Some(terms) = self.alone.get_mut(&log.place) else {
                    return Ok(());
                };
                let first = *terms.entry(log.group).or_insert(log.term);
                if first != log.term {
                    return Err(format!(
                        "group {}: node {} is cut off, and went from term {first} to {}",
                        log.group, log.place, log.term
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
