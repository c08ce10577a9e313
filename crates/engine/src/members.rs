//! Who a group's members are, as its log says now: a membership counts from when it is appended,
//! and no longer when its entry is cut off again.

use crate::network::Member;
use crate::raft::types::{LogId, Membership, StoredMembership};

/// Memberships that may yet be cut off are kept at least; openraft proposes one at a time.
const KEPT: usize = 4;

/// The memberships of a log's end.
#[derive(Debug, Default)]
pub(crate) struct MemberLog {
    /// Oldest first; the last one counts.
    memberships: Vec<StoredMembership>,
    committed: Option<StoredMembership>,
}

impl MemberLog {
    /// What a log that was opened says.
    pub(crate) fn restore(&mut self, committed: StoredMembership, effective: StoredMembership) {
        self.memberships = vec![committed.clone()];
        if effective.log_id() != committed.log_id() {
            self.memberships.push(effective);
        }
        self.committed = Some(committed);
    }

    /// A membership was appended.
    pub(crate) fn append(&mut self, log_id: LogId, membership: Membership) {
        let stored = StoredMembership::new(Some(log_id), membership);
        self.memberships.push(stored);
        if self.memberships.len() > KEPT {
            self.memberships.remove(0);
        }
    }

    /// The log ends after `last_index`; whether that changes who counts.
    pub(crate) fn truncate_after(&mut self, last_index: Option<u64>) -> bool {
        let before = self.memberships.len();
        let end = last_index.map_or(0, |index| index + 1);
        let kept =
            |stored: &StoredMembership| stored.log_id().as_ref().is_none_or(|id| id.index < end);
        self.memberships.retain(kept);
        self.memberships.len() != before
    }

    /// A snapshot was installed.
    pub(crate) fn install(&mut self, membership: StoredMembership) {
        let newer = |stored: &StoredMembership| stored.log_id() > membership.log_id();
        self.memberships.retain(newer);
        self.memberships.insert(0, membership.clone());
        self.committed = Some(membership);
    }

    /// A membership is known to be committed.
    pub(crate) fn commit(&mut self, membership: StoredMembership) {
        self.committed = Some(membership);
    }

    /// The membership that counts.
    pub(crate) fn effective(&self) -> Option<&StoredMembership> {
        self.memberships.last()
    }

    /// The last committed membership that is known here.
    pub(crate) fn committed(&self) -> Option<&StoredMembership> {
        self.committed.as_ref()
    }

    /// The sets of voters of which each must agree.
    pub(crate) fn voter_sets(&self) -> Vec<Vec<u64>> {
        let sets = self.effective().map(|stored| {
            let sets = stored.membership().get_joint_config().iter();
            sets.map(|voters| voters.iter().copied().collect())
                .collect()
        });
        sets.unwrap_or_default()
    }

    /// All members and their addresses.
    pub(crate) fn members(&self) -> Vec<Member> {
        let nodes = self.effective().map(|stored| {
            let nodes = stored.membership().nodes();
            let member = |(node, place): (&u64, &openraft::BasicNode)| Member {
                node: *node,
                address: place.addr.clone(),
            };
            nodes.map(member).collect()
        });
        nodes.unwrap_or_default()
    }

    /// Whether a node is left out by the last committed membership, which says who is in.
    pub(crate) fn leaves_out(&self, node: u64) -> bool {
        self.committed.as_ref().is_some_and(|stored| {
            let membership = stored.membership();
            membership.nodes().next().is_some() && membership.get_node(&node).is_none()
        })
    }
}
