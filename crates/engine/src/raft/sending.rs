//! Sending a snapshot to a member: piece by piece as the journal keeps it, each after the answer to
//! the one before, continued where an earlier attempt ended.

use std::io;

use bytes::Bytes;
use tokio::time::timeout;

use crate::limits::SNAPSHOT_STEP_WAIT;
use crate::links::Links;
use crate::network::{self, Member, SnapshotAnswer, SnapshotStep};
use crate::raft::snapshot::{StoredSnapshot, blocking, open};
use crate::raft::types::{TypeConfig, Vote};
use crate::raft::wire::vote_out;

type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, StoredSnapshot>;

/// Sends the snapshot that counts, and returns the receiver's vote.
pub(crate) async fn send(
    links: &Links,
    to: &Member,
    group: u32,
    vote: &Vote,
    snapshot: Snapshot,
) -> io::Result<network::Vote> {
    let vote = vote_out(vote);
    let log = snapshot.snapshot.0;
    let mut reader = blocking(move || open(&log)).await?;
    // A newer one may count since openraft looked: what is sent says itself what it is.
    let number = reader.info().number;
    let meta = reader.info().meta.clone();
    let step = |step: SnapshotStep| async {
        let answer = timeout(SNAPSHOT_STEP_WAIT, links.snapshot(to, group, step)).await;
        answer
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
            .map_err(io::Error::other)
    };
    let mut wanted = match step(SnapshotStep::Begin { vote, number, meta }).await? {
        SnapshotAnswer::Next(piece) => piece,
        SnapshotAnswer::Installed(vote) => return Ok(vote),
        other => return Err(refused(&other)),
    };
    let mut piece: u64 = 0;
    loop {
        let (bytes, back): (Option<Bytes>, _) =
            blocking(move || Ok((reader.next()?, reader))).await?;
        reader = back;
        let Some(bytes) = bytes else { break };
        if piece >= wanted {
            let sent = SnapshotStep::Piece {
                number,
                piece,
                bytes,
            };
            wanted = match step(sent).await? {
                SnapshotAnswer::Next(next) if next == piece + 1 => next,
                other => return Err(refused(&other)),
            };
        }
        piece += 1;
    }
    let pieces = piece;
    match step(SnapshotStep::End {
        vote,
        number,
        pieces,
    })
    .await?
    {
        SnapshotAnswer::Installed(vote) => Ok(vote),
        other => Err(refused(&other)),
    }
}

fn refused(answer: &SnapshotAnswer) -> io::Error {
    io::Error::other(format!("the snapshot was not taken: {answer:?}"))
}
