//! A node that answers little and remembers who was refused: the peer of those that tests play.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::hello::introduction;
use crate::error::RefusalReason;
use crate::handler::{Handler, PeerIdentity, PeerState, RefusedStream};
use crate::message::{NodeFault, Note, Request as GroupRequest, Response as GroupResponse};
use crate::options::TransportOptions;
use crate::snapshot_receiver::SnapshotStream;
use crate::transport::Transport;

/// How long a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Answers little, remembers refusals.
#[derive(Default)]
pub(super) struct Quiet {
    refused: Mutex<Vec<RefusedStream>>,
    told: tokio::sync::Notify,
}

impl Quiet {
    fn refusal(&self, reason: RefusalReason) -> Option<RefusedStream> {
        let refused = self.refused.lock();
        let found = refused.iter().find(|it| it.refusal.reason == reason);
        found.cloned()
    }

    /// Waits for a refusal for this reason.
    pub(super) async fn until_refused(&self, reason: RefusalReason) -> RefusedStream {
        let waiting = async {
            loop {
                let told = self.told.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                if let Some(found) = self.refusal(reason) {
                    return found;
                }
                told.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    }
}

impl Handler for Quiet {
    fn request(
        &self,
        _: &PeerIdentity,
        _: u32,
        _: GroupRequest,
    ) -> BoxFuture<'static, GroupResponse> {
        std::future::ready(GroupResponse::UnknownGroup).boxed()
    }

    fn node_call(
        &self,
        _: &PeerIdentity,
        _: u32,
        body: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, NodeFault>> {
        std::future::ready(Ok(body)).boxed()
    }

    fn note(&self, _: &PeerIdentity, _: u32, _: Note) {}

    fn snapshot(
        &self,
        _: &PeerIdentity,
        _: Bytes,
        mut pieces: SnapshotStream,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        async move {
            while let Some(piece) = pieces.next().await {
                piece.map_err(|error| error.to_string())?;
            }
            Ok(Bytes::new())
        }
        .boxed()
    }

    fn peer_changed(&self, _: u64, _: PeerState) {}

    fn refused(&self, refused: RefusedStream) {
        self.refused.lock().push(refused);
        self.told.notify_waiters();
    }
}

/// A node of the cluster that listens, and what hears for it.
pub(super) fn node() -> (Transport, Arc<Quiet>) {
    let handler = Arc::new(Quiet::default());
    let options = TransportOptions::new("127.0.0.1:0", introduction(1).identity);
    let transport = Transport::bind(options, handler.clone(), Handle::current()).unwrap();
    (transport, handler)
}
