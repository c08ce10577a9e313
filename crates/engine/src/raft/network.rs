//! The way from a group to its other members, as openraft wants it.
//!
//! Appends are queued in the order in which openraft gives them, many before the first answer.
//! What a leader hears back is noted for its lease with the time at which it was *sent*.

use std::io;
use std::sync::Arc;

use futures::future::{Either, select};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, stream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::time::Instant;

use crate::group::Group;
use crate::limits::APPENDS_IN_FLIGHT_MAX;
use crate::links::Links;
use crate::network::{Answer, AppendResponse, Member, PeerError, Request, Response};
use crate::raft::sending;
use crate::raft::snapshot::StoredSnapshot;
use crate::raft::types::{LogId, TypeConfig, Vote};
use crate::raft::wire::{append_out, appended_in, candidate_out, transfer_out, vote_in, voted_in};

type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, StoredSnapshot>;
type Appended = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;
type Appending<'s> =
    futures::future::BoxFuture<'s, Result<BoxStream<'s, Appended>, RPCError<TypeConfig>>>;

/// Makes the ways of one group.
#[derive(Clone)]
pub(crate) struct Ways {
    group: Arc<Group>,
    links: Arc<Links>,
}

impl Ways {
    /// The ways of `group`.
    pub(crate) fn new(group: Arc<Group>, links: Arc<Links>) -> Self {
        Self { group, links }
    }
}

impl RaftNetworkFactory<TypeConfig> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Way {
        let member = Member {
            node: target,
            address: node.addr.clone(),
        };
        Way {
            group: self.group.clone(),
            links: self.links.clone(),
            member,
        }
    }
}

/// The way to one member of a group.
#[derive(Clone)]
pub(crate) struct Way {
    group: Arc<Group>,
    links: Arc<Links>,
    member: Member,
}

/// An append that was queued.
struct Sent {
    answer: Answer<Response>,
    about: About,
}

/// What an answer is to be understood with.
struct About {
    term: u64,
    at: Instant,
    previous: Option<LogId>,
    last: Option<LogId>,
}

fn unreachable(what: impl Into<String>) -> RPCError<TypeConfig> {
    let error = io::Error::new(io::ErrorKind::HostUnreachable, what.into());
    RPCError::Unreachable(Unreachable::new(&error))
}

impl Way {
    fn ask(&self, request: Request) -> Answer<Response> {
        self.links.request(&self.member, self.group.id, request)
    }

    /// What an answer that is none of the expected ones means.
    fn refusal(&self, response: Result<Response, PeerError>) -> RPCError<TypeConfig> {
        match response {
            Ok(Response::UnknownGroup) => {
                self.links.create_member(&self.group, &self.member);
                unreachable("the node does not know the group yet")
            }
            Ok(Response::GroupRemoved { membership }) => {
                self.links.removed(&self.group, membership);
                unreachable("this node was removed from the group")
            }
            Ok(Response::Failed(what)) => {
                RPCError::Network(NetworkError::new(&io::Error::other(what)))
            }
            Ok(other) => unreachable(format!("an answer to something else: {other:?}")),
            Err(error) => unreachable(error.to_string()),
        }
    }

    fn send(&self, request: AppendEntriesRequest<TypeConfig>) -> Sent {
        let previous = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id);
        let term = request.vote.leader_id().term;
        if let Some(commit) = &request.leader_commit {
            self.group.lease.telling(commit.index);
        }
        // Before it is queued: a lease may run too short, never too long.
        let at = Instant::now();
        let answer = self.ask(Request::Append(append_out(request)));
        let about = About {
            term,
            at,
            previous,
            last: last.or(previous),
        };
        Sent { answer, about }
    }

    async fn receive(
        &self,
        answer: Answer<Response>,
        about: &About,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let response = match answer.await {
            Ok(Response::Append(response)) => response,
            other => return Err(self.refusal(other)),
        };
        if !matches!(response, AppendResponse::HigherVote(_)) {
            let lease = &self.group.lease;
            lease.acknowledged(about.term, self.member.node, about.at);
        }
        Ok(appended_in(response))
    }

    /// The answer, and whether what was sent behind it still says something.
    async fn receive_in_stream(&self, sent: Sent) -> (Appended, bool) {
        let Sent { answer, about } = sent;
        match self.receive(answer, &about).await {
            Ok(AppendEntriesResponse::Conflict) if about.previous.is_none() => {
                let what = io::Error::other("a conflict with nothing");
                (Err(RPCError::Network(NetworkError::new(&what))), false)
            }
            Ok(response) => {
                let whole = match &response {
                    AppendEntriesResponse::Success => true,
                    AppendEntriesResponse::PartialSuccess(last) => *last == about.last,
                    _ => false,
                };
                let result = response.into_stream_result(about.previous, about.last);
                (Ok(result), whole)
            }
            Err(error) => (Err(error), false),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Way {
    type SnapshotData = StoredSnapshot;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let sent = self.send(rpc);
        self.receive(sent.answer, &sent.about).await
    }

    fn stream_append<'s, S>(&'s mut self, input: S, _option: RPCOption) -> Appending<'s>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let way = &*self;
        // Queued where openraft's stream is read, in its order; only the answers are waited for
        // side by side.
        let sent = input.map(move |request| {
            let sent = way.send(request);
            way.receive_in_stream(sent)
        });
        let answers = sent.buffered(APPENDS_IN_FLIGHT_MAX);
        // Whatever was sent behind the first failure says nothing.
        let until_failure = stream::unfold(Some(Box::pin(answers)), |answers| async {
            let mut answers = answers?;
            let (answer, whole) = answers.next().await?;
            Some((answer, whole.then_some(answers)))
        });
        std::future::ready(Ok(until_failure.boxed())).boxed()
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(Request::Vote(candidate_out(&rpc))).await {
            Ok(Response::Vote(response)) => Ok(voted_in(response)),
            other => Err(self.refusal(other)),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(Request::PreVote(candidate_out(&rpc))).await {
            Ok(Response::PreVote(response)) => Ok(voted_in(response)),
            other => Err(self.refusal(other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let sending = sending::send(&self.links, &self.member, self.group.id, &vote, snapshot);
        match select(std::pin::pin!(sending), std::pin::pin!(cancel)).await {
            Either::Left((Ok(vote), _)) => Ok(SnapshotResponse::new(vote_in(vote))),
            Either::Left((Err(error), _)) => {
                Err(StreamingError::Unreachable(Unreachable::new(&error)))
            }
            Either::Right((closed, _)) => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self
            .ask(Request::TransferLeader(transfer_out(&request)))
            .await
        {
            Ok(Response::TransferLeader) => Ok(Ok(())),
            other => Err(self.refusal(other)),
        }
    }
}
