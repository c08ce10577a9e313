//! Between openraft's messages and those of [`network`](crate::network).

use std::io;

use bytes::Bytes;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::vote::RaftVote;

use crate::entry_layout::is_whole;
use crate::limits::{ENTRY_COPIED_BYTES_MAX, NUMBER_END};
use crate::network;
use crate::raft::codec::{STORED_HEADER_BYTES, damaged, decode_entry, encode_entry};
use crate::raft::types::{Commands, Entry, LogId, Payload, TypeConfig, Vote};

/// A vote to send.
pub(crate) fn vote_out(vote: &Vote) -> network::Vote {
    network::Vote {
        term: vote.leader_id().term,
        node: vote.leader_id().node_id,
        committed: vote.is_committed(),
    }
}

/// A received vote.
pub(crate) fn vote_in(vote: network::Vote) -> Vote {
    let leader_id = LeaderId {
        term: vote.term,
        node_id: vote.node,
    };
    Vote::from_leader_id(leader_id, vote.committed)
}

/// A log id to send.
pub(crate) fn log_id_out(log_id: &LogId) -> network::LogId {
    network::LogId {
        term: log_id.leader_id.term,
        node: log_id.leader_id.node_id,
        index: log_id.index,
    }
}

/// A received log id.
pub(crate) fn log_id_in(log_id: network::LogId) -> LogId {
    LogId {
        leader_id: LeaderId {
            term: log_id.term,
            node_id: log_id.node,
        },
        index: log_id.index,
    }
}

/// An append to send. Entries that were stored before are not copied.
pub(crate) fn append_out(request: AppendEntriesRequest<TypeConfig>) -> network::AppendRequest {
    network::AppendRequest {
        vote: vote_out(&request.vote),
        previous: request.prev_log_id.as_ref().map(log_id_out),
        commit: request.leader_commit.as_ref().map(log_id_out),
        entries: request.entries.into_iter().map(encode_entry).collect(),
    }
}

/// The entry without the frame that it came in, unless it makes up much of it.
fn apart(stored: Bytes) -> Bytes {
    if stored.len() <= ENTRY_COPIED_BYTES_MAX {
        Bytes::copy_from_slice(&stored)
    } else {
        stored
    }
}

/// A received entry. Hosts read the commands of what is in the log and rely on their layout.
fn entry_in(stored: Bytes) -> io::Result<Entry> {
    let entry = decode_entry(apart(stored))?;
    match &entry.payload {
        Payload::Normal(Commands(stored)) if !is_whole(&stored[STORED_HEADER_BYTES..]) => {
            Err(damaged("entry's commands"))
        }
        _ if entry.log_id.index >= NUMBER_END => Err(damaged("entry's index")),
        _ => Ok(entry),
    }
}

/// Whether the numbers of a request are such as nodes give out: far from where counting ends.
pub(crate) fn is_sound(request: &network::Request) -> bool {
    let number = |number: u64| number < NUMBER_END;
    let vote = |vote: &network::Vote| number(vote.term);
    let log_id = |log_id: &Option<network::LogId>| {
        log_id.is_none_or(|log_id| number(log_id.term) && number(log_id.index))
    };
    match request {
        network::Request::Vote(asked) | network::Request::PreVote(asked) => {
            vote(&asked.vote) && log_id(&asked.last_log)
        }
        network::Request::Append(append) => {
            vote(&append.vote) && log_id(&append.previous) && log_id(&append.commit)
        }
        network::Request::TransferLeader(transfer) => {
            vote(&transfer.from) && log_id(&transfer.last_log)
        }
    }
}

/// A received append.
pub(crate) fn append_in(
    request: network::AppendRequest,
) -> io::Result<AppendEntriesRequest<TypeConfig>> {
    let entries = request.entries.into_iter().map(entry_in);
    let entries: io::Result<Vec<_>> = entries.collect();
    Ok(AppendEntriesRequest {
        vote: vote_in(request.vote),
        prev_log_id: request.previous.map(log_id_in),
        entries: entries?,
        leader_commit: request.commit.map(log_id_in),
    })
}

/// An append's answer to send.
pub(crate) fn appended_out(
    response: &AppendEntriesResponse<TypeConfig>,
) -> network::AppendResponse {
    match response {
        AppendEntriesResponse::Success => network::AppendResponse::Success,
        AppendEntriesResponse::PartialSuccess(last) => {
            network::AppendResponse::Partial(last.as_ref().map(log_id_out))
        }
        AppendEntriesResponse::Conflict => network::AppendResponse::Conflict,
        AppendEntriesResponse::HigherVote(vote) => {
            network::AppendResponse::HigherVote(vote_out(vote))
        }
    }
}

/// A received answer to an append.
pub(crate) fn appended_in(response: network::AppendResponse) -> AppendEntriesResponse<TypeConfig> {
    match response {
        network::AppendResponse::Success => AppendEntriesResponse::Success,
        network::AppendResponse::Partial(last) => {
            AppendEntriesResponse::PartialSuccess(last.map(log_id_in))
        }
        network::AppendResponse::Conflict => AppendEntriesResponse::Conflict,
        network::AppendResponse::HigherVote(vote) => {
            AppendEntriesResponse::HigherVote(vote_in(vote))
        }
    }
}

/// A vote request to send.
pub(crate) fn candidate_out(request: &VoteRequest<TypeConfig>) -> network::VoteRequest {
    network::VoteRequest {
        vote: vote_out(&request.vote),
        last_log: request.last_log_id.as_ref().map(log_id_out),
        leadership_transfer: request.leadership_transfer,
    }
}

/// A received vote request.
pub(crate) fn candidate_in(request: network::VoteRequest) -> VoteRequest<TypeConfig> {
    let mut received = VoteRequest::new(vote_in(request.vote), request.last_log.map(log_id_in));
    received.leadership_transfer = request.leadership_transfer;
    received
}

/// A vote's answer to send.
pub(crate) fn voted_out(response: &VoteResponse<TypeConfig>) -> network::VoteResponse {
    network::VoteResponse {
        vote: vote_out(&response.vote),
        granted: response.vote_granted,
        last_log: response.last_log_id.as_ref().map(log_id_out),
    }
}

/// A received answer to a vote request.
pub(crate) fn voted_in(response: network::VoteResponse) -> VoteResponse<TypeConfig> {
    let last = response.last_log.map(log_id_in);
    VoteResponse::new(vote_in(response.vote), last, response.granted)
}

/// A transfer to send.
pub(crate) fn transfer_out(
    request: &TransferLeaderRequest<TypeConfig>,
) -> network::TransferRequest {
    network::TransferRequest {
        from: vote_out(request.from_leader()),
        to: *request.to_node_id(),
        last_log: request.last_log_id().map(log_id_out),
    }
}

/// A received transfer.
pub(crate) fn transfer_in(request: &network::TransferRequest) -> TransferLeaderRequest<TypeConfig> {
    let last = request.last_log.map(log_id_in);
    TransferLeaderRequest::new(vote_in(request.from), request.to, last)
}
