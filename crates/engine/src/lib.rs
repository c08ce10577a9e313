//! Many Raft groups on openraft, for a host that keeps their state.
//!
//! Commands come in as frames ([`Engine::submit`]), are collected per group into log entries, and
//! go back to the host as committed entries through one queue of events ([`Engine::drain`]), in
//! commit order per group. What the host may answer by itself it reads from lease slots.
//!
//! Promises:
//! - A frame is taken as a whole or not at all. Every command that was taken comes back, in an
//!   entry or as refused; when it is not known whether it was applied, that is said.
//! - Entries are given in the order of the log, each once per opening of its group, and only after
//!   the journal made them durable.
//! - A lease is given only while this node leads and the host has applied all that came before.
//! - The first failure of the storage ends all leases and refuses all commands, for good.
//!
//! May not: know anything of JavaScript, or of what entries mean. openraft is used in `raft` alone.

mod batching;
mod beginning;
mod cluster;
#[cfg(test)]
mod decoders_tests;
mod elections;
mod engine;
mod entry_layout;
mod error;
mod events;
mod forwarding;
mod frames;
mod gone;
mod group;
mod group_locks;
mod handing_over;
mod host_calls;
mod identity;
mod inspection;
mod killing;
mod leases;
mod lifecycle;
mod limits;
mod links;
mod listening;
mod logging;
mod lost;
mod members;
mod membership;
pub mod network;
mod options;
mod proposer;
mod raft;
mod receiving;
mod routes;
mod runtime;
mod sleep;
mod snapshot_receiving;
mod statistics;
mod submission;
mod timer;
mod traps;
mod world;

pub use engine::{Engine, StoredGroup};
pub use error::EngineError;
pub use events::StateMachineHost;
pub use gone::Existing;
pub use host_calls::Answered;
pub use identity::NodeIdentity;
#[doc(hidden)]
pub use inspection::{InspectedEntry, Inspection};
pub use leases::LEASE_FOREVER;
pub use listening::ListenOptions;
pub use logging::LogLevel;
pub use membership::{GroupStatus, MemberStatus, Role};
pub use options::{Durability, EngineOptions, Location};
pub use raft_kv_routing::KeyHash;
pub use raft_kv_transport::TlsOptions;
pub use statistics::{EngineStatistics, JournalStatistics};
#[doc(hidden)]
pub use traps::Traps;
#[doc(hidden)]
pub use world::World;
