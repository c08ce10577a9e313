//! Sends snapshots, each on a connection of its own, so that neither its bytes nor its flow control
//! come before requests and pings.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::core::Core;
use crate::dialer::{connect, ended_by, greeted};
use crate::error::{CallError, SnapshotError};
use crate::hello::refusal_to_wire;
use crate::lane::Lane;
use crate::limits::{
    HELLO_WAIT, REFUSED_WAIT, SNAPSHOT_HEADER_BYTES_MAX, SNAPSHOT_PIECE_BYTES_MAX,
    SNAPSHOT_PIECES_AHEAD_MAX,
};
use crate::wire;
use crate::wire::snapshot_frame::Kind as Frame;
use crate::wire::snapshot_reply::Kind as Reply;

type Frames = mpsc::Sender<wire::SnapshotFrame>;
type Replies = Streaming<wire::SnapshotReply>;

/// Sends one; see [`crate::Peer::send_snapshot`].
pub(crate) async fn send<F, S>(
    core: Arc<Core>,
    lane: Arc<Lane>,
    header: Bytes,
    pieces: F,
) -> Result<Bytes, SnapshotError>
where
    F: FnOnce(u64) -> S + Send,
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    if header.len() > SNAPSHOT_HEADER_BYTES_MAX {
        return Err(CallError::TooLong(header.len()).into());
    }
    let stream = lane.outbox(&core, true)?;
    if !lane.is_up() {
        return Err(CallError::unreachable("not connected yet").into());
    }
    let places = lane.snapshots.clone();
    let _place = places.try_acquire_owned().map_err(|error| match error {
        tokio::sync::TryAcquireError::Closed => CallError::Closed,
        tokio::sync::TryAcquireError::NoPermits => CallError::Overloaded,
    })?;
    tokio::select! {
        biased;
        () = stream.gone() => Err(lost("the node went away")),
        result = transfer(&core, &lane, header, pieces) => result,
    }
}

fn lost(reason: &str) -> SnapshotError {
    SnapshotError::Call(CallError::Lost(reason.into()))
}

fn frame(kind: Frame) -> wire::SnapshotFrame {
    wire::SnapshotFrame { kind: Some(kind) }
}

async fn transfer<F, S>(
    core: &Arc<Core>,
    lane: &Lane,
    header: Bytes,
    pieces: F,
) -> Result<Bytes, SnapshotError>
where
    F: FnOnce(u64) -> S + Send,
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    let address = lane.address();
    let mut client = connect(core, &address).await?;
    let (frames, mut outgoing) = mpsc::channel(SNAPSHOT_PIECES_AHEAD_MAX);
    let outgoing = stream::poll_fn(move |context| outgoing.poll_recv(context));
    // There is room, and the receiver is just above: these cannot fail.
    let _ = frames.try_send(frame(Frame::Hello(core.hello(lane.node()))));
    let handshake = async {
        let mut replies = client.snapshot(outgoing).await?.into_inner();
        let first = replies.message().await?;
        Ok::<_, Status>((replies, first.and_then(|reply| reply.kind)))
    };
    let (mut replies, first) = tokio::time::timeout(HELLO_WAIT, handshake)
        .await
        .map_err(|_| CallError::unreachable("nobody says hello there"))?
        .map_err(|status| ended_by(&status))?;
    let (hello, refusal) = match first {
        Some(Reply::Hello(hello)) => (Some(hello), None),
        Some(Reply::Refusal(refusal)) => (None, Some(refusal)),
        _ => (None, None),
    };
    if let Err(refusal) = greeted(core, &address, lane.node(), hello, refusal) {
        if refusal.by_this_node {
            refuse(frames, &mut replies, &refusal).await;
        }
        return Err(CallError::Refused(Arc::new(refusal)).into());
    }
    let _ = frames.send(frame(Frame::Header(header))).await;
    let start = match next(&mut replies).await? {
        Progress::Start(start) => start,
        Progress::Done(answer) => return Ok(answer),
    };
    let feeding = feed(frames, start, pieces(start));
    tokio::pin!(feeding);
    let mut fed = false;
    loop {
        tokio::select! {
            result = &mut feeding, if !fed => { result?; fed = true; }
            progress = next(&mut replies) => match progress? {
                Progress::Done(answer) => return Ok(answer),
                Progress::Start(_) => return Err(SnapshotError::Damaged("it started twice")),
            }
        }
    }
}

async fn refuse(frames: Frames, replies: &mut Replies, refusal: &crate::Refusal) {
    let _ = frames
        .send(frame(Frame::Refusal(refusal_to_wire(refusal))))
        .await;
    drop(frames);
    let ended = async { while let Ok(Some(_)) = replies.message().await {} };
    // Whether it heard or not, the stream ends.
    let _ = tokio::time::timeout(REFUSED_WAIT, ended).await;
}

enum Progress {
    Start(u64),
    Done(Bytes),
}

async fn next(replies: &mut Replies) -> Result<Progress, SnapshotError> {
    let reply = replies.message().await;
    let reply = reply.map_err(|status| lost(&crate::error::with_causes(&status)))?;
    match reply.and_then(|reply| reply.kind) {
        Some(Reply::Start(start)) => Ok(Progress::Start(start)),
        Some(Reply::Done(answer)) => Ok(Progress::Done(answer)),
        Some(Reply::Fault(fault)) => Err(SnapshotError::Receiver(fault.text)),
        _ => Err(lost("the receiver went away")),
    }
}

/// Sends the pieces. That the receiver has gone ends it quietly: the replies say more.
async fn feed(
    frames: Frames,
    start: u64,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send,
) -> Result<(), SnapshotError> {
    let mut offset = start;
    tokio::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let mut rest = piece.map_err(|error| SnapshotError::Source(Arc::new(error)))?;
        while !rest.is_empty() {
            let bytes = rest.split_to(rest.len().min(SNAPSHOT_PIECE_BYTES_MAX));
            let length = bytes.len() as u64;
            let piece = wire::SnapshotPiece {
                offset,
                checksum: crc32fast::hash(&bytes),
                bytes,
            };
            if frames.send(frame(Frame::Piece(piece))).await.is_err() {
                return Ok(());
            }
            offset += length;
        }
    }
    let end = wire::SnapshotEnd { length: offset };
    let _ = frames.send(frame(Frame::End(end))).await;
    Ok(())
}
