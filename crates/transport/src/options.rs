//! Settings of a transport.

use std::fmt;
use std::time::Duration;

use crate::limits;

/// Certificates and key, as PEM; see [`TransportOptions::tls`].
#[derive(Clone)]
pub struct TlsOptions {
    /// The certificates of those who may sign the nodes' certificates.
    pub ca: Vec<u8>,
    /// This node's certificate, and what leads from it to `ca`.
    pub certificate: Vec<u8>,
    /// This node's private key.
    pub key: Vec<u8>,
    /// The name that every node's certificate carries. Without one, a certificate must carry the
    /// host name or IP address under which the node is dialled.
    pub server_name: Option<String>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster_name: String,
    /// The cluster's id; 0 as long as the node has none.
    pub cluster: u64,
    /// The node's id; not 0.
    pub node: u64,
    /// Counts the openings of the node's data directory. Two processes must never share one.
    pub incarnation: u64,
}

/// Settings of a transport.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// Where to listen: host and port, port 0 for a free one.
    pub listen: String,
    /// Where others reach this node; what it listens at, if nothing is said.
    pub advertise: Option<String>,
    /// Both sides of every connection show certificates of this authority. Without it everything
    /// is sent openly to whoever connects.
    pub tls: Option<TlsOptions>,
    /// Who this node is.
    pub identity: Identity,
    /// Version of what the layers above store and send; told to the peers, not judged here.
    pub format_version: u32,
    /// Time between two pings.
    pub ping_interval: Duration,
    /// Pings without any sign of life before a peer counts as gone.
    pub pings_unanswered_max: u32,
    /// How long connecting may take.
    pub connect_wait: Duration,
    /// Longest wait before a peer is dialled again.
    pub reconnect_wait_max: Duration,
}

impl TransportOptions {
    /// With default settings.
    #[must_use]
    pub fn new(listen: impl Into<String>, identity: Identity) -> Self {
        Self {
            listen: listen.into(),
            advertise: None,
            tls: None,
            identity,
            format_version: 1,
            ping_interval: limits::PING_INTERVAL,
            pings_unanswered_max: limits::PINGS_UNANSWERED_MAX,
            connect_wait: limits::CONNECT_WAIT,
            reconnect_wait_max: limits::RECONNECT_WAIT_MAX,
        }
    }
}
