//! A snapshot between two engines: what it begins with, how its pieces follow each other, and what
//! the receiver answers. Versioned, little-endian.
//!
//! Each piece is preceded by its length, so that the receiver's host gets the pieces that the
//! sender's host gave, however they were cut on the way.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_kv_journal::SNAPSHOT_PIECE_BYTES_MAX;

use crate::network::Vote;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 4 + VOTE_BYTES + 8;
const VOTE_BYTES: usize = 17;
const UNKNOWN_GROUP: u8 = 1;
const INSTALLED: u8 = 2;
/// Bytes before each piece.
pub(crate) const PIECE_HEADER_BYTES: usize = 4;

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a snapshot's {what} does not decode"),
    )
}

fn put_vote(into: &mut BytesMut, vote: Vote) {
    into.put_u64_le(vote.term);
    into.put_u64_le(vote.node);
    into.put_u8(u8::from(vote.committed));
}

fn get_vote(from: &mut Bytes) -> Vote {
    Vote {
        term: from.get_u64_le(),
        node: from.get_u64_le(),
        committed: from.get_u8() == 1,
    }
}

/// What a snapshot begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) group: u32,
    /// The leader's vote.
    pub(crate) vote: Vote,
    /// Tells snapshots of one sender apart.
    pub(crate) number: u64,
    /// What it stands for, as it is stored.
    pub(crate) meta: Bytes,
}

impl Header {
    /// To send.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + self.meta.len());
        bytes.put_u8(VERSION);
        bytes.put_u32_le(self.group);
        put_vote(&mut bytes, self.vote);
        bytes.put_u64_le(self.number);
        bytes.put_slice(&self.meta);
        bytes.freeze()
    }

    /// As received.
    pub(crate) fn decode(mut bytes: Bytes) -> io::Result<Self> {
        if bytes.len() < HEADER_BYTES || bytes.get_u8() != VERSION {
            return Err(damaged("header"));
        }
        Ok(Self {
            group: bytes.get_u32_le(),
            vote: get_vote(&mut bytes),
            number: bytes.get_u64_le(),
            meta: bytes,
        })
    }
}

/// What the receiver answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has no such group (yet).
    UnknownGroup,
    /// The snapshot was installed, or is not needed; the receiver's vote.
    Installed(Vote),
}

impl Outcome {
    /// To send.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(1 + VOTE_BYTES);
        match self {
            Outcome::UnknownGroup => bytes.put_u8(UNKNOWN_GROUP),
            Outcome::Installed(vote) => {
                bytes.put_u8(INSTALLED);
                put_vote(&mut bytes, *vote);
            }
        }
        bytes.freeze()
    }

    /// As received.
    pub(crate) fn decode(mut bytes: Bytes) -> io::Result<Self> {
        match bytes.try_get_u8() {
            Ok(UNKNOWN_GROUP) => Ok(Outcome::UnknownGroup),
            Ok(INSTALLED) if bytes.len() >= VOTE_BYTES => {
                Ok(Outcome::Installed(get_vote(&mut bytes)))
            }
            _ => Err(damaged("answer")),
        }
    }
}

/// A piece with its length before it.
pub(crate) fn frame(piece: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PIECE_HEADER_BYTES + piece.len());
    bytes.put_u32_le(piece.len() as u32);
    bytes.put_slice(piece);
    bytes.freeze()
}

/// Puts pieces together from what came in.
#[derive(Default)]
pub(crate) struct Joiner(BytesMut);

impl Joiner {
    /// Takes what came in.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole piece.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(head) = self.0.first_chunk::<PIECE_HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length > SNAPSHOT_PIECE_BYTES_MAX {
            return Err(damaged("piece"));
        }
        if self.0.len() < PIECE_HEADER_BYTES + length {
            return Ok(None);
        }
        self.0.advance(PIECE_HEADER_BYTES);
        Ok(Some(self.0.split_to(length).freeze()))
    }

    /// Whether everything that came in was a part of a piece that was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTE: Vote = Vote {
        term: 3,
        node: 1 << 40,
        committed: true,
    };

    #[test]
    fn headers_and_answers_come_back_as_they_were() {
        let header = Header {
            group: 7,
            vote: VOTE,
            number: 9,
            meta: Bytes::from_static(b"meta"),
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(bytes.clone()).unwrap(), header);
        for length in 0..HEADER_BYTES {
            assert!(Header::decode(bytes.slice(..length)).is_err(), "{length}");
        }
        for outcome in [Outcome::UnknownGroup, Outcome::Installed(VOTE)] {
            let bytes = outcome.encode();
            assert_eq!(Outcome::decode(bytes.clone()).unwrap(), outcome);
            assert!(Outcome::decode(bytes.slice(1..)).is_err());
        }
    }

    #[test]
    fn pieces_are_put_together_wherever_they_were_cut() {
        let pieces: [&[u8]; 4] = [b"one", b"", b"and", b"another"];
        let all: Vec<u8> = pieces.iter().flat_map(|piece| frame(piece)).collect();
        for cut in 1..all.len() {
            let (mut joiner, mut joined) = (Joiner::default(), Vec::new());
            for part in all.chunks(cut) {
                joiner.add(part);
                while let Some(piece) = joiner.next().unwrap() {
                    joined.push(piece);
                }
            }
            assert!(joiner.is_empty());
            assert_eq!(joined, pieces, "cut every {cut}");
        }
        let mut joiner = Joiner::default();
        joiner.add(&u32::MAX.to_le_bytes());
        assert!(joiner.next().is_err());
    }
}
