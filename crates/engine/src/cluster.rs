//! The engine towards other nodes, and what its host does with groups of several members.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::beginning;
use crate::engine::{Engine, check_group_number};
use crate::error::EngineError;
use crate::forwarding;
use crate::lifecycle::{self, Opening};
use crate::links::{get_head, method};
use crate::membership::{self, GroupStatus};
use crate::network::{IncomingPieces, Member, Peers, Request, Response};
use crate::receiving;
use crate::sleep;
use crate::snapshot_receiving;

impl Engine {
    /// Sets the way to other nodes, once; until then all of them are unreachable.
    pub fn connect(&self, peers: Arc<dyn Peers>) -> Result<(), EngineError> {
        if self.0.links.connect(peers) {
            return Ok(());
        }
        Err(EngineError::InvalidArgument("connected already".into()))
    }

    /// Answers a request of node `from`. The request is handed on when the answer is polled first:
    /// whoever receives requests polls each once in the order in which they came.
    pub fn deliver(
        &self,
        from: u64,
        group: u32,
        request: Request,
    ) -> impl Future<Output = Response> + Send + 'static {
        receiving::answer(self.0.clone(), from, group, request)
    }

    /// Takes a snapshot that node `from` sends, and returns the answer, or why it was not taken.
    /// What came before the future is dropped is not asked for again.
    pub async fn deliver_snapshot(
        &self,
        from: u64,
        header: Bytes,
        pieces: impl IncomingPieces,
    ) -> Result<Bytes, String> {
        let welcome = self.0.check_not_lost(from);
        welcome.map_err(|error| error.to_string())?;
        let taken = snapshot_receiving::take(self.0.clone(), from, header, pieces).await;
        taken.map_err(|error| error.to_string())
    }

    /// Answers a call of another node's engine.
    pub async fn answer_call(
        &self,
        from: u64,
        method: u32,
        mut body: Bytes,
    ) -> Result<Bytes, EngineError> {
        self.0.check_not_lost(from)?;
        let malformed = || EngineError::MalformedFrame(format!("call {method} of node {from}"));
        match method {
            method::CREATE_MEMBER => {
                let (group, membership) = get_head(&mut body).ok_or_else(malformed)?;
                check_group_number(group)?;
                let shared = self.0.clone();
                self.run(lifecycle::create_wanted(shared, group, membership, body))
                    .await?;
                Ok(Bytes::new())
            }
            method::REMOVED => {
                let (group, membership) = get_head(&mut body).ok_or_else(malformed)?;
                self.0.links.removed_by(group, membership);
                Ok(Bytes::new())
            }
            // Not on a task of its own: proposed in the order of arrival.
            method::COMMANDS => forwarding::take(self.0.clone(), from, body).await,
            method::SLEEP => sleep::take(&self.0, from, body),
            method::COULD_LEAD => {
                let group = body.try_get_u32_le().map_err(|_| malformed())?;
                Ok(membership::could_lead(&self.0, group))
            }
            _ => Err(malformed()),
        }
    }

    /// Creates a group with these members, of which this node is one, and returns the slot of its
    /// lease. The others are created when they are first reached; who leads is told by an event.
    pub async fn create_group_with(
        &self,
        group: u32,
        descriptor: Bytes,
        members: Vec<Member>,
    ) -> Result<u32, EngineError> {
        check_group_number(group)?;
        let node = self.0.identity.node;
        if !members.iter().any(|member| member.node == node) {
            let what = "a group is created by one of its members";
            return Err(EngineError::InvalidArgument(what.into()));
        }
        let opening = Opening::Members(members);
        self.run(lifecycle::create(
            self.0.clone(),
            group,
            descriptor,
            opening,
        ))
        .await
    }

    /// Opens a stored group whose code the host does not have: it follows and stores, and neither
    /// applies nor leads until [`bind_group`](Self::bind_group).
    pub async fn open_unbound(&self, group: u32) -> Result<u32, EngineError> {
        let opening = Opening::Stored { bound: false };
        self.run(lifecycle::open(self.0.clone(), group, opening))
            .await
    }

    /// The host has the group's code: a group that is open without it is opened anew, and gives the
    /// host its snapshot and its entries; one that is not open is opened. Returns the slot.
    pub async fn bind_group(&self, group: u32) -> Result<u32, EngineError> {
        self.run(lifecycle::bind(self.0.clone(), group)).await
    }

    /// Makes this node's member the only voter, and the other `members` learners, without asking
    /// anybody: a majority of the group's voters is lost for good. `known_term` is the highest term
    /// that any of the members knows. The best member to do so has the newest log; what only lost
    /// members had is lost. Closes the group, takes an election timeout, and returns the index of
    /// the new membership; may be repeated. Nothing of the lost nodes may be taken from before this
    /// call on: see [`give_up_nodes`](Self::give_up_nodes).
    pub async fn recover_group(
        &self,
        group: u32,
        known_term: u64,
        members: Vec<Member>,
    ) -> Result<u64, EngineError> {
        let shared = self.0.clone();
        self.run(beginning::recover(shared, group, known_term, members))
            .await
    }

    /// How a group stands, as far as this node knows.
    pub async fn group_status(&self, group: u32) -> Result<GroupStatus, EngineError> {
        self.run(membership::status(self.0.clone(), group)).await
    }

    /// Adds a member that gets the log and does not vote, at the leader. Does not wait for it.
    pub async fn add_learner(&self, group: u32, member: Member) -> Result<(), EngineError> {
        self.run(membership::add_learner(self.0.clone(), group, member))
            .await
    }

    /// Waits, at the leader, until a member has caught up; its progress is in `group_status`.
    pub async fn wait_for_member(&self, group: u32, node: u64) -> Result<(), EngineError> {
        self.run(membership::wait_for_member(self.0.clone(), group, node))
            .await
    }

    /// Makes these members the voters and those the learners, at the leader; all others leave the
    /// group. Whoever is to stay is a member already. A leader that is not to vote hands over first
    /// and answers `NOT_LEADER` with the new leader, where the call is to be repeated.
    pub async fn change_members(
        &self,
        group: u32,
        voters: BTreeSet<u64>,
        learners: BTreeSet<u64>,
    ) -> Result<(), EngineError> {
        let shared = self.0.clone();
        self.run(membership::change_members(shared, group, voters, learners))
            .await
    }

    /// Hands leadership to a voter that answers and has the log, at the leader.
    pub async fn transfer_leader(&self, group: u32, to: u64) -> Result<(), EngineError> {
        self.run(membership::transfer_leader(self.0.clone(), group, to))
            .await
    }

    /// Confirms with a quorum that this node leads. The event "read ready" with `number` follows
    /// all entries that a read begun before this call must see.
    pub async fn read_index(&self, group: u32, number: u64) -> Result<(), EngineError> {
        self.run(membership::read_index(self.0.clone(), group, number))
            .await
    }

    /// Tells where a group lives that has no member here, so that commands for it are sent on; with
    /// no members it is forgotten. Their results come with the event "results".
    pub async fn set_members_elsewhere(
        &self,
        group: u32,
        members: Vec<Member>,
    ) -> Result<(), EngineError> {
        check_group_number(group)?;
        self.run(lifecycle::set_elsewhere(self.0.clone(), group, members))
            .await
    }

    /// Answers the event "results wanted"; whether somebody still waits for them.
    pub fn give_results(&self, ticket: u64, results: Bytes) -> bool {
        self.0.results.give(ticket, results)
    }

    /// For how long this engine has been open: what lease slots count in, as of now.
    #[must_use]
    pub fn lease_clock(&self) -> Duration {
        self.0.clock.opened.elapsed()
    }

    /// Stops or continues the engine's timer, as if its process stood still.
    #[doc(hidden)]
    pub fn pause_timer(&self, paused: bool) {
        self.0.timer.pause(paused);
    }
}
