//! Sending a snapshot to a member: piece by piece as the journal keeps it, from where an earlier
//! attempt ended.

use std::io;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use raft_kv_journal::SnapshotFileReader;

use crate::links::Links;
use crate::network::{self, Member};
use crate::raft::snapshot::{StoredSnapshot, blocking, open};
use crate::raft::snapshot_wire::{Header, Outcome, PIECE_HEADER_BYTES, frame};
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
    let log = snapshot.snapshot.0;
    let reader = blocking(move || open(&log)).await?;
    // A newer one may count since openraft looked: what is sent says itself what it is.
    let header = Header {
        group,
        vote: vote_out(vote),
        number: reader.info().number,
        meta: reader.info().meta.clone(),
    };
    let from = Box::new(move |offset| pieces(reader, offset));
    let answer = links.snapshot(to, header.encode(), from).await;
    match Outcome::decode(answer.map_err(io::Error::other)?)? {
        Outcome::Installed(vote) => Ok(vote),
        Outcome::UnknownGroup => Err(io::Error::other("the node does not know the group yet")),
    }
}

/// The pieces from an offset on, at which one begins.
fn pieces(reader: SnapshotFileReader, offset: u64) -> BoxStream<'static, io::Result<Bytes>> {
    stream::try_unfold((reader, offset), |(mut reader, mut before)| async move {
        loop {
            let (piece, back) = blocking(move || Ok((reader.next()?, reader))).await?;
            reader = back;
            let Some(piece) = piece else { return Ok(None) };
            if before == 0 {
                return Ok(Some((frame(&piece), (reader, 0))));
            }
            let length = (PIECE_HEADER_BYTES + piece.len()) as u64;
            before = before.checked_sub(length).ok_or_else(|| {
                io::Error::other("the receiver wants a snapshot from within a piece")
            })?;
        }
    })
    .boxed()
}
