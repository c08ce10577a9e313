//! What other nodes send, handed to the engine. It does not keep the engine alive.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use raft_kv_transport::{
    Handler, NodeFault, Note, PeerIdentity, PeerState, RefusalReason, RefusedStream, Request,
    Response, SnapshotStream,
};

use crate::engine::{Engine, Shared};
use crate::events::{Event, PeerChange, StreamRefusal};
use crate::host_calls::{self, Caller, fault};
use crate::links::method;
use crate::network::IncomingPieces;

/// See the module.
pub(crate) struct Receiver(Weak<Shared>);

impl Receiver {
    /// Hands on to the engine, for as long as it is there.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    fn engine(&self) -> Option<Engine> {
        self.0.upgrade().map(Engine)
    }
}

impl IncomingPieces for SnapshotStream {
    fn start_at(&mut self, offset: u64) {
        SnapshotStream::start_at(self, offset);
    }

    fn next(&mut self) -> BoxFuture<'_, Option<std::io::Result<Bytes>>> {
        let next = SnapshotStream::next(self);
        next.map(|piece| piece.map(|piece| piece.map_err(std::io::Error::other)))
            .boxed()
    }
}

impl Handler for Receiver {
    fn request(
        &self,
        from: &PeerIdentity,
        group: u32,
        request: Request,
    ) -> BoxFuture<'static, Response> {
        let Some(engine) = self.engine() else {
            return std::future::ready(Response::Failed("closed".into())).boxed();
        };
        if matches!(request, Request::Vote(_) | Request::PreVote(_)) {
            // It may have been started anew at an address that nobody here knows of.
            engine.0.learn_address(from.node, &from.address);
        }
        engine.deliver(from.node, group, request).boxed()
    }

    fn node_call(
        &self,
        from: &PeerIdentity,
        method: u32,
        body: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, NodeFault>> {
        let Some(engine) = self.engine() else {
            return std::future::ready(Err(fault(fault::CLOSED, "closed"))).boxed();
        };
        let member = from.cluster != 0 && from.cluster == engine.0.cluster();
        if member {
            engine.0.learn_address(from.node, &from.address);
        }
        if method == method::HOST {
            let caller = Caller {
                node: from.node,
                incarnation: from.incarnation,
                member,
            };
            return host_calls::take(engine.0, caller, body).boxed();
        }
        if !member {
            let what = "engines talk within a cluster only";
            return std::future::ready(Err(fault(fault::ENGINE, what))).boxed();
        }
        let from = from.node;
        async move {
            let answered = engine.answer_call(from, method, body).await;
            answered.map_err(|error| fault(fault::ENGINE, &error.to_string()))
        }
        .boxed()
    }

    fn note(&self, from: &PeerIdentity, group: u32, note: Note) {
        tracing::debug!(node = from.node, group, kind = note.kind, "an unknown note");
    }

    fn snapshot(
        &self,
        from: &PeerIdentity,
        header: Bytes,
        pieces: SnapshotStream,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        let Some(engine) = self.engine() else {
            return std::future::ready(Err("closed".into())).boxed();
        };
        let from = from.node;
        async move { engine.deliver_snapshot(from, header, pieces).await }.boxed()
    }

    fn peer_changed(&self, node: u64, state: PeerState) {
        let Some(engine) = self.engine() else { return };
        let (state, incarnation) = match state {
            PeerState::Up => {
                let nodes = engine.0.nodes.get();
                let incarnation = nodes.and_then(|nodes| nodes.incarnation(node));
                (PeerChange::Up, incarnation.unwrap_or(0))
            }
            PeerState::Down { .. } => (PeerChange::Down, 0),
            PeerState::Restarted { incarnation } => (PeerChange::Restarted, incarnation),
        };
        engine.0.events.push(Event::PeerChanged {
            node,
            state,
            incarnation: incarnation as u32,
        });
    }

    fn refused(&self, refused: RefusedStream) {
        let Some(engine) = self.engine() else { return };
        let RefusedStream {
            node,
            address,
            refusal,
        } = refused;
        let reason = match refusal.reason {
            RefusalReason::OtherName => StreamRefusal::OtherName,
            RefusalReason::OtherCluster => StreamRefusal::OtherCluster,
            RefusalReason::StaleIncarnation | RefusalReason::DuplicateNode => {
                StreamRefusal::OtherProcess
            }
            RefusalReason::Tls => StreamRefusal::Tls,
            RefusalReason::LostNode => StreamRefusal::Lost,
            RefusalReason::NoCommonVersion | RefusalReason::Malformed => StreamRefusal::Protocol,
            // This node itself is called through its own address, and not a stranger.
            RefusalReason::OwnNode => return,
            _ => StreamRefusal::Other,
        };
        let text = format!("{address}: {refusal}");
        engine
            .0
            .events
            .push(Event::StreamRefused { node, reason, text });
    }
}
