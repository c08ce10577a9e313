//! How a group gets its first members, and what an operator does when a majority of them is lost.
//!
//! First members are given where the host says so, and only while nothing of the group was ever
//! promised here: no entry, no vote, nothing of an earlier member. Those who begin a group with the
//! same voters begin the same group, since whoever leads needs a majority of them. What is merely
//! stored never begins by itself: it may be another node's to begin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::BasicNode;
use openraft::impls::leader_id_adv::LeaderId;
use raft_kv_journal::GroupLog;
use tokio::time::{sleep, timeout};

use crate::engine::Shared;
use crate::error::EngineError;
use crate::group::Group;
use crate::lifecycle::{Opening, close_to_reopen, damaged};
use crate::limits::LEAD_WAIT;
use crate::network::Member;
use crate::raft::codec::encode_entry;
use crate::raft::log_store::{durable, last_log_id};
use crate::raft::remains::{decode_floor, decode_stored_vote, encode_stored_vote};
use crate::raft::types::{Entry, LogId, Membership, Payload, Raft, Vote};

/// Whether nothing of the group was ever promised here.
pub(crate) fn is_untouched(log: &GroupLog) -> Result<bool, EngineError> {
    let state = log.state();
    let empty = state.next_index == 0 && state.purged.is_none() && state.snapshot.is_none();
    let Some(stored) = state.vote else {
        return Ok(empty);
    };
    let held = decode_floor(&stored).is_some();
    let vote = decode_stored_vote(stored).map_err(damaged)?;
    Ok(empty && !held && vote.leader_id().term == 0)
}

/// Gives the group its first members if it has none, and has this node lead where it can do so
/// alone.
pub(crate) async fn begin(
    shared: &Shared,
    group: &Arc<Group>,
    raft: &Raft,
    opening: &Opening,
) -> Result<(), EngineError> {
    let failed = |error: String| EngineError::StorageFailed(format!("group {}: {error}", group.id));
    let restored = raft
        .with_raft_state(|state| {
            let members = &state.membership_state;
            (
                members.committed().as_ref().clone(),
                members.effective().as_ref().clone(),
            )
        })
        .await;
    let (committed, effective) = restored.map_err(|error| failed(error.to_string()))?;
    group.restore_members(committed, effective);
    let first = first_members(group, opening);
    if let Some(members) = first.filter(|_| is_untouched(&group.log).unwrap_or(false)) {
        raft.initialize(members)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !group.votes_alone() {
            shared.timer.hurry(group);
        }
    }
    if !group.votes_alone() || !group.bound {
        return Ok(());
    }
    raft.trigger()
        .elect(true)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let led = timeout(LEAD_WAIT, group.wait_to_lead()).await;
    led.map_err(|_| EngineError::NoLeader(group.id))
}

fn first_members(group: &Group, opening: &Opening) -> Option<BTreeMap<u64, BasicNode>> {
    match opening {
        Opening::Alone => Some(BTreeMap::from([(group.node, BasicNode::default())])),
        Opening::Members(members) => Some(nodes(members)),
        Opening::Wanted | Opening::Stored { .. } => None,
    }
}

fn nodes(members: &[Member]) -> BTreeMap<u64, BasicNode> {
    let node = |member: &Member| (member.node, BasicNode::new(member.address.clone()));
    members.iter().map(node).collect()
}

/// Makes this node's member the only voter, against all rules of the group: a majority of its
/// voters is lost for good. The other `members` follow as learners. The group is closed by this;
/// opened again, it is led here, and has everything that this member's log holds.
///
/// Written is what a leader of a newer term would have: its vote, then a membership in that term.
/// Nobody else can have led in it, for the term is this node's and above all that is known here or
/// to the caller. Until the membership is written the vote is a promise like any other, so a crash
/// in between does no harm and the call can be repeated.
pub(crate) async fn recover(
    shared: Arc<Shared>,
    id: u32,
    known_term: u64,
    members: Vec<Member>,
) -> Result<u64, EngineError> {
    let _held = shared.locks.hold(id).await;
    shared.check_open()?;
    let log = shared.journal.group(id);
    if log.state().descriptor.is_none() {
        return Err(EngineError::NoSuchGroup(id));
    }
    close_to_reopen(&shared, id).await;
    // A leader that the lost members followed to the end may answer reads for so long.
    sleep(shared.election_timeout()).await;
    shared.check_open()?;
    let node = shared.identity.node;
    let state = log.state();
    let stored = state.vote.clone().map(decode_stored_vote).transpose();
    let voted = stored
        .map_err(damaged)?
        .map_or(0, |vote| vote.leader_id().term);
    let last = last_log_id(&log).await.map_err(damaged)?;
    let logged = last.map_or(0, |last| last.leader_id.term);
    let term = known_term.max(voted).max(logged) + 1;
    let voters = vec![BTreeSet::from([node])];
    let membership = Membership::new(voters, nodes(&members))
        .map_err(|error| EngineError::InvalidArgument(error.to_string()))?;
    let entry = Entry {
        log_id: LogId {
            leader_id: LeaderId {
                term,
                node_id: node,
            },
            index: state.next_index,
        },
        payload: Payload::Membership(membership),
    };
    let failed = |error: std::io::Error| {
        let stopped = shared.failure();
        stopped.unwrap_or_else(|| EngineError::StorageFailed(error.to_string()))
    };
    let floor = state.vote.as_ref().and_then(decode_floor);
    let vote = encode_stored_vote(&Vote::new(term, node), floor.as_ref());
    durable(|done| log.save_vote(vote, done))
        .await
        .map_err(failed)?;
    let entries = vec![encode_entry(entry)];
    durable(|done| log.append(state.next_index, entries, done))
        .await
        .map_err(failed)?;
    Ok(state.next_index)
}
