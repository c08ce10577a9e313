//! The N-API binding of raft-kv's engine: it converts, checks arguments, and does nothing else.
//!
//! Promises:
//! - nothing that JavaScript passes crashes the process; a panic becomes an error of the call that
//!   met it;
//! - one crossing per tick and direction: `submit` takes a whole outbox, one wake-up gives a whole
//!   buffer of events;
//! - only an open engine that was not `unref`ed holds the process alive.
//!
//! It may not keep state of its own beyond what is open, nor know what records and events contain.

mod arguments;
mod delivery;
mod engine;
mod errors;
mod groups;
mod limits;
mod links;
mod members;
mod options;
mod promise;
mod teardown;
mod version;

pub use engine::NativeEngine;
pub use links::{NativeAddressAnswer, NativeListenOptions, NativeTls};
pub use members::{NativeGroupStatus, NativeMember, NativeMemberStatus};
pub use options::{NativeIdentity, NativeOptions, NativeStatistics, NativeStoredGroup};
pub use version::version;
