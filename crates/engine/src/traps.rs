//! Guards that a simulation takes away, one at a time, to show that it finds out. Only a simulated
//! world can be without them.

/// Which guards are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traps {
    /// A member that was opened anew votes at once, whatever lease it acknowledged before.
    pub forgets_vote_lease: bool,
    /// A leader keeps its lease while it hands over.
    pub keeps_lease_at_transfer: bool,
    /// A leader is removed without handing over first, and leaves by itself a little later.
    pub removes_leader: bool,
    /// Members stand for election without asking whether they would be elected.
    pub stands_unasked: bool,
    /// Whatever a node sends counts as a sign of life of the sleeping groups that it led.
    pub sleeps_under_any_node: bool,
    /// Records of a round are acknowledged before they are durable.
    pub acknowledges_early: bool,
}
