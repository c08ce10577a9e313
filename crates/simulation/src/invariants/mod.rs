//! What must hold, whatever happens: one file each, with its source.

mod acknowledged;
mod election_safety;
mod leader_completeness;
mod linearizable;
mod log_matching;
mod order;
mod replicas_equal;
mod state_machine_safety;
mod undisturbed;

use crate::clock::Time;
use crate::facts::Fact;
use crate::machine::Machine;
use crate::network::Place;

/// The states of a group's members at the end, when nothing is under way.
pub struct Final<'a> {
    pub group: u32,
    pub machines: Vec<(Place, &'a Machine)>,
}

/// Something that must hold.
pub trait Invariant {
    /// Its name, and where it comes from.
    fn name(&self) -> &'static str;

    /// Hears of a fact; an error says how it breaks the invariant. Facts come in the order of time.
    fn observe(&mut self, time: Time, fact: &Fact) -> Result<(), String>;

    /// Looks at a group at the end.
    fn end(&mut self, group: &Final<'_>) -> Result<(), String> {
        let _ = group;
        Ok(())
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(order::Order),
        Box::<election_safety::ElectionSafety>::default(),
        Box::<log_matching::LogMatching>::default(),
        Box::<leader_completeness::LeaderCompleteness>::default(),
        Box::<state_machine_safety::StateMachineSafety>::default(),
        Box::<replicas_equal::ReplicasEqual>::default(),
        Box::<acknowledged::Acknowledged>::default(),
        Box::<linearizable::Linearizable>::default(),
        Box::<undisturbed::Undisturbed>::default(),
    ]
}
