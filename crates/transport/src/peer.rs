//! Another node, as it can be called.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::Stream;

use crate::convert;
use crate::core::Core;
use crate::error::{CallError, SnapshotError};
use crate::handler::PeerIdentity;
use crate::lane::Lane;
use crate::message::{Note, Request, Response};
use crate::outbox::PendingCall;
use crate::snapshot_sender;
use crate::statistics::PeerStatistics;
use crate::wire;
use crate::wire::item::Kind;

/// Another node. Cheap to clone; all clones share one stream, which is made at the first use.
///
/// Requests, calls and notes leave in the order in which these methods are called: each puts its
/// message in before it returns, also where it returns a future. Those futures need a tokio runtime
/// with time around them.
#[derive(Clone)]
pub struct Peer {
    core: Arc<Core>,
    lane: Arc<Lane>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Peer")
            .field("node", &self.lane.node())
            .field("address", &self.lane.address())
            .finish_non_exhaustive()
    }
}

impl Peer {
    pub(crate) fn new(core: Arc<Core>, lane: Arc<Lane>) -> Self {
        Self { core, lane }
    }

    /// Its id.
    #[must_use]
    pub fn node(&self) -> u64 {
        self.lane.node()
    }

    /// Where it is dialled.
    #[must_use]
    pub fn address(&self) -> Arc<str> {
        self.lane.address()
    }

    /// It can be called now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.lane.is_up()
    }

    /// Who answered last at its address.
    #[must_use]
    pub fn identity(&self) -> Option<PeerIdentity> {
        self.lane.remote()
    }

    /// What was exchanged with it.
    #[must_use]
    pub fn statistics(&self) -> PeerStatistics {
        self.lane.statistics()
    }

    /// Starts to connect, if that was not tried yet.
    pub fn connect(&self) {
        // Only whether it can be called now; whoever wants to know asks.
        let _ = self.lane.outbox(&self.core, false);
    }

    fn put(&self, group: u32, kind: Kind, in_cluster: bool) -> Result<PendingCall, CallError> {
        self.lane
            .outbox(&self.core, in_cluster)?
            .request(group, kind)
    }

    /// Asks the peer's member of a group.
    pub fn request(
        &self,
        group: u32,
        request: Request,
        deadline: Instant,
    ) -> impl Future<Output = Result<Response, CallError>> + Send + use<> {
        let pending = self.put(group, convert::request_to_wire(request), true);
        async move { convert::response_from_wire(pending?.wait(deadline).await?) }
    }

    /// Calls one of the upper layers' methods on the peer; also where one side has no cluster.
    pub fn call(
        &self,
        method: u32,
        body: Bytes,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, CallError>> + Send + use<> {
        let pending = self.put(0, Kind::Call(wire::NodeCall { method, body }), false);
        async move { convert::call_result_from_wire(pending?.wait(deadline).await?) }
    }

    /// Tells the peer something about a group; whether it hears so is not known.
    ///
    /// # Errors
    /// When nothing was put in.
    pub fn note(&self, group: u32, note: Note) -> Result<(), CallError> {
        let Note { kind, body } = note;
        self.lane
            .outbox(&self.core, true)?
            .note(group, Kind::Note(wire::Note { kind, body }))
    }

    /// Sends a snapshot on a connection of its own. `pieces` is called with the offset from which
    /// the receiver wants them. Ends with the receiver's answer, or as soon as the peer goes down.
    ///
    /// # Errors
    /// When it did not arrive as a whole; it may be sent again, and go on where it stopped.
    pub fn send_snapshot<F, S>(
        &self,
        header: Bytes,
        pieces: F,
    ) -> impl Future<Output = Result<Bytes, SnapshotError>> + Send + use<F, S>
    where
        F: FnOnce(u64) -> S + Send,
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        snapshot_sender::send(self.core.clone(), self.lane.clone(), header, pieces)
    }
}
