//! Between the messages of `message.rs` and those on the wire.
//!
//! Whatever bytes another node sends, decoding gives a message or an error, never a panic.

use bytes::Bytes;

use crate::error::{CallError, clipped};
use crate::message::{
    AppendRequest, AppendResponse, LogId, NodeFault, Request, Response, TransferRequest, Vote,
    VoteRequest, VoteResponse,
};
use crate::wire;
use crate::wire::append_answer::Outcome;
use crate::wire::item::Kind;

/// The member's node does not know the group.
const FAULT_UNKNOWN_GROUP: u32 = 1;
/// The member was removed.
const FAULT_GROUP_REMOVED: u32 = 2;
/// The member failed.
const FAULT_FAILED: u32 = 3;
/// A node call failed.
const FAULT_CALL: u32 = 4;
/// The kind of request is not known.
const FAULT_UNSUPPORTED: u32 = 5;
/// One of the nodes has no cluster.
const FAULT_NO_CLUSTER: u32 = 6;
/// The answer is too long to be sent.
const FAULT_TOO_LONG: u32 = 7;

impl From<LogId> for wire::LogId {
    fn from(log_id: LogId) -> Self {
        let LogId { term, node, index } = log_id;
        Self { term, node, index }
    }
}

impl From<wire::LogId> for LogId {
    fn from(log_id: wire::LogId) -> Self {
        let wire::LogId { term, node, index } = log_id;
        Self { term, node, index }
    }
}

impl From<Vote> for wire::Vote {
    fn from(vote: Vote) -> Self {
        let Vote {
            term,
            node,
            committed,
        } = vote;
        Self {
            term,
            node,
            committed,
        }
    }
}

impl From<wire::Vote> for Vote {
    fn from(vote: wire::Vote) -> Self {
        let wire::Vote {
            term,
            node,
            committed,
        } = vote;
        Self {
            term,
            node,
            committed,
        }
    }
}

fn vote_request(request: VoteRequest) -> wire::VoteRequest {
    wire::VoteRequest {
        vote: Some(request.vote.into()),
        last_log: request.last_log.map(Into::into),
        leadership_transfer: request.leadership_transfer,
    }
}

fn vote_answer(response: VoteResponse) -> wire::VoteAnswer {
    wire::VoteAnswer {
        vote: Some(response.vote.into()),
        granted: response.granted,
        last_log: response.last_log.map(Into::into),
    }
}

/// A request as an item's kind.
pub(crate) fn request_to_wire(request: Request) -> Kind {
    match request {
        Request::Vote(request) => Kind::Vote(vote_request(request)),
        Request::PreVote(request) => Kind::PreVote(vote_request(request)),
        Request::Append(request) => Kind::Append(wire::AppendRequest {
            vote: Some(request.vote.into()),
            previous: request.previous.map(Into::into),
            commit: request.commit.map(Into::into),
            entries: request.entries,
        }),
        Request::TransferLeader(request) => Kind::Transfer(wire::TransferRequest {
            from: Some(request.from.into()),
            to: request.to,
            last_log: request.last_log.map(Into::into),
        }),
    }
}

fn vote_request_from(request: wire::VoteRequest) -> Option<VoteRequest> {
    Some(VoteRequest {
        vote: request.vote?.into(),
        last_log: request.last_log.map(Into::into),
        leadership_transfer: request.leadership_transfer,
    })
}

/// The request that an item carries; `None` if a part of it is missing or it is none.
pub(crate) fn request_from_wire(kind: Kind) -> Option<Request> {
    match kind {
        Kind::Vote(request) => vote_request_from(request).map(Request::Vote),
        Kind::PreVote(request) => vote_request_from(request).map(Request::PreVote),
        Kind::Append(request) => Some(Request::Append(AppendRequest {
            vote: request.vote?.into(),
            previous: request.previous.map(Into::into),
            commit: request.commit.map(Into::into),
            entries: request.entries,
        })),
        Kind::Transfer(request) => Some(Request::TransferLeader(TransferRequest {
            from: request.from?.into(),
            to: request.to,
            last_log: request.last_log.map(Into::into),
        })),
        _ => None,
    }
}

fn fault(code: u32, text: &str) -> wire::Fault {
    wire::Fault {
        code,
        text: clipped(text).to_owned(),
        membership: None,
        detail: 0,
    }
}

/// The answer to an item whose kind this version does not know.
pub(crate) fn unsupported() -> Kind {
    Kind::Fault(fault(FAULT_UNSUPPORTED, ""))
}

/// The answer to a request about a group where one side has no cluster.
pub(crate) fn no_cluster() -> Kind {
    Kind::Fault(fault(FAULT_NO_CLUSTER, ""))
}

/// Stands for an answer that is too long.
pub(crate) fn answer_too_long() -> Kind {
    Kind::Fault(fault(FAULT_TOO_LONG, "the answer is too long"))
}

/// Why a snapshot was not taken.
pub(crate) fn snapshot_fault(text: &str) -> wire::Fault {
    fault(FAULT_FAILED, text)
}

/// A response as an item's kind.
pub(crate) fn response_to_wire(response: Response) -> Kind {
    match response {
        Response::Vote(response) => Kind::VoteAnswer(vote_answer(response)),
        Response::PreVote(response) => Kind::PreVoteAnswer(vote_answer(response)),
        Response::Append(response) => {
            let outcome = match response {
                AppendResponse::Success => Outcome::Success(wire::Nothing {}),
                AppendResponse::Partial(matching) => Outcome::Partial(wire::Partial {
                    matching: matching.map(Into::into),
                }),
                AppendResponse::Conflict => Outcome::Conflict(wire::Nothing {}),
                AppendResponse::HigherVote(vote) => Outcome::HigherVote(vote.into()),
            };
            Kind::AppendAnswer(wire::AppendAnswer {
                outcome: Some(outcome),
            })
        }
        Response::TransferLeader => Kind::TransferAnswer(wire::TransferAnswer {}),
        Response::UnknownGroup => Kind::Fault(fault(FAULT_UNKNOWN_GROUP, "")),
        Response::GroupRemoved { membership } => Kind::Fault(wire::Fault {
            membership: membership.map(Into::into),
            ..fault(FAULT_GROUP_REMOVED, "")
        }),
        Response::Failed(text) => Kind::Fault(fault(FAULT_FAILED, &text)),
    }
}

/// The result of a node call as an item's kind.
pub(crate) fn call_result_to_wire(result: Result<Bytes, NodeFault>) -> Kind {
    match result {
        Ok(body) => Kind::CallAnswer(body),
        Err(failure) => Kind::Fault(wire::Fault {
            detail: failure.code,
            ..fault(FAULT_CALL, &failure.text)
        }),
    }
}

fn vote_response_from(answer: wire::VoteAnswer) -> Result<VoteResponse, CallError> {
    Ok(VoteResponse {
        vote: answer
            .vote
            .ok_or(CallError::Malformed("an answer without a vote"))?
            .into(),
        granted: answer.granted,
        last_log: answer.last_log.map(Into::into),
    })
}

fn append_response_from(answer: wire::AppendAnswer) -> Result<AppendResponse, CallError> {
    match answer.outcome {
        Some(Outcome::Success(_)) => Ok(AppendResponse::Success),
        Some(Outcome::Partial(partial)) => {
            Ok(AppendResponse::Partial(partial.matching.map(Into::into)))
        }
        Some(Outcome::Conflict(_)) => Ok(AppendResponse::Conflict),
        Some(Outcome::HigherVote(vote)) => Ok(AppendResponse::HigherVote(vote.into())),
        None => Err(CallError::Malformed("an append's answer without outcome")),
    }
}

/// The response that an item carries.
pub(crate) fn response_from_wire(kind: Kind) -> Result<Response, CallError> {
    match kind {
        Kind::VoteAnswer(answer) => vote_response_from(answer).map(Response::Vote),
        Kind::PreVoteAnswer(answer) => vote_response_from(answer).map(Response::PreVote),
        Kind::AppendAnswer(answer) => append_response_from(answer).map(Response::Append),
        Kind::TransferAnswer(_) => Ok(Response::TransferLeader),
        Kind::Fault(fault) => match fault.code {
            FAULT_UNKNOWN_GROUP => Ok(Response::UnknownGroup),
            FAULT_GROUP_REMOVED => Ok(Response::GroupRemoved {
                membership: fault.membership.map(Into::into),
            }),
            FAULT_FAILED => Ok(Response::Failed(fault.text)),
            _ => Err(fault_to_error(fault)),
        },
        _ => Err(CallError::Malformed("an answer to another kind of request")),
    }
}

/// The result of a node call that an item carries.
pub(crate) fn call_result_from_wire(kind: Kind) -> Result<Bytes, CallError> {
    match kind {
        Kind::CallAnswer(body) => Ok(body),
        Kind::Fault(fault) => Err(fault_to_error(fault)),
        _ => Err(CallError::Malformed("an answer to another kind of request")),
    }
}

fn fault_to_error(fault: wire::Fault) -> CallError {
    match fault.code {
        FAULT_UNSUPPORTED => CallError::Unsupported,
        FAULT_NO_CLUSTER => CallError::NoCluster,
        FAULT_CALL | FAULT_FAILED => CallError::Failed(NodeFault {
            code: fault.detail,
            text: fault.text,
        }),
        FAULT_TOO_LONG => CallError::Malformed("it was too long to be sent"),
        _ => CallError::Malformed("a fault of an unknown code"),
    }
}
