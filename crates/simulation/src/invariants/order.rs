//! Entries are given to a host in the order of the log, each once per opening of its group, and
//! snapshots as they were written. Source: the promises of the engine (`crates/engine/src/lib.rs`).

use super::Invariant;
use crate::clock::Time;
use crate::facts::Fact;

/// See the module.
pub struct Order;

impl Invariant for Order {
    fn name(&self) -> &'static str {
        "order (engine: entries are given in the order of the log)"
    }

    fn observe(&mut self, _time: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Wrong { what } => Err(what.clone()),
            _ => Ok(()),
        }
    }
}
