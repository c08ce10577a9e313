//! How an engine is opened.

use openraft::{Config, SnapshotPolicy, StepDownPolicy};
pub use raft_kv_journal::{Durability, Location};

use crate::error::EngineError;
use crate::limits::{
    CLUSTER_NAME_BYTES_MAX, ENTRIES_KEPT_BELOW_SNAPSHOT, EVENT_QUEUE_BYTES_MAX, LOG_STAGES,
    PENDING_BYTES_MAX, PENDING_COMMANDS_MAX, SLEEP_AFTER, SNAPSHOT_LOG_BYTES_MIN,
    SNAPSHOT_SEND_WAIT,
};
use crate::logging::LogLevel;
use crate::world::World;

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where its data lives.
    pub location: Location,
    /// When a command counts as durable.
    pub durability: Durability,
    /// The cluster's name; a directory of another cluster is refused.
    pub cluster_name: String,
    /// How often a leader lets its followers hear of it.
    pub heartbeat_interval_ms: u64,
    /// How long a leader's lease runs, and with it the least time to a new leader.
    pub election_timeout_ms: u64,
    /// How long after it was last asked for something a group falls asleep.
    pub sleep_after_ms: u64,
    /// Bytes of events that wait for the host before apply is held back.
    pub event_queue_bytes_max: usize,
    /// Bytes of commands under way beyond which frames are refused.
    pub pending_bytes_max: usize,
    /// Commands under way beyond which frames are refused.
    pub pending_commands_max: usize,
    /// Bytes by which a group's log may grow before a snapshot is due.
    pub snapshot_log_bytes_min: u64,
    /// The least severe lines of the log that the host is given as events; `None`: none.
    pub log_level: Option<LogLevel>,
    /// Where the engine's runtime, chance and time of day come from.
    #[doc(hidden)]
    pub world: World,
}

impl EngineOptions {
    /// The usual options for an engine at `location`.
    #[must_use]
    pub fn new(location: Location, cluster_name: &str) -> EngineOptions {
        EngineOptions {
            location,
            durability: Durability::Fsync,
            cluster_name: cluster_name.into(),
            heartbeat_interval_ms: 300,
            election_timeout_ms: 1500,
            sleep_after_ms: SLEEP_AFTER.as_millis() as u64,
            event_queue_bytes_max: EVENT_QUEUE_BYTES_MAX,
            pending_bytes_max: PENDING_BYTES_MAX,
            pending_commands_max: PENDING_COMMANDS_MAX,
            snapshot_log_bytes_min: SNAPSHOT_LOG_BYTES_MIN,
            log_level: None,
            world: World::default(),
        }
    }

    /// What openraft is told. Nothing of a group may tick by itself: this engine's own timers and
    /// triggers take the place of openraft's.
    pub(crate) fn raft_config(&self) -> Result<Config, EngineError> {
        if self.cluster_name.is_empty() || self.cluster_name.len() > CLUSTER_NAME_BYTES_MAX {
            return Err(EngineError::InvalidArgument(format!(
                "a cluster's name has 1 to {CLUSTER_NAME_BYTES_MAX} bytes"
            )));
        }
        let config = Config {
            cluster_name: self.cluster_name.clone(),
            heartbeat_interval: self.heartbeat_interval_ms,
            election_timeout_min: self.election_timeout_ms.saturating_sub(1),
            election_timeout_max: self.election_timeout_ms,
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: ENTRIES_KEPT_BELOW_SNAPSHOT,
            log_stage_capacity: Some(LOG_STAGES),
            enable_tick: false,
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            removed_leader_step_down: if self.world.traps().removes_leader {
                StepDownPolicy::After(150)
            } else {
                StepDownPolicy::Never
            },
            install_snapshot_timeout: SNAPSHOT_SEND_WAIT.as_millis() as u64,
            ..Config::default()
        };
        config
            .validate()
            .map_err(|error| EngineError::InvalidArgument(error.to_string()))
    }
}
