//! Who is a member of a group, who leads it, and changing both.
//!
//! A leader that is to leave its group, or to hand it over, ends its lease before anything lets
//! another node lead. It is never removed while it leads: it hands over first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers, ReadPolicy};
use tokio::time::{Instant, sleep, timeout};

use crate::engine::Shared;
use crate::error::EngineError;
use crate::events::Event;
use crate::group::Group;
use crate::limits::{LEARNER_LAG_MAX, MEMBERSHIP_WAIT, PROGRESS_INTERVAL};
use crate::links::method;
use crate::network::{LogId, Member};
use crate::raft::types::{Raft, TypeConfig};
use crate::raft::wire::log_id_out;
use crate::sleep::rouse;

/// What a node is to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// It votes, and does not lead.
    Follower,
    /// It gets the log, and does not vote.
    Learner,
}

/// A member of a group as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// The member.
    pub member: Member,
    /// It votes.
    pub voter: bool,
    /// Up to where its log is known to be the leader's; only the leader knows.
    pub matching: Option<u64>,
}

/// How a group stands, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// What this node is to the group.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// The node that leads; 0 = none that is known.
    pub leader: u64,
    /// The members.
    pub members: Vec<MemberStatus>,
    /// The sets of voters of which each must agree; more than one while they are being changed.
    pub voter_sets: Vec<Vec<u64>>,
    /// Index of the last entry of this node's log.
    pub last_index: u64,
    /// Term of the last entry of this node's log; 0 where it is empty.
    pub last_term: u64,
    /// The host has the group's code.
    pub bound: bool,
}

type WriteError = RaftError<TypeConfig, ClientWriteError<TypeConfig>>;

fn opened(shared: &Shared, id: u32) -> Result<(Arc<Group>, Raft), EngineError> {
    shared.check_open()?;
    let group = shared.find(id).ok_or(EngineError::NoSuchGroup(id))?;
    let raft = group.raft().cloned().ok_or(EngineError::NoSuchGroup(id))?;
    Ok((group, raft))
}

fn not_leader(group: &Group) -> EngineError {
    let leader = group.known_leader();
    EngineError::NotLeader {
        group: group.id,
        leader: if leader == group.node { 0 } else { leader },
    }
}

fn write_error(group: &Group, error: &WriteError) -> EngineError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => not_leader(group),
        RaftError::APIError(error) => EngineError::InvalidArgument(error.to_string()),
        RaftError::Fatal(error) => EngineError::StorageFailed(error.to_string()),
    }
}

fn stopped(error: &impl ToString) -> EngineError {
    EngineError::StorageFailed(error.to_string())
}

/// Up to where the logs of the members are known to match, if this node leads.
async fn matching(raft: &Raft) -> Result<BTreeMap<u64, u64>, EngineError> {
    // Metrics are published once a round of the group's core; asking it waits for one.
    let state = raft.with_raft_state(|_| ()).await;
    state.map_err(|error| stopped(&error))?;
    let metrics = raft.metrics();
    let metrics = openraft::async_runtime::watch::WatchReceiver::borrow_watched(&metrics).clone();
    let replication = metrics.replication.unwrap_or_default().into_iter();
    Ok(replication
        .filter_map(|(node, log_id)| Some((node, log_id?.index)))
        .collect())
}

/// How a group stands.
pub(crate) async fn status(shared: Arc<Shared>, id: u32) -> Result<GroupStatus, EngineError> {
    let (group, raft) = opened(&shared, id)?;
    let last = raft.with_raft_state(|state| state.log_ids.last().copied());
    let last = last.await.map_err(|error| stopped(&error))?;
    let leads = group.lease.leading_term().is_some();
    let matching = if leads {
        matching(&raft).await?
    } else {
        BTreeMap::new()
    };
    let (all, sets) = {
        let members = group.members.lock();
        (members.members(), members.voter_sets())
    };
    let votes = |node: u64| sets.iter().any(|voters| voters.contains(&node));
    let members = all.into_iter().map(|member| MemberStatus {
        voter: votes(member.node),
        matching: matching.get(&member.node).copied(),
        member,
    });
    Ok(GroupStatus {
        role: if leads {
            Role::Leader
        } else if votes(group.node) {
            Role::Follower
        } else {
            Role::Learner
        },
        term: group.known_term(),
        leader: group.known_leader(),
        members: members.collect(),
        voter_sets: sets.clone(),
        last_index: group.log.state().next_index.saturating_sub(1),
        last_term: last.map_or(0, |last| last.leader_id.term),
        bound: group.bound,
    })
}

/// Adds a member that gets the log and does not vote, and does not wait for it.
pub(crate) async fn add_learner(
    shared: Arc<Shared>,
    id: u32,
    member: Member,
) -> Result<(), EngineError> {
    let (group, raft) = opened(&shared, id)?;
    rouse(&group).await;
    let _changing = group.changing.lock().await;
    let node = BasicNode::new(member.address);
    let added = raft.add_learner(member.node, node, false).await;
    added.map_err(|error| write_error(&group, &error))?;
    tracing::info!(group = id, member = member.node, "added a member");
    Ok(())
}

/// Waits until a member has caught up with the leader's log.
pub(crate) async fn wait_for_member(
    shared: Arc<Shared>,
    id: u32,
    node: u64,
) -> Result<(), EngineError> {
    let (group, raft) = opened(&shared, id)?;
    rouse(&group).await;
    let end = Instant::now() + MEMBERSHIP_WAIT;
    while Instant::now() < end {
        if group.lease.leading_term().is_none() {
            return Err(not_leader(&group));
        }
        let last = group.log.state().next_index.saturating_sub(1);
        let matching = matching(&raft).await?.get(&node).copied();
        if matching.is_some_and(|matching| matching + LEARNER_LAG_MAX >= last) {
            return Ok(());
        }
        sleep(PROGRESS_INTERVAL).await;
    }
    Err(EngineError::TimedOut(format!(
        "node {node} has not caught up with group {id}"
    )))
}

/// Makes these members the voters and those the learners; all others leave. A leader that is not
/// to vote hands over, and says that it does not lead: the call is then repeated at the new leader.
pub(crate) async fn change_members(
    shared: Arc<Shared>,
    id: u32,
    voters: BTreeSet<u64>,
    learners: BTreeSet<u64>,
) -> Result<(), EngineError> {
    let (group, raft) = opened(&shared, id)?;
    rouse(&group).await;
    if voters.is_empty() || !voters.is_disjoint(&learners) {
        let what = "a group has a voter, and no member is voter and learner at once";
        return Err(EngineError::InvalidArgument(what.into()));
    }
    let changing = group.changing.lock().await;
    let before = group.members.lock().members();
    let known = |node: &u64| before.iter().any(|member| member.node == *node);
    if let Some(stranger) = voters.union(&learners).find(|node| !known(node)) {
        let what = format!("node {stranger} is no member of group {id} yet");
        return Err(EngineError::InvalidArgument(what));
    }
    if !voters.contains(&group.node) && !shared.options.world.traps().removes_leader {
        let mut with_leader = voters.clone();
        with_leader.insert(group.node);
        replace_voters(&group, &raft, with_leader).await?;
        let heir = most_advanced(&group, &raft, &voters).await?;
        drop(changing);
        transfer_leader(shared, id, heir).await?;
        return Err(not_leader(&group));
    }
    replace_voters(&group, &raft, voters.clone()).await?;
    let stays = |node: &u64| voters.contains(node) || learners.contains(node);
    let nodes = before.iter().map(|member| member.node);
    let leaving: BTreeSet<u64> = nodes.filter(|node| !stays(node)).collect();
    if leaving.is_empty() {
        return Ok(());
    }
    change(&group, &raft, ChangeMembers::RemoveNodes(leaving.clone())).await?;
    tracing::info!(group = id, members = ?leaving, "removed members");
    let membership = group.members.lock().effective().and_then(|it| *it.log_id());
    let membership: Option<LogId> = membership.as_ref().map(log_id_out);
    let left = before
        .iter()
        .filter(|member| leaving.contains(&member.node));
    left.for_each(|member| shared.links.tell_removed(id, member, membership));
    Ok(())
}

/// By joint consensus; whoever votes no longer stays as a learner.
async fn replace_voters(
    group: &Group,
    raft: &Raft,
    voters: BTreeSet<u64>,
) -> Result<(), EngineError> {
    let sets = group.members.lock().voter_sets();
    let now: BTreeSet<u64> = sets.iter().flatten().copied().collect();
    if sets.len() == 1 && now == voters {
        return Ok(());
    }
    let said = format!("{voters:?}");
    change(group, raft, ChangeMembers::ReplaceAllVoters(voters)).await?;
    tracing::info!(group = group.id, voters = said, "changed the voters");
    Ok(())
}

/// Nodes that no longer vote stay as learners, unless they are removed by name.
async fn change(
    group: &Group,
    raft: &Raft,
    change: ChangeMembers<u64, BasicNode>,
) -> Result<(), EngineError> {
    let changed = raft.change_membership(change, true).await;
    changed.map_err(|error| write_error(group, &error))?;
    Ok(())
}

async fn most_advanced(
    group: &Group,
    raft: &Raft,
    among: &BTreeSet<u64>,
) -> Result<u64, EngineError> {
    let matching = matching(raft).await?.into_iter();
    let candidates = matching.filter(|(node, _)| among.contains(node));
    let best = candidates.max_by_key(|(_, index)| *index);
    best.map(|(node, _)| node)
        .ok_or(EngineError::NoLeader(group.id))
}

/// Hands leadership to a voter, once its log is this leader's; returns when it leads.
pub(crate) async fn transfer_leader(
    shared: Arc<Shared>,
    id: u32,
    to: u64,
) -> Result<(), EngineError> {
    let (group, raft) = opened(&shared, id)?;
    rouse(&group).await;
    if group.lease.leading_term().is_none() {
        return Err(not_leader(&group));
    }
    if to == group.node {
        return Ok(());
    }
    let _changing = group.changing.lock().await;
    let votes = |node| {
        let sets = group.members.lock().voter_sets();
        sets.iter().any(|voters| voters.contains(&node))
    };
    if !votes(to) {
        let what = format!("node {to} is no voter of group {id}");
        return Err(EngineError::InvalidArgument(what));
    }
    wait_until_matching(&group, &raft, to).await?;
    check_could_lead(&shared, &group, to).await?;
    tracing::info!(group = id, to, "hands leadership over");
    // From here on it answers nothing by itself: the other may lead at once.
    if !shared.options.world.traps().keeps_lease_at_transfer {
        group.lease.withhold();
    }
    let transferred = raft.trigger().transfer_leader(to).await;
    transferred.map_err(|error| stopped(&error))?;
    let moved = timeout(MEMBERSHIP_WAIT, group.wait_for_other_leader()).await;
    moved.map_err(|_| EngineError::TimedOut(format!("node {to} does not lead group {id} yet")))
}

/// The other voters that have nearly all of the log, those that have most of it first.
pub(crate) async fn voters_by_progress(
    group: &Group,
    raft: &Raft,
) -> Result<Vec<u64>, EngineError> {
    let last = group.log.state().next_index.saturating_sub(1);
    let sets = group.members.lock().voter_sets();
    let near = |node: &u64, index: u64| {
        *node != group.node
            && index + LEARNER_LAG_MAX >= last
            && sets.iter().all(|voters| voters.contains(node))
    };
    let matching = matching(raft).await?.into_iter();
    let mut voters: Vec<(u64, u64)> = matching
        .filter(|(node, index)| near(node, *index))
        .collect();
    voters.sort_by_key(|(_, index)| std::cmp::Reverse(*index));
    Ok(voters.into_iter().map(|(node, _)| node).collect())
}

/// Waits until a member answers now, and has nearly all of the log.
async fn wait_until_matching(group: &Group, raft: &Raft, to: u64) -> Result<(), EngineError> {
    let end = Instant::now() + MEMBERSHIP_WAIT;
    let asked = Instant::now();
    let beat = raft.trigger().heartbeat().await;
    beat.map_err(|error| stopped(&error))?;
    while Instant::now() < end {
        if group.lease.leading_term().is_none() {
            return Err(not_leader(group));
        }
        let last = group.log.state().next_index.saturating_sub(1);
        let matching = matching(raft).await?.get(&to).copied();
        let near = matching.is_some_and(|matching| matching + LEARNER_LAG_MAX >= last);
        if near && group.lease.heard_since(to, asked) {
            return Ok(());
        }
        sleep(PROGRESS_INTERVAL).await;
    }
    let what = format!("node {to} does not answer for group {}", group.id);
    Err(EngineError::TimedOut(what))
}

/// Asks a member whether it would take the group over. One that was started anew may not have the
/// code yet; a transfer that it refuses would leave the group without a leader for a lease.
pub(crate) async fn check_could_lead(
    shared: &Shared,
    group: &Group,
    to: u64,
) -> Result<(), EngineError> {
    let others = group.other_members();
    let Some(member) = others.into_iter().find(|member| member.node == to) else {
        return Err(not_leader(group));
    };
    let asked = Bytes::copy_from_slice(&group.id.to_le_bytes());
    let answer = shared.links.call(&member, method::COULD_LEAD, asked);
    match timeout(MEMBERSHIP_WAIT, answer).await {
        Ok(Ok(answer)) if answer.first() == Some(&1) => Ok(()),
        Ok(Ok(_)) => Err(EngineError::TimedOut(format!(
            "node {to} cannot lead group {} yet",
            group.id
        ))),
        Ok(Err(_)) | Err(_) => Err(EngineError::TimedOut(format!(
            "node {to} does not say whether it can lead group {}",
            group.id
        ))),
    }
}

/// Whether this node's member of a group could lead it; what another node asks before a transfer.
pub(crate) fn could_lead(shared: &Shared, id: u32) -> Bytes {
    let could = shared
        .find(id)
        .is_some_and(|group| group.bound && group.raft().is_some());
    Bytes::from_static(if could { &[1] } else { &[0] })
}

/// Confirms with a quorum that this node leads, and tells the host, behind all entries that a
/// linearizable read must see, that it may answer.
pub(crate) async fn read_index(
    shared: Arc<Shared>,
    id: u32,
    number: u64,
) -> Result<(), EngineError> {
    let (group, raft) = opened(&shared, id)?;
    rouse(&group).await;
    let term = group
        .lease
        .leading_term()
        .ok_or_else(|| not_leader(&group))?;
    let since = Instant::now();
    let reading = async {
        // openraft takes the answer to an earlier append for one to a later append without entries,
        // so it is asked again until answers to what was sent since then are there.
        while !group.lease.confirmed_since(term, since) {
            let asked = raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
            if asked.is_err() || group.lease.leading_term() != Some(term) {
                return Err(not_leader(&group));
            }
            if !group.lease.confirmed_since(term, since) {
                sleep(PROGRESS_INTERVAL).await;
            }
        }
        let linearizer = raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
        let linearizer = linearizer.map_err(|error| match error {
            RaftError::APIError(_) => not_leader(&group),
            RaftError::Fatal(error) => stopped(&error),
        })?;
        let ready = linearizer.await_ready(&raft).await;
        ready.map_err(|error| stopped(&error))
    };
    let read = timeout(MEMBERSHIP_WAIT, reading).await;
    read.map_err(|_| EngineError::TimedOut(format!("no quorum of group {id} answers")))??;
    shared.events.push(Event::ReadReady { group: id, number });
    Ok(())
}
