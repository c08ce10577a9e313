//! What the log says of who leads a group: who stands and why, who won, who lost what.
//!
//! A group without other members elects itself whenever it is opened, which is nothing to tell of.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::group::Group;
use crate::raft::types::Vote;

/// A follower is about to ask for votes.
pub(crate) fn note_standing(group: &Group, now: Instant) {
    let (id, leader, term) = (group.id, group.known_leader(), group.known_term());
    if !group.has_others() {
        return;
    }
    match group.last_heard() {
        Some(heard) => tracing::info!(
            group = id,
            term,
            leader,
            silent_ms = now.saturating_duration_since(heard).as_millis() as u64,
            "stands for election: the leader is silent"
        ),
        None => tracing::info!(
            group = id,
            term,
            "stands for election: no leader was heard of"
        ),
    }
}

/// This node was elected.
pub(crate) fn note_won(group: &Group, term: u64) {
    group.stood.store(false, Ordering::Relaxed);
    if group.has_others() {
        tracing::info!(group = group.id, term, "won the election, and leads");
    } else {
        tracing::debug!(group = group.id, term, "leads as the only member");
    }
}

/// A vote was given or learned by which this node does not lead; `led`: it did until now.
pub(crate) fn note_following(group: &Group, vote: &Vote, led: bool) {
    let id = vote.leader_id();
    let (term, other) = (id.term, id.node_id);
    if led {
        tracing::info!(
            group = group.id,
            term,
            votes_for = other,
            "leads no more: there is a newer term"
        );
    } else if group.stood.load(Ordering::Relaxed) && other != group.node {
        tracing::info!(
            group = group.id,
            term,
            votes_for = other,
            "lost the election"
        );
    }
    group.stood.store(other == group.node, Ordering::Relaxed);
}

/// Another leader became known, or that there is none.
pub(crate) fn note_leader(group: &Group, leader: u64, term: u64) {
    if leader != 0 && leader != group.node {
        tracing::info!(group = group.id, leader, term, "follows a leader");
    }
}
