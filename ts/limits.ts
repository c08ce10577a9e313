/** Every limit of the TypeScript layers, by name and with its unit. */

// Keys and values

/** Bytes of an encoded key. */
export const KEY_BYTES_MAX = 64 * 1024 - 1;
/** Arrays within arrays of a key. */
export const KEY_NESTING_MAX = 16;
/** Bytes of an encoded argument. */
export const ARGUMENT_BYTES_MAX = 16 * 1024 * 1024;
/** Objects within objects of a value. */
export const VALUE_NESTING_MAX = 512;
/** Bytes that one writer grows to. */
export const WRITER_BYTES_MAX = 1024 * 1024 * 1024;
/** Parts of a value that user code returned that are looked at before it is stored. */
export const STORABLE_PARTS_CHECKED = 64;

// Requests

/** Requests of this node's callers that are not settled. */
export const REQUESTS_IN_FLIGHT_MAX = 250_000;
/** Milliseconds before a command that no leader took is sent again, at first; it doubles. */
export const REFUSED_RETRY_MS_MIN = 20;
/** Bytes in the outbox that are handed over before the tick ends. */
export const OUTBOX_FLUSH_BYTES = 64 * 1024;
/** Commands in the outbox that are handed over before the tick ends. */
export const OUTBOX_FLUSH_COMMANDS = 128;
/** Bytes that the outbox's memory starts with. */
export const OUTBOX_CHUNK_BYTES = 16 * 1024;
/** Times that one attempt of a call follows its key from shard to shard. */
export const MOVES_MAX = 8;

// Hosting

/** Bytes of events that are taken from the engine at a time. */
export const DRAIN_BYTES_MAX = 1024 * 1024;
/** Bytes of events that wait for the host before the engine holds groups back. */
export const EVENT_QUEUE_BYTES_MAX = 32 * 1024 * 1024;
/** Milliseconds that closing waits for the host to handle the last events. */
export const CLOSE_PULL_MS_MAX = 10_000;
/** Milliseconds of the event loop that applying entries takes at a time. */
export const DRAIN_SLICE_MS_MAX = 4;
/** Milliseconds of the event loop that writing a snapshot takes at a time. */
export const SNAPSHOT_SLICE_MS_MAX = 2;
/** Bytes of one piece of a snapshot that the host asks a machine for. */
export const SNAPSHOT_PIECE_BYTES_MAX = 64 * 1024;

/** Answers that ask senders on other nodes to come again that a leader keeps for them. */
export const FOREIGN_REFUSALS_KEPT = 1024;
/** Entries of other nodes whose results a node holds back until their parked commands ran. */
export const RESULTS_WAITING_MAX = 10_000;

// Calls between nodes

/** Calls to other nodes' hosts that are under way. */
export const CALLS_IN_FLIGHT_MAX = 10_000;
/** Calls of other nodes' hosts that a node answers at a time. */
export const CALLS_ANSWERED_AT_ONCE_MAX = 10_000;
/** Reads that one call takes to another node. */
export const READS_PER_CALL_MAX = 256;
/** Bytes of the reads that one call takes to another node; a single read may be longer. */
export const READ_BYTES_PER_CALL = 64 * 1024;
/** Reads of this node's callers that other nodes are asked for, at a time. */
export const REMOTE_READS_MAX = 100_000;
/** Groups whose leader a node without a replica keeps in mind. */
export const LEADER_HINTS_MAX = 100_000;

// Shards

/** Bytes of state that a shard encodes at a time. */
export const SNAPSHOT_PIECE_BYTES = 64 * 1024;
/** Bytes of one chunk of a range that moves to another shard. */
export const TRANSFER_CHUNK_BYTES = 64 * 1024;
/** Commands that a shard holds while it waits for a range to arrive. */
export const PARKED_COMMANDS_MAX = 10_000;
/** Bytes of the commands that a shard holds while it waits for a range to arrive. */
export const PARKED_BYTES_MAX = 4 * 1024 * 1024;

/** Entries that a shard finds again without decoding their keys; a power of two. */
export const RECENT_ENTRIES_MAX = 128 * 1024;
/** Keys that a walk over a keyspace reads at a time. */
export const KEYS_PAGE = 1000;
/** Key hashes are below this: they have 27 bits. */
export const HASH_END = 2 ** 27;
/** Milliseconds that a command waits in a shard for its range to arrive. */
export const PARKED_TIME_MS_MAX = 2_000;
/** Removed keys that the sender of a range keeps in mind; one more ends the transfer. */
export const TOMBSTONES_MAX = 100_000;
/** Dropped entries that a shard clears out of the key index with each command. */
export const GARBAGE_PER_COMMAND = 16;

// Names and options

/** Characters of a keyspace's name. */
export const KEYSPACE_NAME_LENGTH_MAX = 128;
/** Characters of a consensus group's name. */
export const GROUP_NAME_LENGTH_MAX = 200;
/** Characters of a zone's name. */
export const ZONE_NAME_LENGTH_MAX = 128;
/** Characters of an address of a node. */
export const ADDRESS_LENGTH_MAX = 300;
/** Characters of the version of a node. */
export const VERSION_LENGTH_MAX = 100;
/** Group modules that a node's program has bound when it joins. */
export const MODULES_PER_NODE_MAX = 100_000;
/** Milliseconds of the longest time an option takes: Node.js timers hold no more. */
export const OPTION_TIME_MAX_MS = 2 ** 31 - 1;
/** Attempts that a call option asks for at most. */
export const RETRIES_MAX = 1_000_000;

// Data modules and the fleet

/** Bytes of one piece of the snapshot of a data module's state. */
export const DATA_SNAPSHOT_PIECE_BYTES = 1024 * 1024;
/** Requests for groups that are gone that the fleet remembers, to add nothing when they come late. */
export const SPENT_TOKENS = 4096;
/** Nodes that left the fleet that it remembers, to let late messages of theirs change nothing. */
export const DEPARTED_NODES = 1024;
/** Members of a system group that vote. */
export const SYSTEM_VOTERS_MAX = 5;
/** Groups that get their next target in one balancing interval. */
export const BALANCED_GROUPS = 32;
/** Groups whose targets one command to the fleet confirms. */
export const CONFIRMED_TARGETS_MAX = 256;
/** Groups of this node whose members are brought to their target at once. */
export const MEMBERSHIP_GROUPS_AT_ONCE = 16;
/** Groups of this node that are removed before what they left is forgotten. */
export const GROUPS_LEFT_OVER_MAX = 256;
/** Milliseconds between two looks at the groups that this node leads. */
export const MEMBERSHIP_INTERVAL_MS = 2_000;
/** Milliseconds before a failed step towards a target is tried again, the first time. */
export const MEMBERSHIP_RETRY_MS_MIN = 50;
/** Milliseconds before a failed step towards a target is tried again, at most. */
export const MEMBERSHIP_RETRY_MS_MAX = 2_000;
/** Milliseconds after which a step towards a target no longer keeps another group waiting. */
export const MEMBERSHIP_STEP_MS_MAX = 15_000;
/** Entries that a member may be behind and still count as caught up, as the engine counts. */
export const MEMBER_LAG_MAX = 64;
/** Milliseconds that a node is out of reach before the fleet hears of it. */
export const UNREACHABLE_AFTER_MS = 3_000;
/** Milliseconds that the fleet's leader has missed a node itself before it replaces it, at most. */
export const PURGE_OBSERVED_MS = 30_000;
/** Milliseconds before a command of the watch that failed is sent again. */
export const WATCH_RETRY_MS = 500;

// Workflows

/** Split candidates, and merge candidates, that one look at the directory takes in. */
export const CANDIDATES_OF_A_KIND = 5;
/** Splits and merges that run side by side in the cluster. */
export const TRANSFERS_AT_ONCE = 8;
/** Changed entries that are few enough to be brought across while keys wait. */
export const CHANGES_LEFT_FEW = 64;
/** Times that what changed during a copy is brought across before the hand-over. */
export const CATCH_UP_PASSES = 8;
/** Failed attempts after which a split or merge in which no key has moved is given up. */
export const COPY_ATTEMPTS = 10;
/** Milliseconds between two looks for splits and merges that are due. */
export const PLAN_PAUSE_MS = 50;
/** Milliseconds before a failed step is tried again, the first time; it doubles each time. */
export const STEP_RETRY_MS_MIN = 10;
/** Milliseconds before a failed step is tried again, at most. */
export const STEP_RETRY_MS_MAX = 1_000;
/** Milliseconds before a failed step in which keys wait is tried again, at most. */
export const HAND_OVER_RETRY_MS_MAX = 50;
/** Intervals after which every shard is reported, changed or not. */
export const FULL_REPORT_INTERVALS = 10;
/** Milliseconds between two reports of a node. */
export const REPORT_PAUSE_MS = 100;
/** Shards in one report. */
export const SHARDS_PER_REPORT = 500;

// Joining a cluster

/** Milliseconds that a node waits for a seed's answer. */
export const SEED_CALL_MS = 1_000;
/** Milliseconds before a node that is not in its cluster yet asks the seeds again. */
export const JOIN_RETRY_MS = 100;
/** Milliseconds before a node says again what it has been waiting for. */
export const JOIN_SAY_MS = 5_000;
/** Milliseconds that a call waits for a new group's leader, or for this node's replica of a group. */
export const GROUP_WAIT_MS_MAX = 30_000;
/** Milliseconds before a node that leaves says again how many groups it still holds. */
export const LEAVE_SAY_MS = 5_000;
/** Shards that a node is asked about by one call. */
export const SHARDS_PER_SURVEY_CALL = 256;
/** Milliseconds that a node has to say how its replicas stand. */
export const SURVEY_CALL_MS = 1_000;
/** Milliseconds in which a survivor that was started anew comes to know the nodes of its cluster. */
export const LOST_NAMES_MS = 5_000;
/** Milliseconds between two looks whether it does. */
export const LOST_NAMES_POLL_MS = 20;
/** Milliseconds that a survivor has to say which lost nodes it reaches, call by call. */
export const LOST_CALL_MS = 1_000;
/** Milliseconds that a survivor has to say what it holds of all groups. */
export const HOLDINGS_CALL_MS = 10_000;
/** Milliseconds that a survivor has to make itself a group's only voter. */
export const RECOVER_CALL_MS = 30_000;
/** Milliseconds between two looks at groups that survivors may still help themselves. */
export const RECOVERY_PAUSE_MS = 250;
/** Milliseconds after which a group that could elect a leader, and has none, is reported. */
export const RECOVERY_WAIT_MS = 20_000;
/** Milliseconds that the fleet has to take this node in again after it was recovered. */
export const REJOIN_WAIT_MS = 30_000;
/** Milliseconds in which a majority has to confirm who leads a group. */
export const SURVEY_CONFIRM_MS = 500;

// Administration

/** Milliseconds that a node has to report to another that was asked about the cluster. */
export const ADMIN_CALL_MS = 2_000;
/** Milliseconds that a leader transfer, split or merge is waited for. */
export const ADMIN_WAIT_MS = 60_000;
/** Milliseconds that the draining of a node is waited for. */
export const ADMIN_DRAIN_MS = 600_000;
/** Milliseconds between two looks at whether what was asked for has come about. */
export const ADMIN_POLL_MS = 20;
/** Bytes of committed entries that wait to be applied on a node that counts as ready. */
export const READY_APPLY_BYTES_MAX = 8 * 1024 * 1024;
/** Groups whose replicas are compared at once where somebody asks for it. */
export const VERIFIED_AT_ONCE = 4;
/** Milliseconds that a node has to compute the checksum of a replica that somebody asks for. */
export const VERIFY_CALL_MS = 20_000;
/** Shards that `top` shows at most. */
export const TOP_SHARDS_MAX = 1_000;
/** Log lines that a node keeps for a system dump. */
export const RECENT_LINES_MAX = 200;
/** Bytes of the body of a request to the admin server. */
export const ADMIN_BODY_BYTES_MAX = 1024 * 1024;
/** Requests that the admin server answers at a time. */
export const ADMIN_REQUESTS_AT_ONCE_MAX = 32;
/** Responses of the admin server that stay open, as the dashboard's do. */
export const ADMIN_STREAMS_MAX = 32;
/** Connections to the admin server. */
export const ADMIN_CONNECTIONS_MAX = 128;
/** Milliseconds in which a request to the admin server has to have arrived. */
export const ADMIN_REQUEST_MS = 10_000;

// Backup and restore

/** Bytes of the entries that are read, written and placed at a time; a single one may be longer. */
export const BACKUP_PIECE_BYTES = 128 * 1024;
/** Bytes of an entry that a command can bring back: an argument, less what else stands in it. */
export const PLACED_ENTRY_BYTES_MAX: number = ARGUMENT_BYTES_MAX - 1024;
/** Ranges that a node gives to whoever makes a backup, at a time. */
export const BACKUP_READINGS_MAX = 4;
/** Milliseconds after which a range that nobody takes the next piece of is given no longer. */
export const BACKUP_IDLE_MS_MAX = 30_000;
/** Milliseconds that a node has to begin with a range, or to give a piece of it. */
export const BACKUP_CALL_MS = 10_000;
/** Milliseconds that a backup or restore waits for whoever owns a hash. */
export const BACKUP_OWNER_WAIT_MS = 30_000;
/** Milliseconds between two looks for whoever owns a hash. */
export const BACKUP_OWNER_POLL_MS = 50;
/** Times that a range is begun again when its reading breaks off. */
export const BACKUP_ATTEMPTS = 10;
/** Bytes of the description of a backup. */
export const BACKUP_DESCRIPTION_BYTES_MAX = 64 * 1024 * 1024;
/** Pieces of a backup that are placed at a time. */
export const RESTORE_PIECES_AT_ONCE = 4;
/** Bytes of a request that brings a piece of a backup to the admin server. */
export const RESTORE_BODY_BYTES_MAX = 32 * 1024 * 1024;

// The dashboard

/** Milliseconds between two looks at what the dashboard shows. */
export const DASHBOARD_INTERVAL_MS = 1_000;
/** Milliseconds between two questions of other nodes which groups they lead, while somebody looks. */
export const DASHBOARD_LEADERS_MS = 5_000;
/** Samples of loads that are kept: five minutes. */
export const DASHBOARD_SAMPLES_MAX = 300;
/** Splits and merges that are kept: what a picture of the samples has room for. */
export const DASHBOARD_MARKS_MAX = 300;
/** Cells of one keyspace in a sample; neighbouring shards share one where there are more. */
export const DASHBOARD_CELLS_MAX = 64;
/** Keyspaces that the dashboard shows. */
export const DASHBOARD_KEYSPACES_MAX = 8;
/** Events that are kept for the dashboard. */
export const DASHBOARD_HAPPENINGS_MAX = 100;
/** Milliseconds within which the same thing told again is no other happening. */
export const DASHBOARD_REPEAT_MS = 5_000;
/** Seconds over which rates and latencies are taken. */
export const DASHBOARD_RATE_SECONDS = 5;
/** Groups that the dashboard lists. */
export const DASHBOARD_GROUPS_MAX = 500;
/** Shards of a keyspace that the dashboard lists. */
export const DASHBOARD_SHARDS_MAX = 500;

// Comparing replicas

/** Bytes of state that a pass over it looks at before it asks for the time. */
export const CHECKSUM_STEP_BYTES = 16 * 1024;
/** Milliseconds of the event loop that computing checksums takes at a time. */
export const CHECKSUM_SLICE_MS_MAX = 2;
/** Bytes of memory that a checksum keeps between two values. */
export const CHECKSUM_MEMORY_KEPT_BYTES = 1024 * 1024;
/** Milliseconds of the event loop that rebuilding a replica takes at a time. */
export const REBUILD_SLICE_MS_MAX = 4;
/** Bytes of entries that are kept while a replica is rebuilt from its leader's state. */
export const REBUILD_KEPT_BYTES_MAX = 64 * 1024 * 1024;
/** Milliseconds between two looks for groups whose replicas are to be compared. */
export const COMPARISON_LOOK_MS = 1_000;
/** Groups of a node whose replicas are compared at a time. */
export const COMPARISONS_AT_ONCE_MAX = 4;
/** How many times as long as a pass over a state took no other begins on the node that leads. */
export const COMPARISON_REST_FACTOR = 20;
/** Milliseconds that a command of a comparison may take. */
export const COMPARISON_COMMAND_MS = 5_000;
/** States that a node gives to others at a time, for replicas that are rebuilt. */
export const REBUILDS_SENT_AT_ONCE_MAX = 2;
/** Milliseconds after which a state that nobody takes the next piece of is given no longer. */
export const REBUILD_IDLE_MS_MAX = 10_000;
/** Milliseconds that another node has to answer a call about a replica that is rebuilt. */
export const REBUILD_CALL_MS = 5_000;
/** Milliseconds before a replica that could not be rebuilt is tried again. */
export const REBUILD_RETRY_MS = 200;
/** Commands that are not deterministic that are told of, for each time that a node leads a shard. */
export const DETERMINISM_REPORTS_MAX = 100;
