//! One open group: what the adapters, the proposer and the engine share of it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use raft_kv_journal::GroupLog;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::batching::{Pending, Proposal};
use crate::elections;
use crate::events::{Event, EventQueue};
use crate::leases::Lease;
use crate::limits::SNAPSHOT_LOG_MULTIPLE;
use crate::members::MemberLog;
use crate::network::{self, Member};
use crate::raft::remains::{decode_floor, decode_stored_vote, is_older};
use crate::raft::snapshot::SnapshotDesk;
use crate::raft::types::{LogId, Membership, Raft, StoredMembership, Vote};
use crate::sleep::{GroupSleep, Sleeper};
use crate::snapshot_receiving::Receiving;
use crate::statistics::Counters;
use crate::timer::Timer;
use crate::world::World;

/// Commands that wait, and whether more may come.
pub(crate) struct Intake {
    /// What waits.
    pub(crate) pending: Pending,
    /// No further command is taken.
    pub(crate) closed: bool,
}

/// See the module.
pub(crate) struct Group {
    /// Its number.
    pub(crate) id: u32,
    /// This node.
    pub(crate) node: u64,
    /// Its log.
    pub(crate) log: GroupLog,
    /// Its lease.
    pub(crate) lease: Lease,
    /// Its commands on their way to openraft.
    pub(crate) intake: Mutex<Intake>,
    /// Entries proposed and not yet settled.
    pub(crate) in_flight: AtomicUsize,
    /// Told when an entry is settled.
    pub(crate) settled: Notify,
    /// Whether the proposer has the group on its list.
    pub(crate) listed: AtomicBool,
    /// Whether openraft is to be asked for a snapshot.
    pub(crate) snapshot_wanted: AtomicBool,
    /// Where the host hands in snapshots.
    pub(crate) snapshots: SnapshotDesk,
    /// Nothing more is given to the host: the group closes.
    pub(crate) stop: AtomicBool,
    /// Bytes of commands applied since the last snapshot was begun.
    pub(crate) log_bytes: AtomicU64,
    /// The engine's counters.
    pub(crate) counters: Arc<Counters>,
    /// The host has the group's code: it applies, and may lead.
    pub(crate) bound: bool,
    /// Where commands go when this node has no member of the group; `None`: it has one.
    pub(crate) elsewhere: Mutex<Option<Vec<Member>>>,
    /// Who its members are.
    pub(crate) members: Mutex<MemberLog>,
    /// Whether it sleeps, or watches the node that it sleeps under.
    pub(crate) sleep: GroupSleep,
    /// Entries that other nodes sent on are proposed one after the other, in their order.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// One change of the members at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// The snapshot that is being received.
    pub(crate) receiving: tokio::sync::Mutex<Option<Receiving>>,
    /// What a candidate's log must reach: this member's own did before it was removed.
    floor: Mutex<Option<LogId>>,
    timer: Arc<Timer>,
    opened: Instant,
    guarded_until: Instant,
    /// Microseconds from `opened`, plus 1; 0 = never.
    last_heard: AtomicU64,
    known_term: AtomicU64,
    /// Index of the last entry that the host was given.
    pub(crate) given: AtomicU64,
    /// This node is a candidate.
    pub(crate) stood: AtomicBool,
    /// This node is a voter.
    votes: AtomicBool,
    has_others: AtomicBool,
    raft: OnceLock<Raft>,
    events: Arc<EventQueue>,
    leading: watch::Sender<bool>,
    leaders: watch::Sender<u64>,
    snapshot_log_bytes_min: u64,
}

/// What a group is made of.
pub(crate) struct GroupParts {
    pub(crate) id: u32,
    pub(crate) node: u64,
    pub(crate) log: GroupLog,
    pub(crate) lease: Lease,
    pub(crate) events: Arc<EventQueue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) world: World,
    pub(crate) snapshot_log_bytes_min: u64,
    pub(crate) bound: bool,
    pub(crate) elsewhere: Option<Vec<Member>>,
    pub(crate) timer: Arc<Timer>,
    /// Until when it gives no votes, as it may have acknowledged a lease before.
    pub(crate) guarded_until: Instant,
}

impl Group {
    /// A group that takes commands, but has no openraft yet to give them to.
    pub(crate) fn new(parts: GroupParts) -> Self {
        let vote = parts.log.state().vote;
        let floor = vote.as_ref().and_then(decode_floor);
        let known = vote.and_then(|vote| decode_stored_vote(vote).ok());
        let known_term = known.map_or(0, |vote| vote.leader_id().term);
        Self {
            id: parts.id,
            node: parts.node,
            log: parts.log,
            lease: parts.lease,
            intake: Mutex::new(Intake {
                pending: Pending::new(parts.world),
                closed: false,
            }),
            in_flight: AtomicUsize::new(0),
            settled: Notify::new(),
            listed: AtomicBool::new(false),
            snapshot_wanted: AtomicBool::new(false),
            snapshots: SnapshotDesk::default(),
            stop: AtomicBool::new(false),
            log_bytes: AtomicU64::new(0),
            counters: parts.counters,
            bound: parts.bound,
            elsewhere: Mutex::new(parts.elsewhere),
            members: Mutex::default(),
            sleep: GroupSleep::default(),
            turn: tokio::sync::Mutex::new(()),
            changing: tokio::sync::Mutex::new(()),
            receiving: tokio::sync::Mutex::new(None),
            floor: Mutex::new(floor),
            timer: parts.timer,
            opened: Instant::now(),
            guarded_until: parts.guarded_until,
            last_heard: AtomicU64::new(0),
            known_term: AtomicU64::new(known_term),
            given: AtomicU64::new(0),
            stood: AtomicBool::new(false),
            votes: AtomicBool::new(false),
            has_others: AtomicBool::new(false),
            raft: OnceLock::new(),
            events: parts.events,
            leading: watch::Sender::new(false),
            leaders: watch::Sender::new(0),
            snapshot_log_bytes_min: parts.snapshot_log_bytes_min,
        }
    }

    /// The group's openraft, once it runs.
    pub(crate) fn raft(&self) -> Option<&Raft> {
        self.raft.get()
    }

    /// Gives the group its openraft.
    pub(crate) fn set_raft(&self, raft: Raft) {
        // A group is opened once, under the lock of its number.
        drop(self.raft.set(raft));
    }

    /// This node was elected, and its vote is durable.
    pub(crate) fn lead(self: &Arc<Self>, term: u64) {
        elections::note_won(self, term);
        self.known_term.store(term, Ordering::SeqCst);
        self.sleep.forget_watch();
        self.timer.sleeper().wake(self);
        self.lease.lead(term);
        self.tell_leader(self.node, term);
        self.leading.send_replace(true);
        self.timer.update(self);
    }

    /// This node gives its vote to another, or stands for election: it does not lead.
    pub(crate) fn follow(self: &Arc<Self>, vote: &Vote) {
        self.sleep.forget_watch();
        self.timer.sleeper().wake(self);
        self.lease.follow();
        let led = self.leading.send_replace(false);
        elections::note_following(self, vote, led);
        let leader_id = vote.leader_id();
        self.known_term.store(leader_id.term, Ordering::SeqCst);
        let leader = if vote.is_committed() {
            leader_id.node_id
        } else {
            0
        };
        self.tell_leader(leader, leader_id.term);
        self.timer.give_way(self);
        self.timer.update(self);
    }

    /// The term of the last vote that was given or learned.
    pub(crate) fn known_term(&self) -> u64 {
        self.known_term.load(Ordering::SeqCst)
    }

    /// The node that leads as far as is known here; 0 = none.
    pub(crate) fn known_leader(&self) -> u64 {
        *self.leaders.borrow()
    }

    /// A leader sent something. One whose term is over is not listened to.
    pub(crate) fn heard_from(&self, vote: network::Vote) {
        let known_term = self.known_term();
        if vote.term < known_term {
            return;
        }
        self.heard_at_least(Instant::now());
        // A member that was opened anew has the vote already, and is not told of it again.
        if vote.committed && vote.term == known_term && self.known_leader() == 0 {
            self.tell_leader(vote.node, vote.term);
        }
    }

    /// A leader may have been heard at this time.
    pub(crate) fn heard_at_least(&self, at: Instant) {
        let since = at.saturating_duration_since(self.opened).as_micros() as u64;
        self.last_heard.fetch_max(since + 1, Ordering::Relaxed);
    }

    /// When a leader, or the node of one that sleeps, was last heard.
    pub(crate) fn last_heard(&self) -> Option<Instant> {
        let since = self.last_heard.load(Ordering::Relaxed).checked_sub(1);
        let own = since.map(|since| self.opened + Duration::from_micros(since));
        own.max(self.sleep.heard(self.known_term()))
    }

    /// The node's part of letting groups sleep.
    pub(crate) fn sleeper(&self) -> &Sleeper {
        self.timer.sleeper()
    }

    /// Whether the node that leads it asleep lives.
    pub(crate) fn is_watched(&self) -> bool {
        self.timer.is_watched(self)
    }

    /// Whether this leader has nothing under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.bound
            && self.beats()
            && self.in_flight.load(Ordering::SeqCst) == 0
            && self.intake.lock().pending.is_empty()
            && self.members.lock().voter_sets().len() == 1
            && self.changing.try_lock().is_ok()
    }

    /// Whether this member follows that leader, and has everything up to `last`.
    pub(crate) fn follows(&self, leader: u64, term: u64, last: u64) -> bool {
        let current = self.known_term() == term && self.known_leader() == leader;
        let stored = self.log.state().next_index.saturating_sub(1) == last;
        current && stored && (!self.bound || self.given.load(Ordering::SeqCst) >= last)
    }

    /// Until when this member gives no votes and does not stand.
    pub(crate) fn guarded_until(&self) -> Instant {
        self.guarded_until
    }

    /// The log id that candidates must have for this member's vote, besides its own log.
    pub(crate) fn floor(&self) -> Option<LogId> {
        *self.floor.lock()
    }

    /// An entry was appended: once the log reaches as far as before, it speaks for itself.
    pub(crate) fn caught_up_with(&self, log_id: &LogId) {
        let last = Some((log_id.leader_id.term, log_id.index));
        self.floor.lock().take_if(|floor| !is_older(last, floor));
    }

    /// Whether this node leads members that have to hear of it.
    pub(crate) fn beats(&self) -> bool {
        self.has_others.load(Ordering::SeqCst)
            && self.lease.leading_term().is_some()
            && !self.stop.load(Ordering::SeqCst)
    }

    /// Up to where the group that this node leads is committed, if a node is left out there. That
    /// node may have a membership that never came to be, with a higher index than the last that did.
    pub(crate) fn leads_without(&self, node: u64) -> Option<network::LogId> {
        let term = self.lease.leading_term()?;
        let members = self.members.lock();
        members.leaves_out(node).then(|| network::LogId {
            term,
            node: self.node,
            index: self.given.load(Ordering::SeqCst),
        })
    }

    /// Whether this node is to be elected when no leader is heard of.
    pub(crate) fn stands(&self) -> bool {
        self.bound
            && self.votes.load(Ordering::SeqCst)
            && self.lease.leading_term().is_none()
            && !self.stop.load(Ordering::SeqCst)
    }

    /// Whether this node has no member of the group, and only sends commands on.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.elsewhere.lock().is_some()
    }

    /// Whether commands are to be sent on: another node may lead, and this one does not.
    pub(crate) fn sends_on(&self) -> bool {
        self.lease.leading_term().is_none()
            && (self.has_others.load(Ordering::SeqCst) || self.is_elsewhere())
    }

    /// Whether this node has no replica that applies what it sends on.
    pub(crate) fn needs_results(&self) -> bool {
        !self.bound || self.is_elsewhere()
    }

    /// Whether there is anybody else to elect.
    pub(crate) fn has_others(&self) -> bool {
        self.has_others.load(Ordering::SeqCst)
    }

    /// The members on other nodes.
    pub(crate) fn other_members(&self) -> Vec<Member> {
        let elsewhere = self.elsewhere.lock().clone();
        let mut members = elsewhere.unwrap_or_else(|| self.members.lock().members());
        members.retain(|member| member.node != self.node);
        members
    }

    /// Whether this node is the only voter.
    pub(crate) fn votes_alone(&self) -> bool {
        let sets = self.members.lock().voter_sets();
        !sets.is_empty() && sets.iter().all(|voters| *voters == [self.node])
    }

    /// What the opened log says of the members.
    pub(crate) fn restore_members(
        self: &Arc<Self>,
        committed: StoredMembership,
        effective: StoredMembership,
    ) {
        self.members.lock().restore(committed, effective);
        self.members_changed();
    }

    /// A membership was appended to the log.
    pub(crate) fn append_members(self: &Arc<Self>, log_id: LogId, membership: Membership) {
        self.members.lock().append(log_id, membership);
        self.members_changed();
    }

    /// The log was cut off behind an index.
    pub(crate) fn truncate_members(self: &Arc<Self>, last_index: Option<u64>) {
        if self.members.lock().truncate_after(last_index) {
            self.members_changed();
        }
    }

    /// A snapshot with this membership was installed.
    pub(crate) fn install_members(self: &Arc<Self>, membership: StoredMembership) {
        self.members.lock().install(membership);
        self.members_changed();
    }

    fn members_changed(self: &Arc<Self>) {
        let (sets, others) = {
            let members = self.members.lock();
            let all = members.members();
            let others = all.iter().any(|member| member.node != self.node);
            (members.voter_sets(), others)
        };
        let votes = sets.iter().any(|voters| voters.contains(&self.node));
        self.votes.store(votes, Ordering::SeqCst);
        self.has_others.store(others, Ordering::SeqCst);
        self.lease.set_voters(sets);
        self.timer.update(self);
    }

    fn tell_leader(&self, leader: u64, term: u64) {
        let before = self.leaders.send_replace(leader);
        if before != leader && !self.stop.load(Ordering::SeqCst) {
            elections::note_leader(self, leader, term);
            self.events.push(Event::LeaderChanged {
                group: self.id,
                leader,
                term,
            });
        }
    }

    /// Waits until this node leads.
    pub(crate) async fn wait_to_lead(&self) {
        let mut leading = self.leading.subscribe();
        // The sender lives as long as the group, which is borrowed here.
        drop(leading.wait_for(|leads| *leads).await);
    }

    /// Waits until another node is known to lead.
    pub(crate) async fn wait_for_other_leader(&self) {
        let mut leaders = self.leaders.subscribe();
        let other = |leader: &u64| *leader != 0 && *leader != self.node;
        // The sender lives as long as the group, which is borrowed here.
        drop(leaders.wait_for(other).await);
    }

    /// Whether the log has outgrown its snapshot.
    pub(crate) fn snapshot_is_due(&self) -> bool {
        let grown = self.log_bytes.load(Ordering::Relaxed);
        if grown <= self.snapshot_log_bytes_min {
            return false;
        }
        let snapshot = self.log.state().snapshot.map_or(0, |info| info.bytes);
        grown > snapshot.saturating_mul(SNAPSHOT_LOG_MULTIPLE)
    }

    /// Takes no further commands.
    pub(crate) fn close_intake(&self) {
        self.intake.lock().closed = true;
    }

    /// Takes all that waits, to refuse it.
    pub(crate) fn take_pending(&self) -> Vec<Proposal> {
        let mut intake = self.intake.lock();
        intake.closed = true;
        std::iter::from_fn(|| intake.pending.take()).collect()
    }

    /// Waits until all commands are settled.
    pub(crate) async fn wait_until_settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            // In this order: what waits becomes what is in flight, under the lock.
            let waits = !self.intake.lock().pending.is_empty();
            if !waits && self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Ends the lease and everything that waits for the host.
    pub(crate) fn halt(&self) {
        self.lease.end();
        self.timer.sleeper().wake(self);
        self.stop.store(true, Ordering::SeqCst);
        self.timer.forget(self.id);
        self.snapshots.close();
        self.events.nudge();
    }
}
