//! Every limit of the journal, with its unit.

use std::time::Duration;

/// Format of rounds and snapshot files, as their headers tell it.
pub const FORMAT_VERSION: u32 = 1;

/// Format of the directory as a whole. Directories of format 1 have no front file; they become
/// format 2 when they are opened, so that no program opens them that knows nothing of it.
pub const DIRECTORY_FORMAT_VERSION: u32 = 2;

/// Format of the front file.
pub const FRONT_FORMAT_VERSION: u32 = 1;

/// Size of the file in front of the log, and so the most that waits in memory to be taken to the
/// log and that is read at opening.
pub const FRONT_BYTES: usize = 4 * 1024 * 1024;

/// A round that takes more than this in the front file goes to the log at once: one block. Larger
/// ones gain little on a quiet disk, and on a busy one writing all twice costs more than it saves.
pub const FRONT_ROUND_BYTES_MAX: usize = 4096;

/// Chunks that one turn of housekeeping takes from the front file to the log. Rounds in front have
/// few, so that taking them home is always faster than filling the file.
pub const SETTLED_CHUNKS_PER_TURN: usize = 16;

/// Time without a round after which everything is taken from the front file to the log. Longer
/// than a committed mark waits, so that its round goes along.
pub const SETTLE_IDLE: Duration = Duration::from_millis(1500);

/// Longest value given to the store. Larger ones would leave the store's log for files that are
/// never synced.
pub const CHUNK_BYTES_MAX: usize = 32 * 1024;

/// A round that holds this many bytes of records takes no more; a single larger record may still
/// exceed it.
pub const ROUND_BYTES_MAX: usize = 1024 * 1024;

/// A round with this many records takes no more.
pub const ROUND_RECORDS_MAX: u32 = 16 * 1024;

/// Longest record; longer ones are refused.
pub const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A round's buffer that grew beyond this is not kept for reuse.
pub const SPARE_BUFFER_BYTES_MAX: usize = 2 * ROUND_BYTES_MAX;

/// Buffers kept for later rounds.
pub const SPARE_BUFFERS_MAX: usize = 2;

/// Least time between two writes of the number of the last acknowledged round.
pub const MARK_INTERVAL: Duration = Duration::from_millis(50);

/// A round that takes longer than this is told of in the log.
pub const SLOW_ROUND: Duration = Duration::from_millis(500);

/// How long a committed mark waits for a round before it is written by itself.
pub const COMMITTED_IDLE: Duration = Duration::from_secs(1);

/// With buffered durability: longest time between two syncs while rounds are written.
pub const BUFFERED_SYNC_INTERVAL: Duration = Duration::from_millis(200);

/// Dead bytes among the rounds that are tolerated however little is alive.
pub const CLEAN_DEAD_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Dead bytes that are tolerated for each live byte.
pub const CLEAN_DEAD_PER_LIVE: u64 = 1;

/// Bytes of old rounds that one turn of cleaning reads; at least one round.
pub const CLEAN_BYTES_PER_TURN: u64 = 512 * 1024;

/// Chunks of old rounds that one turn of housekeeping removes.
pub const REMOVED_CHUNKS_PER_TURN: usize = 128;

/// Bytes of wholly dead rounds that are worth a round of their own to be removed while idle.
pub const IDLE_RETIRE_BYTES: u64 = 1024 * 1024;

/// Entries kept in memory beyond this are dropped although they were not released.
pub const CACHED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Cache of the store itself; rounds are written once and seldom read.
pub const STORE_CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Size of the store's segments. Part of the format: never change it.
pub const STORE_SEGMENT_BYTES: usize = 4 * 1024 * 1024;

/// How long closing waits for the store's background threads to let go of its files.
pub const STORE_CLOSE_MAX: Duration = Duration::from_secs(10);

/// How often closing looks whether they did.
pub const STORE_CLOSE_POLL: Duration = Duration::from_millis(1);

/// Size of the file whose removal lets a full disk be opened again.
pub const RESERVE_BYTES: usize = 8 * 1024 * 1024;

/// Longest piece of a snapshot file.
pub const SNAPSHOT_PIECE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often a read that met a round just cleaned away looks up the new place.
pub const READ_ATTEMPTS_MAX: usize = 8;

/// Indices of a log are below this.
pub const INDEX_END: u64 = 1 << 53;

/// Indices that may lie between an entry that is recovered and those before it: more than a log
/// keeps. What was written again because rounds were removed comes late.
pub const ENTRY_GAP_MAX: u64 = 1 << 24;
