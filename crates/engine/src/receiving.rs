//! Requests of other nodes to the groups of this one.
//!
//! What is guarded here, before openraft sees it: a member that was opened within a lease after it
//! may have acknowledged one gives no votes, since openraft forgets leases at a restart; a group
//! whose code is not bound stores entries and hears of no commit; nodes that were removed from a
//! group are told so, and nothing of nodes that were given up for lost is taken.

use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::Shared;
use crate::group::Group;
use crate::network::{AppendRequest, Request, Response, TransferRequest, VoteRequest};
use crate::raft::remains::is_older;
use crate::raft::types::Raft;
use crate::raft::wire::{
    append_in, appended_out, candidate_in, is_sound, log_id_out, transfer_in, voted_out,
};
use crate::sleep::rouse;
use crate::world::spawn;

fn failed(what: impl ToString) -> Response {
    Response::Failed(what.to_string())
}

/// Answers a request of node `from`.
pub(crate) async fn answer(shared: Arc<Shared>, from: u64, id: u32, request: Request) -> Response {
    if !is_sound(&request) {
        tracing::warn!(node = from, group = id, "a request with impossible numbers");
        return failed("the request has impossible numbers");
    }
    if let Err(error) = shared.check_not_lost(from) {
        return failed(error);
    }
    if shared.options.world.traps().sleeps_under_any_node {
        shared.sleeper.heard_node(from);
    }
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
    if !request.leadership_transfer && group.lease.leading_term().is_some() && group.sleep.is_down()
    {
        // It is awake from now on, and the candidate hears of it.
        let group = group.clone();
        spawn(async move { rouse(&group).await });
        return failed("this node leads the group, and slept");
    }
    if !request.leadership_transfer && group.is_watched() {
        return failed("the group sleeps, and the node that leads it lives");
    }
    if !request.leadership_transfer && group.guarded_until() > Instant::now() {
        return failed("this member may have acknowledged a lease before it was restarted");
    }
    let last = request.last_log.map(|last| (last.term, last.index));
    if group.floor().is_some_and(|floor| is_older(last, &floor)) {
        return failed("this member's log reached further before it was removed");
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
