//! The engine of several nodes under one seed: real openraft, real engine and journal code, on a
//! simulated network, disk and clock.
//!
//! Each process runs on a thread-less runtime with a clock of its own; the world lets them live in
//! turn for as long as the quickest message takes, so nothing that one does can reach another
//! within a turn. All chance comes from the seed: the same seed gives the same run.
//!
//! May not: be part of what is published, or replace anything of the engine by something simpler.

mod clients;
mod clock;
mod facts;
mod host;
mod invariants;
mod machine;
mod nemesis;
mod network;
mod node;
mod peers;
mod plan;
mod simulation;
mod steps;
mod trace;

pub use plan::{Plan, Trap};
pub use raft_kv_engine::Traps;
pub use simulation::{Outcome, Report, simulate};
