//! Takes snapshots that other nodes send.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryFutureExt};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::acceptor::{first, judge};
use crate::convert::snapshot_fault;
use crate::core::Core;
use crate::error::{CallError, Refusal, RefusalReason, SnapshotError};
use crate::handler::PeerIdentity;
use crate::hello::refusal_to_wire;
use crate::incoming::Admission;
use crate::limits::{SNAPSHOT_HEADER_BYTES_MAX, SNAPSHOT_PIECE_BYTES_MAX};
use crate::wire;
use crate::wire::snapshot_frame::Kind as Frame;
use crate::wire::snapshot_reply::Kind as Reply;

/// Replies of one snapshot: hello, start, result.
const REPLIES_MAX: usize = 3;

type Replies = mpsc::Sender<wire::SnapshotReply>;

/// The pieces of a snapshot, as they come. Not reading holds the sender back.
#[derive(Debug)]
pub struct SnapshotStream {
    inbound: Streaming<wire::SnapshotFrame>,
    replies: Replies,
    position: u64,
    started: bool,
    complete: bool,
}

impl SnapshotStream {
    /// Says from which byte on pieces are wanted, because those before are here already. Counts
    /// only before the first [`SnapshotStream::next`]; without it the pieces begin at 0.
    pub fn start_at(&mut self, offset: u64) {
        if !self.started {
            self.started = true;
            self.position = offset;
            // Fails only if the sender has gone, which reading shows.
            let _ = self.replies.try_send(reply(Reply::Start(offset)));
        }
    }

    /// Where the next piece begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next piece, checked; `None` once all have come.
    pub async fn next(&mut self) -> Option<Result<Bytes, SnapshotError>> {
        if self.complete {
            return None;
        }
        self.start_at(0);
        let result = self.receive().await.transpose();
        // Behind an error nothing fits any more.
        self.complete = !matches!(result, Some(Ok(_)));
        result
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, SnapshotError> {
        let frame = self.inbound.message().await;
        let frame = frame.map_err(|status| lost(&crate::error::with_causes(&status)))?;
        match frame.and_then(|frame| frame.kind) {
            Some(Frame::Piece(piece)) => self.check(piece).map(Some),
            Some(Frame::End(end)) if end.length == self.position => Ok(None),
            Some(Frame::End(_)) => Err(SnapshotError::Damaged("pieces are missing at the end")),
            Some(_) => Err(SnapshotError::Damaged(
                "there is something between the pieces",
            )),
            None => Err(lost("the sender went away")),
        }
    }

    fn check(&mut self, piece: wire::SnapshotPiece) -> Result<Bytes, SnapshotError> {
        if piece.offset != self.position {
            return Err(SnapshotError::Damaged(
                "a piece does not follow the one before",
            ));
        }
        if piece.bytes.is_empty() || piece.bytes.len() > SNAPSHOT_PIECE_BYTES_MAX {
            return Err(SnapshotError::Damaged("a piece has no proper length"));
        }
        if crc32fast::hash(&piece.bytes) != piece.checksum {
            return Err(SnapshotError::Damaged("a piece does not fit its checksum"));
        }
        self.position += piece.bytes.len() as u64;
        Ok(piece.bytes)
    }
}

fn lost(reason: &str) -> SnapshotError {
    SnapshotError::Call(CallError::Lost(reason.into()))
}

fn reply(kind: Reply) -> wire::SnapshotReply {
    wire::SnapshotReply { kind: Some(kind) }
}

/// Judges who sends a snapshot, and has it taken by a task of its own.
pub(crate) async fn accept(
    core: &Arc<Core>,
    mut inbound: Streaming<wire::SnapshotFrame>,
    admission: Option<Admission>,
) -> Result<BoxStream<'static, Result<wire::SnapshotReply, Status>>, Status> {
    let (hello, refusal) = match first(&mut inbound).await?.kind {
        Some(Frame::Hello(hello)) => (Some(hello), None),
        Some(Frame::Refusal(refusal)) => (None, Some(refusal)),
        _ => (None, None),
    };
    let judged = judge(core, hello, refusal)?.and_then(|peer| {
        if peer.cluster == 0 || core.cluster() == 0 {
            let text = "snapshots go between nodes of one cluster only".to_owned();
            return Err(Refusal::ours(RefusalReason::NoCluster, text));
        }
        Ok(peer)
    });
    let peer = match judged {
        Ok(peer) => peer,
        Err(refusal) => {
            let refusal = reply(Reply::Refusal(refusal_to_wire(&refusal)));
            return Ok(stream::once(std::future::ready(Ok(refusal))).boxed());
        }
    };
    admission.as_ref().inspect(|admission| admission.admit());
    let (replies, mut outgoing) = mpsc::channel(REPLIES_MAX);
    // The first of three places.
    let _ = replies.try_send(reply(Reply::Hello(core.hello(peer.node))));
    core.spawn(serve(core.clone(), peer, inbound, replies));
    Ok(stream::poll_fn(move |context| outgoing.poll_recv(context))
        .map(Ok)
        .boxed())
}

async fn serve(
    core: Arc<Core>,
    peer: PeerIdentity,
    inbound: Streaming<wire::SnapshotFrame>,
    replies: Replies,
) {
    let taking = take(&core, &peer, inbound, replies.clone());
    let result = tokio::select! {
        () = core.until_closed() => return,
        () = replies.closed() => return,
        result = taking => result,
    };
    let result = match result {
        Ok(answer) if answer.len() <= SNAPSHOT_HEADER_BYTES_MAX => Reply::Done(answer),
        Ok(_) => Reply::Fault(snapshot_fault("the answer is too long")),
        Err(text) => Reply::Fault(snapshot_fault(&text)),
    };
    // The last of three places; fails only if the sender has gone.
    let _ = replies.try_send(reply(result));
}

async fn take(
    core: &Core,
    peer: &PeerIdentity,
    mut inbound: Streaming<wire::SnapshotFrame>,
    replies: Replies,
) -> Result<Bytes, String> {
    let next = inbound.message().map_err(|status| status.to_string());
    let header = match next.await?.and_then(|frame| frame.kind) {
        Some(Frame::Header(header)) if header.len() <= SNAPSHOT_HEADER_BYTES_MAX => header,
        _ => return Err("a snapshot does not begin with a header".to_owned()),
    };
    let pieces = SnapshotStream {
        inbound,
        replies,
        position: 0,
        started: false,
        complete: false,
    };
    core.handler.snapshot(peer, header, pieces).await
}
