//! Every limit of the engine, with its unit.

use std::time::Duration;

/// Longest command record, header and padding included.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An entry that holds this many bytes takes no further command; a single larger command still
/// makes an entry of its own.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// An entry with this many commands takes no more.
pub const ENTRY_COMMANDS_MAX: usize = 8 * 1024;

/// Entries of one group that are proposed and not yet applied; further commands gather meanwhile.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 8;

/// Bytes of commands that were taken and are not yet applied; beyond it frames are refused.
pub const PENDING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Commands that were taken and are not yet applied; beyond it frames are refused.
pub const PENDING_COMMANDS_MAX: usize = 1024 * 1024;

/// Bytes of events that wait for the host before apply is held back, unless the options say more.
pub const EVENT_QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Lease slots of the process: one for each open group of all engines.
pub const LEASE_SLOTS_MAX: usize = 64 * 1024;

/// Bytes of the pieces of one snapshot that may wait to be written before the host is to pause.
pub const SNAPSHOT_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Snapshots of one engine that are written at the same time.
pub const SNAPSHOTS_AT_ONCE_MAX: usize = 8;

/// A group's log may grow by this many bytes before a snapshot is due, unless the options say more.
pub const SNAPSHOT_LOG_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// A group's log may grow to this many times its last snapshot before the next one is due.
pub const SNAPSHOT_LOG_MULTIPLE: u64 = 2;

/// Entries kept in the log below a snapshot, for members that are a little behind.
pub const ENTRIES_KEPT_BELOW_SNAPSHOT: u64 = 16;

/// Ring of each group in which openraft notes how long its stages took.
pub const LOG_STAGES: u64 = 8;

/// Bytes of entries that one message to another member carries.
pub const REPLICATION_BYTES_MAX: u64 = 128 * 1024;

/// Bytes that one look into the log reads.
pub const LOG_READ_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long opening a group waits for this node to lead it.
pub const LEAD_WAIT: Duration = Duration::from_secs(10);

/// How long closing waits until others lead what this node led.
pub const HAND_OVER_WAIT: Duration = Duration::from_millis(500);

/// How often closing looks whether another voter could lead.
pub const HEIR_INTERVAL: Duration = Duration::from_millis(5);

/// How long closing waits for commands that are under way.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// How long closing waits for a group's tasks to end.
pub const STOP_WAIT: Duration = Duration::from_secs(5);

/// Threads of the process that read logs and write snapshots.
pub const BLOCKING_THREADS_MAX: usize = 8;

/// Longest cluster name, in bytes.
pub const CLUSTER_NAME_BYTES_MAX: usize = 255;

/// Bits of a node id and of a cluster id: JavaScript's numbers hold them exactly.
pub const IDENTITY_BITS: u32 = 52;

/// Request numbers and all other 64-bit numbers of frames are below it.
pub const NUMBER_END: u64 = 1 << 53;

/// One unit of a lease slot's value.
pub const LEASE_TICK: Duration = Duration::from_millis(32);

/// A lease ends this much of the election timeout before another node may be elected: how far the
/// clocks of two nodes may drift apart within one election timeout.
pub const LEASE_MARGIN_DIVISOR: u32 = 50;

/// How long after a lease is over a follower waits before it stands for election.
pub const ELECTION_MARGIN: Duration = Duration::from_millis(20);

/// Followers stand at random times within this part of the election timeout.
pub const ELECTION_SPREAD_DIVISOR: u32 = 3;

/// Deadlines of followers are looked at this far apart at least: many that pass one after the other
/// cost one wake-up of the node's timer.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A group that was asked for nothing for this many heartbeat intervals rests. By then its
/// followers have heard what is committed.
pub const REST_AFTER_BEATS: u32 = 8;

/// How often a group that rests is heard within one election timeout, at least.
pub const RESTING_BEATS_PER_TIMEOUT: u32 = 2;

/// How long a leader's node may stand still, at any time, without its resting groups being led by
/// others for it. With an election timeout that leaves no room for that, groups do not rest.
pub const RESTING_STALL: Duration = Duration::from_millis(500);

/// Appends of one group to one member that wait for their answers.
pub const APPENDS_IN_FLIGHT_MAX: usize = 64;

/// How long openraft lets a whole snapshot take.
pub const SNAPSHOT_SEND_WAIT: Duration = Duration::from_secs(3600);

/// How often a node is asked to create a member that it does not know.
pub const CREATE_MEMBER_INTERVAL: Duration = Duration::from_millis(200);

/// How long a leader waits for a new member to catch up, or for a transfer, at a time.
pub const MEMBERSHIP_WAIT: Duration = Duration::from_secs(10);

/// Entries that a learner may be behind and still count as caught up.
pub const LEARNER_LAG_MAX: u64 = 64;

/// How often progress that openraft does not announce is looked at.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(20);

/// How often commands are sent on towards a leader before they are refused.
pub const FORWARD_ATTEMPTS_MAX: usize = 4;

/// How long a host may take to give the results of commands of a node without a replica.
pub const RESULTS_WAIT: Duration = Duration::from_secs(4);

/// How long a request to another node's member may stay unanswered.
pub const REQUEST_WAIT: Duration = Duration::from_secs(5);

/// How long a call of another node's engine may stay unanswered: it may wait for its host.
pub const CALL_WAIT: Duration = Duration::from_secs(15);

/// Calls of other nodes' hosts that wait for this node's host.
pub const HOST_CALLS_MAX: usize = 4 * 1024;

/// Bytes of such calls; one of any length may wait alone.
pub const HOST_CALL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest time that a call waits for this node's host, whatever its caller says.
pub const HOST_CALL_WAIT_MAX: Duration = Duration::from_secs(300);

/// Nodes whose addresses are noted.
pub const ADDRESSES_MAX: usize = 16 * 1024;

/// Groups that a host says exist.
pub const EXISTING_GROUPS_MAX: usize = 1024 * 1024;

/// Nodes that were given up for lost and are still refused.
pub const LOST_NODES_MAX: usize = 1024;

/// Received entries up to this length are copied, so that they do not keep whole frames in memory.
pub const ENTRY_COPIED_BYTES_MAX: usize = 32 * 1024;

/// How long after it was last asked for something a group falls asleep, unless the options say
/// otherwise.
pub const SLEEP_AFTER: Duration = Duration::from_secs(10);

/// Lines of the log that wait for the host before further ones are left out.
pub const LINES_WAITING_MAX: usize = 1024;

/// Lines of one kind that are kept in one span of time; the rest is counted.
pub const LINES_OF_A_KIND_MAX: u32 = 10;

/// A span of time for which lines of one kind are counted.
pub const LINES_SPAN: Duration = Duration::from_secs(10);

/// Bytes of one value of a line.
pub const LINE_VALUE_BYTES_MAX: usize = 1024;

/// How long waking a group waits for a quorum.
pub const ROUSE_WAIT: Duration = Duration::from_secs(2);
