//! Every limit of the binding, with its unit.

/// Longest time in milliseconds that the end of the process waits for open engines to close.
pub const TEARDOWN_CLOSE_MS_MAX: u64 = 3_000;
/// Longest buffer in bytes that is kept between two crossings of events.
pub const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Fewest bytes of events that one crossing may be limited to.
pub const EVENTS_BYTES_MIN: u64 = 4 * 1024;
/// Most bytes of events that one crossing may be limited to.
pub const EVENTS_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Highest group id and keyspace number: bit 31 of a record's route tells the two apart.
pub const ID_MAX: u64 = 0x7fff_ffff;
/// Highest key hash: 27 bits.
pub const HASH_MAX: u64 = (1 << 27) - 1;
/// Highest whole number that a JavaScript number holds exactly.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;
/// Highest node id and cluster id: 52 bits.
pub const NODE_MAX: u64 = (1 << 52) - 1;
/// Longest time in milliseconds that a call to another node's host may wait.
pub const CALL_WAIT_MS_MAX: u64 = 300_000;
