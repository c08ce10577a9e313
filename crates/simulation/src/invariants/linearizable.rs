//! Commands and reads are linearizable, also those that a lease alone answers. Source: Herlihy and
//! Wing, "Linearizability" (1990); Raft (dissertation), sections 6.4 and 6.4.1 for reads.
//!
//! The log says in which order commands take effect, so an order of all does not have to be sought:
//! it is enough that what began after something had ended stands behind it. A command whose outcome
//! is unknown may stand anywhere behind its call, or nowhere.

use std::collections::BTreeMap;

use super::Invariant;
use crate::clock::Time;
use crate::facts::Fact;
use crate::machine::Op;

type Key = (u32, u32);

#[derive(Default)]
struct Register {
    /// The commands in the order of the log, as far as it is known without gaps.
    order: Vec<Op>,
    /// As many commands have been seen by somebody.
    seen: usize,
}

/// See the module.
#[derive(Default)]
pub struct Linearizable {
    /// By group: the next index, and what came too early.
    next: BTreeMap<u32, u64>,
    early: BTreeMap<(u32, u64), Vec<(u32, Op)>>,
    keys: BTreeMap<Key, Register>,
    /// Where a command stands: as many stand before it.
    places: BTreeMap<Op, (Key, usize)>,
    /// As many commands had been seen when it was called.
    called: BTreeMap<Op, usize>,
    begun: BTreeMap<u64, (Key, usize)>,
}

impl Linearizable {
    fn applied(&mut self, group: u32, index: u64, ops: &[(u32, Op)]) -> Result<(), String> {
        let next = self.next.entry(group).or_insert(0);
        if index < *next {
            return Ok(());
        }
        self.early.insert((group, index), ops.to_vec());
        while let Some(ops) = self.early.remove(&(group, *next)) {
            *next += 1;
            for (key, op) in ops {
                let register = self.keys.entry((group, key)).or_default();
                let place = register.order.len();
                self.places.insert(op, ((group, key), place));
                register.order.push(op);
                let called = self.called.get(&op).copied().unwrap_or(0);
                if place < called {
                    return Err(format!(
                        "group {group}, key {key}: command {op} stands at {place}, and {called} \
                         had been seen before it was called"
                    ));
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, fact: &Fact) -> Result<(), String> {
        let Fact::Read {
            read,
            place,
            length,
            last,
            leased,
        } = fact
        else {
            return Ok(());
        };
        let Some((key, floor)) = self.begun.remove(read) else {
            return Ok(());
        };
        let register = self.keys.entry(key).or_default();
        let how = if *leased {
            "under a lease"
        } else {
            "confirmed"
        };
        if *length < floor {
            return Err(format!(
                "group {}, key {}: {place} read {length} commands {how} when {floor} had been seen",
                key.0, key.1
            ));
        }
        let expected = length
            .checked_sub(1)
            .map(|it| register.order.get(it).copied());
        if expected.is_some_and(|expected| expected.is_some() && expected != *last) {
            return Err(format!(
                "group {}, key {}: {place} read {last:?} {how} in place of {expected:?}",
                key.0, key.1
            ));
        }
        register.seen = register.seen.max(*length);
        Ok(())
    }
}

impl Invariant for Linearizable {
    fn name(&self) -> &'static str {
        "commands and reads linearizable (Herlihy and Wing)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Applied {
                group, index, ops, ..
            } => return self.applied(*group, *index, ops),
            Fact::Passed { group, index } => return self.applied(*group, *index, &[]),
            Fact::Invoked { op, group, key } => {
                let seen = self.keys.entry((*group, *key)).or_default().seen;
                self.called.insert(*op, seen);
            }
            Fact::Acknowledged { op } => {
                if let Some((key, place)) = self.places.get(op) {
                    let register = self.keys.entry(*key).or_default();
                    register.seen = register.seen.max(place + 1);
                }
            }
            Fact::ReadBegun { read, group, key } => {
                let seen = self.keys.entry((*group, *key)).or_default().seen;
                self.begun.insert(*read, ((*group, *key), seen));
            }
            Fact::Read { .. } => return self.read(fact),
            _ => {}
        }
        Ok(())
    }
}
