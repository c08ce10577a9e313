//! Every limit of the transport, with its unit.

use std::time::Duration;

/// Oldest protocol that this version speaks.
pub const PROTOCOL_MIN: u32 = 1;

/// Newest protocol that this version speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// A frame with this many bytes takes no further item.
pub const FRAME_BYTES_MAX: usize = 128 * 1024;

/// Longer items are sent in parts of at most `FRAME_BYTES_MAX`, so that pings get between them.
pub const ITEM_WHOLE_BYTES_MAX: usize = 512 * 1024;

/// Longest item, in bytes: the longest command, and what an entry and an append put around it.
pub const ITEM_BYTES_MAX: usize = 66 * 1024 * 1024;

/// Longest message that is decoded, in bytes: a whole item, and a frame's other fields.
pub const DECODE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that tonic takes for the first frame of a stream before it knows how long it is.
pub const ENCODE_BUFFER_BYTES: usize = 8 * 1024;

/// Bytes that may wait to be sent to a peer; one item of any length may wait alone.
pub const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Items that may wait to be sent to a peer.
pub const QUEUE_ITEMS_MAX: usize = 64 * 1024;

/// Requests to a peer that may wait for their answers.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64 * 1024;

/// Requests of one stream that are handled at the same time; later ones stay on the wire.
pub const HANDLED_AT_ONCE_MAX: usize = 1024;

/// Bytes of requests of one stream that are handled at the same time; one of any length may be.
pub const HANDLED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest piece of a snapshot, in bytes.
pub const SNAPSHOT_PIECE_BYTES_MAX: usize = 256 * 1024;

/// Pieces of one snapshot that are read ahead of what the network takes.
pub const SNAPSHOT_PIECES_AHEAD_MAX: usize = 2;

/// Snapshots that are sent to one peer at the same time.
pub const SNAPSHOTS_PER_PEER_MAX: usize = 4;

/// Longest header, and longest answer, of a snapshot, in bytes.
pub const SNAPSHOT_HEADER_BYTES_MAX: usize = 512 * 1024;

/// Connections that are accepted at the same time.
pub const CONNECTIONS_MAX: usize = 1024;

/// Streams of one accepted connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 16;

/// Nodes whose incarnations are remembered.
pub const NODES_KNOWN_MAX: usize = 16 * 1024;

/// Refusals that are remembered, so that each is reported once in `REFUSAL_REPORT_INTERVAL`.
pub const REFUSALS_KNOWN_MAX: usize = 1024;

/// Longest cluster name, in bytes.
pub const CLUSTER_NAME_BYTES_MAX: usize = 255;

/// Longest address, in bytes: a host name of 253, a colon, a port.
pub const ADDRESS_BYTES_MAX: usize = 259;

/// Longest text of a refusal or fault, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;

/// HTTP/2 window of a stream, in bytes: what a receiver that does not read may be sent.
pub const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// HTTP/2 window of a connection, in bytes.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Longest HTTP/2 data frame, in bytes.
pub const HTTP2_FRAME_BYTES_MAX: u32 = 128 * 1024;

/// How long connecting may take, unless the options say otherwise.
pub const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// How long a connection may stay without a hello that was accepted, and a dialler waits for one.
pub const HELLO_WAIT: Duration = Duration::from_secs(5);

/// Bytes of a TLS alert at most, with what goes before it; whoever presents a certificate, or says that
/// it has none, sends more.
pub const TLS_ALERT_BYTES_MAX: usize = 64;

/// How long the side that refused waits for the other to go away first.
pub const REFUSED_WAIT: Duration = Duration::from_secs(1);

/// Time between two pings, unless the options say otherwise.
pub const PING_INTERVAL: Duration = Duration::from_millis(200);

/// Pings without any sign of life before a peer counts as gone, unless the options say otherwise.
pub const PINGS_UNANSWERED_MAX: u32 = 5;

/// Time between two HTTP/2 pings, which find dead connections in the direction without own pings.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// How long an HTTP/2 ping may stay unanswered.
pub const KEEPALIVE_WAIT: Duration = Duration::from_secs(5);

/// First wait before a peer is dialled again; doubles with each failure.
pub const RECONNECT_WAIT_MIN: Duration = Duration::from_millis(50);

/// Longest wait before a peer is dialled again, unless the options say otherwise.
pub const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(1);

/// The same refusal of the same peer is reported again after this time.
pub const REFUSAL_REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// How long accepting pauses after the system refused a connection (too many open files).
pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(50);

/// How long closing waits for accepted connections to end.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);
