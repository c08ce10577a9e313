//! All use of openraft: its types, and the adapters that it drives.

pub(crate) mod codec;
pub(crate) mod log_store;
pub(crate) mod network;
pub(crate) mod remains;
pub(crate) mod runtime;
pub(crate) mod sending;
pub(crate) mod snapshot;
pub(crate) mod snapshot_wire;
pub(crate) mod state_machine;
pub(crate) mod types;
pub(crate) mod wire;

#[cfg(test)]
mod suite_tests;
