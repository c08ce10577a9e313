//! Plain objects that cross the boundary.

use std::path::PathBuf;

use napi::bindgen_prelude::{Buffer, Either, Null};
use napi_derive::napi;
use raft_kv_engine::{Durability, EngineOptions, EngineStatistics, Location, LogLevel};

use crate::{
    arguments::integer_between,
    errors::{Result, invalid},
    limits::{EVENTS_BYTES_MAX, EVENTS_BYTES_MIN, INTEGER_MAX},
};

/// How to open an engine. Defaults are the business of the TypeScript side: every field is given.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// Where the log and snapshots live; null keeps nothing.
    pub directory: Either<String, Null>,
    /// "fsync" or "buffered".
    pub durability: String,
    /// Nodes of another cluster name are refused.
    pub cluster_name: String,
    /// Milliseconds between a leader's signs of life.
    pub heartbeat_interval_ms: f64,
    /// Milliseconds without a sign of life before a follower stands for election.
    pub election_timeout_ms: f64,
    /// The least severe lines of the log that come as events: "error", "warn", "info" or "debug".
    pub log_level: String,
    /// Most bytes of events that wait for the host before the engine holds groups back.
    pub event_queue_bytes_max: f64,
    /// Most bytes of events that one call of `onEvents` is given, but always one whole event.
    pub event_batch_bytes_max: f64,
}

impl NativeOptions {
    /// The engine's form of the options.
    pub fn engine_options(&self) -> Result<EngineOptions> {
        let durability = match self.durability.as_str() {
            "fsync" => Durability::Fsync,
            "buffered" => Durability::Buffered,
            other => {
                return Err(invalid(format!(
                    "durability must be \"fsync\" or \"buffered\", not {other:?}"
                )));
            }
        };
        let milliseconds = |name, value| integer_between(name, value, 1, u64::from(u32::MAX));
        let location = match &self.directory {
            Either::B(Null) => Location::Memory,
            Either::A(path) if path.is_empty() => {
                return Err(invalid("directory must not be empty"));
            }
            Either::A(path) => Location::Directory(PathBuf::from(path)),
        };
        let queue = self.event_queue_bytes_max;
        let log_level = self.log_level.parse::<LogLevel>().map_err(invalid)?;
        Ok(EngineOptions {
            durability,
            log_level: Some(log_level),
            heartbeat_interval_ms: milliseconds("heartbeatIntervalMs", self.heartbeat_interval_ms)?,
            election_timeout_ms: milliseconds("electionTimeoutMs", self.election_timeout_ms)?,
            event_queue_bytes_max: integer_between(
                "eventQueueBytesMax",
                queue,
                EVENTS_BYTES_MIN,
                INTEGER_MAX,
            )? as usize,
            ..EngineOptions::new(location, &self.cluster_name)
        })
    }

    /// Bytes of events of one crossing.
    pub fn batch_bytes_max(&self) -> Result<usize> {
        let value = self.event_batch_bytes_max;
        integer_between(
            "eventBatchBytesMax",
            value,
            EVENTS_BYTES_MIN,
            EVENTS_BYTES_MAX,
        )
        .map(|bytes| bytes as usize)
    }
}

/// Which node and cluster a data directory belongs to.
#[napi(object, object_from_js = false)]
pub struct NativeIdentity {
    /// Cluster id, below 2^53.
    pub cluster: f64,
    /// Node id, below 2^52.
    pub node: f64,
    /// How often the directory was opened.
    pub incarnation: u32,
    /// The name that the cluster was started with.
    pub cluster_name: String,
}

/// A group that the journal holds.
#[napi(object, object_from_js = false)]
pub struct NativeStoredGroup {
    /// Group id.
    pub group: u32,
    /// The bytes that the group was created with.
    pub descriptor: Buffer,
}

/// What an engine did since it was opened, and how much is under way.
#[napi(object, object_from_js = false)]
pub struct NativeStatistics {
    /// Groups that are open.
    pub groups: f64,
    /// Groups that left what their member here had promised.
    pub groups_left_over: f64,
    /// Commands taken.
    pub commands: f64,
    /// Entries proposed.
    pub entries_proposed: f64,
    /// Entries with commands given to the host.
    pub entries_applied: f64,
    /// Commands refused after they were taken.
    pub commands_refused: f64,
    /// Snapshots written.
    pub snapshots: f64,
    /// Commands that were taken and are not yet applied.
    pub pending_commands: f64,
    /// Their bytes.
    pub pending_bytes: f64,
    /// Bytes of events that wait for the host.
    pub event_bytes: f64,
    /// Rounds that the journal wrote.
    pub journal_rounds: f64,
    /// Times that the disk was asked to make rounds durable.
    pub journal_flushes: f64,
    /// Bytes that the journal takes on disk.
    pub journal_disk_bytes: f64,
    /// Nanoseconds that the last round took to be written and made durable.
    pub journal_last_flush_nanoseconds: f64,
    /// Bytes of entries that the journal keeps in memory.
    pub journal_cached_bytes: f64,
}

impl From<EngineStatistics> for NativeStatistics {
    fn from(statistics: EngineStatistics) -> Self {
        let journal = statistics.journal;
        Self {
            groups: statistics.groups as f64,
            groups_left_over: statistics.groups_left_over as f64,
            commands: statistics.commands as f64,
            entries_proposed: statistics.entries_proposed as f64,
            entries_applied: statistics.entries_applied as f64,
            commands_refused: statistics.commands_refused as f64,
            snapshots: statistics.snapshots as f64,
            pending_commands: statistics.pending_commands as f64,
            pending_bytes: statistics.pending_bytes as f64,
            event_bytes: statistics.event_bytes as f64,
            journal_rounds: journal.rounds as f64,
            journal_flushes: journal.flushes as f64,
            journal_disk_bytes: journal.disk_bytes as f64,
            journal_last_flush_nanoseconds: journal.last_flush_nanoseconds as f64,
            journal_cached_bytes: journal.cached_bytes as f64,
        }
    }
}
