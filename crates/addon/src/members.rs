//! Members of groups, as they cross the boundary.

use napi::bindgen_prelude::{Either, Null};
use napi_derive::napi;
use raft_kv_engine::network::Member;
use raft_kv_engine::{GroupStatus, MemberStatus, Role};

use crate::{arguments::node, errors::Result};

/// A node, and where it is reached.
#[napi(object, object_to_js = false)]
pub struct NativeMember {
    /// Its id.
    pub node: f64,
    /// Where it is reached.
    pub address: String,
}

impl NativeMember {
    /// The engine's form of it.
    pub fn checked(self) -> Result<Member> {
        let node = node("node", self.node)?;
        let address = self.address;
        Ok(Member { node, address })
    }
}

/// The engine's form of members.
pub fn members(members: Vec<NativeMember>) -> Result<Vec<Member>> {
    members.into_iter().map(NativeMember::checked).collect()
}

/// A member of a group as its leader sees it.
#[napi(object, object_from_js = false)]
pub struct NativeMemberStatus {
    /// Its id.
    pub node: f64,
    /// Where it is reached.
    pub address: String,
    /// It votes.
    pub voter: bool,
    /// Up to which index its log is known to be the leader's; only the leader knows.
    pub matching: Either<f64, Null>,
}

/// How a group stands, as far as this node knows.
#[napi(object, object_from_js = false)]
pub struct NativeGroupStatus {
    /// What this node is to the group.
    #[napi(ts_type = "'leader' | 'follower' | 'learner'")]
    pub role: &'static str,
    /// The term.
    pub term: f64,
    /// The node that leads, or 0.
    pub leader: f64,
    /// Its voters are being changed.
    pub changing: bool,
    /// The sets of voters of which each must agree.
    pub voter_sets: Vec<Vec<f64>>,
    /// Index of the last entry of this node's log.
    pub last_index: f64,
    /// Term of that entry; 0 where the log is empty.
    pub last_term: f64,
    /// The group's code is there.
    pub bound: bool,
    /// The members.
    pub members: Vec<NativeMemberStatus>,
}

impl From<MemberStatus> for NativeMemberStatus {
    fn from(status: MemberStatus) -> Self {
        Self {
            node: status.member.node as f64,
            address: status.member.address,
            voter: status.voter,
            matching: status
                .matching
                .map_or(Either::B(Null), |index| Either::A(index as f64)),
        }
    }
}

fn sets(voters: &[Vec<u64>]) -> Vec<Vec<f64>> {
    let set = |voters: &Vec<u64>| voters.iter().map(|node| *node as f64).collect();
    voters.iter().map(set).collect()
}

impl From<GroupStatus> for NativeGroupStatus {
    fn from(status: GroupStatus) -> Self {
        Self {
            role: match status.role {
                Role::Leader => "leader",
                Role::Follower => "follower",
                Role::Learner => "learner",
            },
            term: status.term as f64,
            leader: status.leader as f64,
            changing: status.voter_sets.len() > 1,
            voter_sets: sets(&status.voter_sets),
            last_index: status.last_index as f64,
            last_term: status.last_term as f64,
            bound: status.bound,
            members: status.members.into_iter().map(Into::into).collect(),
        }
    }
}
