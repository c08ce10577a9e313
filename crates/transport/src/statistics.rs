//! What was exchanged with each node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What was exchanged with one node, over all streams since it became known, and how it is.
#[derive(Clone, Debug)]
pub struct PeerStatistics {
    /// The node.
    pub node: u64,
    /// Where it is dialled.
    pub address: String,
    /// It can be called.
    pub up: bool,
    /// Since when it is up, or is not.
    pub since: Instant,
    /// Why it is not up, if that was tried.
    pub problem: Option<String>,
    /// The incarnation that answered last.
    pub incarnation: Option<u64>,
    /// Bytes that wait to be sent.
    pub queue_bytes: usize,
    /// Items that wait to be sent.
    pub queue_items: usize,
    /// Requests that wait for their answers.
    pub in_flight: usize,
    /// Bytes of items sent.
    pub sent_bytes: u64,
    /// Frames sent.
    pub sent_frames: u64,
    /// Items sent: requests, notes and answers.
    pub sent_items: u64,
    /// Bytes of items received.
    pub received_bytes: u64,
    /// Frames received.
    pub received_frames: u64,
    /// Items received.
    pub received_items: u64,
    /// How long the last answered ping took.
    pub round_trip: Option<Duration>,
    /// When the last frame came.
    pub last_heard: Option<Instant>,
}

/// The counters behind [`PeerStatistics`]; shared by all streams with a node.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub sent_bytes: AtomicU64,
    pub sent_frames: AtomicU64,
    pub sent_items: AtomicU64,
    pub received_bytes: AtomicU64,
    pub received_frames: AtomicU64,
    pub received_items: AtomicU64,
    /// 0: no ping was answered yet.
    pub round_trip_nanoseconds: AtomicU64,
    pub last_heard: Mutex<Option<Instant>>,
}

impl Counters {
    /// Notes a frame that goes out.
    pub(crate) fn sent(&self, items: usize, bytes: usize) {
        self.sent_frames.fetch_add(1, Ordering::Relaxed);
        self.sent_items.fetch_add(items as u64, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes a frame that came in.
    pub(crate) fn received_frame(&self) {
        self.received_frames.fetch_add(1, Ordering::Relaxed);
        *self.last_heard.lock() = Some(Instant::now());
    }

    /// Notes an item that came in.
    pub(crate) fn received_item(&self, bytes: usize) {
        self.received_items.fetch_add(1, Ordering::Relaxed);
        self.received_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
