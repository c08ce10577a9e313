//! Where a key belongs: its hash, ranges of hashes, and the table from hash to group.
//!
//! Pure functions and plain data: no clock, no I/O, no threads. The hash of a key is stored in
//! logs and decides where data lives, so it never changes; golden vectors in the tests hold it.

mod hash;
mod range;
mod table;

pub use hash::{HASH_BITS, HASH_SPACE, KeyHash, KeyspaceHasher};
pub use range::{HashRange, RangeError};
pub use table::{RouteError, RouteTable};
