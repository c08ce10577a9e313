//! Requests of other nodes to the groups of this one.
//!
//! What is guarded here, before openraft sees it: a member that was opened within a lease after it
//! may have acknowledged one gives no votes, since openraft forgets leases at a restart; a group
//! whose code is not bound stores entries and hears of no commit; nodes that were removed from a
//! group are told so.

use std::sync::Arc;
use std::time::Instant;

use openraft::Snapshot;
use raft_kv_journal::SnapshotFileWriter;

use crate::engine::Shared;
use crate::group::Group;
use crate::network::{
    AppendRequest, Request, Response, SnapshotAnswer, SnapshotStep, TransferRequest, Vote,
    VoteRequest,
};
use crate::raft::codec::decode_snapshot_meta;
use crate::raft::snapshot::{StoredSnapshot, blocking, finish, stored_meta};
use crate::raft::types::Raft;
use crate::raft::wire::{
    append_in, appended_out, candidate_in, log_id_out, transfer_in, vote_in, vote_out, voted_out,
};

/// A snapshot that is being received.
pub(crate) struct Receiving {
    from: u64,
    number: u64,
    meta: bytes::Bytes,
    pieces: u64,
    writer: SnapshotFileWriter,
}

fn failed(what: impl ToString) -> Response {
    Response::Failed(what.to_string())
}

/// Answers a request of node `from`.
pub(crate) async fn answer(shared: Arc<Shared>, from: u64, id: u32, request: Request) -> Response {
    let Some(group) = shared.find(id) else {
        return shared.unknown(id);
    };
    let Some(raft) = group.raft().cloned() else {
        return failed("the group is being opened");
    };
    match request {
        Request::Append(request) => append(&group, &raft, request).await,
        Request::Vote(request) => vote(&group, &raft, from, request, false).await,
        Request::PreVote(request) => vote(&group, &raft, from, request, true).await,
        Request::TransferLeader(request) => transfer(&group, &raft, &request).await,
    }
}

async fn append(group: &Arc<Group>, raft: &Raft, mut request: AppendRequest) -> Response {
    group.heard_from(request.vote);
    if !group.bound {
        request.commit = None;
    }
    let request = match append_in(request) {
        Ok(request) => request,
        Err(error) => return failed(error),
    };
    match raft.append_entries(request).await {
        Ok(response) => Response::Append(appended_out(&response)),
        Err(error) => failed(error),
    }
}

async fn vote(
    group: &Arc<Group>,
    raft: &Raft,
    from: u64,
    mut request: VoteRequest,
    would: bool,
) -> Response {
    {
        let members = group.members.lock();
        if members.leaves_out(from) {
            let membership = members.committed().and_then(|stored| *stored.log_id());
            return Response::GroupRemoved {
                membership: membership.as_ref().map(log_id_out),
            };
        }
    }
    // A transfer ends the lease of the leader that asked for it, and of no other.
    request.leadership_transfer &= request.vote.term == group.known_term() + 1;
    if !request.leadership_transfer && group.guarded_until() > Instant::now() {
        return failed("this member may have acknowledged a lease before it was restarted");
    }
    let request = candidate_in(request);
    let answered = if would {
        raft.pre_vote(request).await
    } else {
        raft.vote(request).await
    };
    match answered {
        Ok(response) if would => Response::PreVote(voted_out(&response)),
        Ok(response) => Response::Vote(voted_out(&response)),
        Err(error) => failed(error),
    }
}

async fn transfer(group: &Arc<Group>, raft: &Raft, request: &TransferRequest) -> Response {
    if request.to == group.node && !group.bound {
        return failed("the group's code is not bound here");
    }
    match raft.handle_transfer_leader(transfer_in(request)).await {
        Ok(Ok(())) => Response::TransferLeader,
        Ok(Err(error)) => failed(error),
        Err(error) => failed(error),
    }
}

/// Takes a step of a snapshot that node `from` sends.
pub(crate) async fn snapshot(
    shared: Arc<Shared>,
    from: u64,
    id: u32,
    step: SnapshotStep,
) -> SnapshotAnswer {
    let Some(group) = shared.find(id) else {
        return SnapshotAnswer::UnknownGroup;
    };
    let Some(raft) = group.raft().cloned() else {
        return SnapshotAnswer::Failed("the group is being opened".into());
    };
    if !group.bound {
        return SnapshotAnswer::Failed("the group's code is not bound here".into());
    }
    let mut receiving = group.receiving.lock().await;
    let taken = match step {
        SnapshotStep::Begin { vote, number, meta } => {
            begin(&group, &mut receiving, from, vote, number, meta).await
        }
        SnapshotStep::Piece {
            number,
            piece,
            bytes,
        } => take(&mut receiving, from, number, piece, bytes).await,
        SnapshotStep::End {
            vote,
            number,
            pieces,
        } => end(&group, &raft, &mut receiving, from, vote, number, pieces).await,
    };
    taken.unwrap_or_else(|error| SnapshotAnswer::Failed(error.to_string()))
}

async fn begin(
    group: &Arc<Group>,
    receiving: &mut Option<Receiving>,
    from: u64,
    vote: Vote,
    number: u64,
    meta: bytes::Bytes,
) -> std::io::Result<SnapshotAnswer> {
    group.heard_from(vote);
    let same =
        |known: &&mut Receiving| known.from == from && known.number == number && known.meta == meta;
    if let Some(known) = receiving.as_mut().filter(same) {
        return Ok(SnapshotAnswer::Next(known.pieces));
    }
    decode_snapshot_meta(meta.clone())?;
    *receiving = None;
    let log = group.log.clone();
    let writer = blocking(move || log.begin_snapshot()).await?;
    *receiving = Some(Receiving {
        from,
        number,
        meta,
        pieces: 0,
        writer,
    });
    Ok(SnapshotAnswer::Next(0))
}

fn gone() -> std::io::Error {
    std::io::Error::other("no such snapshot is being received")
}

async fn take(
    receiving: &mut Option<Receiving>,
    from: u64,
    number: u64,
    piece: u64,
    bytes: bytes::Bytes,
) -> std::io::Result<SnapshotAnswer> {
    let mut known = receiving
        .take_if(|known| known.from == from && known.number == number)
        .ok_or_else(gone)?;
    if piece == known.pieces {
        let mut writer = known.writer;
        known.writer = blocking(move || writer.write(&bytes).map(|()| writer)).await?;
        known.pieces += 1;
    }
    let next = known.pieces;
    *receiving = Some(known);
    Ok(SnapshotAnswer::Next(next))
}

async fn end(
    group: &Arc<Group>,
    raft: &Raft,
    receiving: &mut Option<Receiving>,
    from: u64,
    vote: Vote,
    number: u64,
    pieces: u64,
) -> std::io::Result<SnapshotAnswer> {
    group.heard_from(vote);
    let whole = |known: &mut Receiving| {
        known.from == from && known.number == number && known.pieces == pieces
    };
    let known = receiving.take_if(whole).ok_or_else(gone)?;
    let meta = decode_snapshot_meta(known.meta)?;
    // A snapshot of this node's own making may be newer by now; it stays.
    let newest = stored_meta(&group.log)?.and_then(|meta| meta.last_log_id);
    let applied = raft.with_raft_state(|state| state.local_committed().copied());
    let applied = applied.await.map_err(std::io::Error::other)?;
    if meta.last_log_id <= newest || meta.last_log_id <= applied {
        return Ok(SnapshotAnswer::Installed(vote));
    }
    finish(known.writer, &meta).await?;
    let snapshot = Snapshot {
        meta,
        snapshot: StoredSnapshot(group.log.clone()),
    };
    let installed = raft.install_full_snapshot(vote_in(vote), snapshot).await;
    let response = installed.map_err(std::io::Error::other)?;
    group.heard_from(vote);
    Ok(SnapshotAnswer::Installed(vote_out(&response.vote)))
}
