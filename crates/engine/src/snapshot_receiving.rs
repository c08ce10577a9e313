//! Snapshots that other nodes send: written as they come, kept when the connection ends, and gone
//! on with when the same sender sends the same snapshot again.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use openraft::Snapshot;
use raft_kv_journal::SnapshotFileWriter;

use crate::engine::Shared;
use crate::group::Group;
use crate::network::{IncomingPieces, Vote};
use crate::raft::codec::decode_snapshot_meta;
use crate::raft::snapshot::{StoredSnapshot, blocking, finish, stored_meta};
use crate::raft::snapshot_wire::{Header, Joiner, Outcome, PIECE_HEADER_BYTES};
use crate::raft::types::Raft;
use crate::raft::wire::{vote_in, vote_out};
use crate::world::spawn;

/// A snapshot that is being received.
pub(crate) struct Receiving {
    from: u64,
    number: u64,
    meta: Bytes,
    /// Counts the sender's attempts: an older one may still be at work.
    attempt: u64,
    /// Bytes that came and were written, as they are sent.
    offset: u64,
    writer: SnapshotFileWriter,
}

fn gone() -> io::Error {
    io::Error::other("another attempt to send this snapshot has begun")
}

/// Takes a snapshot that node `from` sends, and returns the answer.
pub(crate) async fn take(
    shared: Arc<Shared>,
    from: u64,
    header: Bytes,
    mut pieces: impl IncomingPieces,
) -> io::Result<Bytes> {
    let header = Header::decode(header)?;
    let Some(group) = shared.find(header.group) else {
        return Ok(Outcome::UnknownGroup.encode());
    };
    let Some(raft) = group.raft().cloned() else {
        return Err(io::Error::other("the group is being opened"));
    };
    if !group.bound {
        return Err(io::Error::other("the group's code is not bound here"));
    }
    let vote = header.vote;
    group.heard_from(vote);
    let (attempt, offset) = begin(&group, from, header).await?;
    pieces.start_at(offset);
    let mut joiner = Joiner::default();
    while let Some(bytes) = pieces.next().await {
        joiner.add(&bytes?);
        while let Some(piece) = joiner.next()? {
            // On a task of its own: the connection may end at any time, and with it this.
            let writing = spawn(write(group.clone(), attempt, piece));
            writing.await.map_err(io::Error::other)??;
        }
    }
    if !joiner.is_empty() {
        return Err(io::Error::other("a snapshot ends within a piece"));
    }
    let ending = spawn(end(group, raft, attempt, vote));
    let vote = ending.await.map_err(io::Error::other)??;
    Ok(Outcome::Installed(vote).encode())
}

/// The number of this attempt, and from where on the snapshot is wanted.
async fn begin(group: &Arc<Group>, from: u64, header: Header) -> io::Result<(u64, u64)> {
    let Header { number, meta, .. } = header;
    decode_snapshot_meta(meta.clone())?;
    let mut receiving = group.receiving.lock().await;
    let same =
        |known: &&mut Receiving| known.from == from && known.number == number && known.meta == meta;
    if let Some(known) = receiving.as_mut().filter(same) {
        known.attempt += 1;
        return Ok((known.attempt, known.offset));
    }
    let attempt = receiving.take().map_or(0, |known| known.attempt) + 1;
    let log = group.log.clone();
    let writer = blocking(move || log.begin_snapshot()).await?;
    *receiving = Some(Receiving {
        from,
        number,
        meta,
        attempt,
        offset: 0,
        writer,
    });
    Ok((attempt, 0))
}

async fn write(group: Arc<Group>, attempt: u64, piece: Bytes) -> io::Result<()> {
    let mut receiving = group.receiving.lock().await;
    let mut known = receiving
        .take_if(|known| known.attempt == attempt)
        .ok_or_else(gone)?;
    known.offset += (PIECE_HEADER_BYTES + piece.len()) as u64;
    let mut writer = known.writer;
    known.writer = blocking(move || writer.write(&piece).map(|()| writer)).await?;
    *receiving = Some(known);
    Ok(())
}

async fn end(group: Arc<Group>, raft: Raft, attempt: u64, vote: Vote) -> io::Result<Vote> {
    let mut receiving = group.receiving.lock().await;
    group.heard_from(vote);
    let known = receiving.take_if(|known| known.attempt == attempt);
    let known = known.ok_or_else(gone)?;
    let meta = decode_snapshot_meta(known.meta)?;
    // A snapshot of this node's own making may be newer by now; it stays.
    let newest = stored_meta(&group.log)?.and_then(|meta| meta.last_log_id);
    let applied = raft.with_raft_state(|state| state.local_committed().copied());
    let applied = applied.await.map_err(io::Error::other)?;
    if meta.last_log_id <= newest || meta.last_log_id <= applied {
        return Ok(vote);
    }
    finish(known.writer, &meta).await?;
    let snapshot = Snapshot {
        meta,
        snapshot: StoredSnapshot(group.log.clone()),
    };
    let installed = raft.install_full_snapshot(vote_in(vote), snapshot).await;
    let response = installed.map_err(io::Error::other)?;
    group.heard_from(vote);
    Ok(vote_out(&response.vote))
}
