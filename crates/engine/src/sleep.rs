//! Groups with nothing to do fall asleep: their leader sends no heartbeats, and has no lease.
//!
//! Followers of sleeping groups watch the leader's *node*: it says regularly, once for all groups,
//! that it lives and leads those of a list with a version. A group sleeps once all other members
//! have that list and have everything that the leader has; one that refuses, or a node that was
//! started anew and knows no list, wakes it. A group that is not in the next list is awake, so what
//! a leader no longer leads is never watched for longer than an election timeout.
//!
//! A member whose node answers nothing for as long as groups take to fall asleep keeps nobody awake
//! as long as a majority has the list. It is told the list on and on; when it is back, it refuses
//! what it does not follow or has not got in full, and is brought up to date.
//!
//! The first command, read or change of members wakes the group by one round that a quorum
//! confirms.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::ReadPolicy;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::engine::Shared;
use crate::error::EngineError;
use crate::group::Group;
use crate::limits::ROUSE_WAIT;
use crate::links::{Links, method};
use crate::network::Member;
use crate::world::spawn;

const AWAKE: u8 = 0;
/// On the list, and still sends heartbeats.
const DROWSY: u8 = 1;
const ASLEEP: u8 = 2;
/// Sends heartbeats again, and waits for a quorum to confirm one.
const ROUSING: u8 = 3;

const FULL: u8 = 1;
const SHORT: u8 = 2;
const KNOWN: u8 = 1;
const UNKNOWN: u8 = 2;
const HEAD_BYTES: usize = 9;
const ENTRY_BYTES: usize = 20;

/// A group's own part: at its leader the state, at its followers whom to watch.
pub(crate) struct GroupSleep {
    state: AtomicU8,
    /// The version of the list in which it was first.
    listed_at: AtomicU64,
    active: Mutex<Instant>,
    roused: Notify,
    watch: Mutex<Option<(u64, Arc<Watch>)>>,
}

impl Default for GroupSleep {
    fn default() -> Self {
        Self {
            state: AtomicU8::new(AWAKE),
            listed_at: AtomicU64::new(0),
            active: Mutex::new(Instant::now()),
            roused: Notify::new(),
            watch: Mutex::default(),
        }
    }
}

impl GroupSleep {
    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        changed.is_ok()
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::SeqCst)
    }

    /// Whether heartbeats are sent.
    pub(crate) fn beats(&self) -> bool {
        self.state() != ASLEEP
    }

    /// Whether a quorum has to confirm the leader before it proposes anything.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state(), ASLEEP | ROUSING)
    }

    /// For how long nothing was asked of the group.
    pub(crate) fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.active.lock())
    }

    /// Something was asked of the group.
    pub(crate) fn touch(&self) {
        *self.active.lock() = Instant::now();
    }

    /// The group has another leader, or none: nobody is watched.
    pub(crate) fn forget_watch(&self) {
        *self.watch.lock() = None;
    }

    /// When the node that the group sleeps under was last heard, in this term.
    pub(crate) fn heard(&self, term: u64) -> Option<Instant> {
        let watch = self.watch.lock();
        let (of_term, watch) = watch.as_ref()?;
        (*of_term == term).then(|| *watch.heard.lock())
    }
}

/// A node that leads sleeping groups which have a member here.
pub(crate) struct Watch {
    version: AtomicU64,
    heard: Mutex<Instant>,
    groups: Mutex<BTreeSet<u32>>,
}

/// A node that has members of sleeping groups which this one leads.
struct Follower {
    member: Member,
    list: Vec<(u32, u64, u64)>,
    /// The newest version that it has.
    acknowledged: u64,
    /// When it answered last, or was told first.
    heard: Instant,
}

#[derive(Default)]
struct Lists {
    version: u64,
    followers: BTreeMap<u64, Follower>,
}

/// The node's part.
pub(crate) struct Sleeper {
    links: Arc<Links>,
    after: Duration,
    answer_wait: Duration,
    /// Raised with each change of what sleeps.
    version: AtomicU64,
    lists: Mutex<Lists>,
    /// Groups that a follower will not let sleep.
    refused: Mutex<BTreeSet<u32>>,
    watches: Mutex<HashMap<u64, Arc<Watch>>>,
}

impl Sleeper {
    /// Groups sleep `after` they were last asked for something.
    pub(crate) fn new(links: Arc<Links>, after: Duration, answer_wait: Duration) -> Self {
        Self {
            links,
            after,
            answer_wait,
            version: AtomicU64::new(0),
            lists: Mutex::default(),
            refused: Mutex::default(),
            watches: Mutex::default(),
        }
    }

    /// A node sent something that has nothing to do with sleep.
    pub(crate) fn heard_node(&self, node: u64) {
        if let Some(watch) = self.watches.lock().get(&node) {
            *watch.heard.lock() = Instant::now();
        }
    }

    fn raise_version(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A group is awake: it leaves the list with the next beat.
    pub(crate) fn wake(&self, group: &Group) {
        group.sleep.touch();
        if group.sleep.state.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            self.raise_version();
        }
        group.sleep.roused.notify_waiters();
    }

    /// Lets groups fall asleep, and tells followers that this node lives.
    pub(crate) fn beat(self: &Arc<Self>, leading: &[Arc<Group>]) {
        let now = Instant::now();
        let refused = std::mem::take(&mut *self.refused.lock());
        let unwelcome = leading.iter().filter(|group| refused.contains(&group.id));
        unwelcome.for_each(|group| self.wake(group));
        for group in leading {
            let quiet = group.sleep.quiet(now);
            if quiet < self.after || group.sleep.state() != AWAKE || !group.is_at_rest() {
                continue;
            }
            let listed_at = self.raise_version();
            group.sleep.listed_at.store(listed_at, Ordering::SeqCst);
            group.sleep.change(AWAKE, DROWSY);
        }
        let mut lists = self.lists.lock();
        self.rebuild(&mut lists, leading);
        for group in leading {
            if group.sleep.state() == DROWSY && self.is_watched(&lists, group, now) {
                group.sleep.change(DROWSY, ASLEEP);
            }
        }
        let version = lists.version;
        lists.followers.retain(|_, follower| {
            let told = follower.acknowledged == version || self.is_away(follower, now);
            let done = follower.list.is_empty() && told;
            if !done {
                self.tell(follower, version);
            }
            !done
        });
    }

    fn is_away(&self, follower: &Follower, now: Instant) -> bool {
        now.saturating_duration_since(follower.heard) > self.after
    }

    /// Whether all members that can be reached have the group on their list, and a majority does.
    fn is_watched(&self, lists: &Lists, group: &Group, now: Instant) -> bool {
        let listed_at = group.sleep.listed_at.load(Ordering::SeqCst);
        let mut with = BTreeSet::from([group.node]);
        for member in group.other_members() {
            match lists.followers.get(&member.node) {
                Some(follower) if follower.acknowledged >= listed_at => {
                    with.insert(member.node);
                }
                Some(follower) if self.is_away(follower, now) => {}
                _ => return false,
            }
        }
        let sets = group.members.lock().voter_sets();
        sets.iter().all(|voters| {
            let watching = voters.iter().filter(|voter| with.contains(voter));
            watching.count() > voters.len() / 2
        })
    }

    fn rebuild(&self, lists: &mut Lists, leading: &[Arc<Group>]) {
        let version = self.version.load(Ordering::SeqCst);
        if version == lists.version {
            return;
        }
        lists.version = version;
        let followers = &mut lists.followers;
        followers.values_mut().for_each(|it| it.list.clear());
        for group in leading {
            let Some(term) = group.lease.leading_term() else {
                continue;
            };
            if !matches!(group.sleep.state(), DROWSY | ASLEEP) {
                continue;
            }
            let last = group.log.state().next_index.saturating_sub(1);
            for member in group.other_members() {
                let follower = followers.entry(member.node).or_insert_with(|| Follower {
                    member,
                    list: Vec::new(),
                    acknowledged: 0,
                    heard: Instant::now(),
                });
                follower.list.push((group.id, term, last));
            }
        }
    }

    fn tell(self: &Arc<Self>, follower: &Follower, version: u64) {
        let short = follower.acknowledged == version;
        let mut body = BytesMut::new();
        body.put_u8(if short { SHORT } else { FULL });
        body.put_u64_le(version);
        if !short {
            for (group, term, last) in &follower.list {
                body.put_u32_le(*group);
                body.put_u64_le(*term);
                body.put_u64_le(*last);
            }
        }
        let node = follower.member.node;
        let answer = self
            .links
            .call(&follower.member, method::SLEEP, body.freeze());
        let (sleeper, wait) = (self.clone(), self.answer_wait);
        spawn(async move {
            // A node that does not answer is told again with the next beat.
            if let Ok(Ok(answer)) = timeout(wait, answer).await {
                sleeper.answered(node, version, answer);
            }
        });
    }

    fn answered(&self, node: u64, version: u64, mut answer: Bytes) {
        let known = answer.try_get_u8() == Ok(KNOWN);
        let mut refused = BTreeSet::new();
        while let Ok(group) = answer.try_get_u32_le() {
            refused.insert(group);
        }
        let mut lists = self.lists.lock();
        let Some(follower) = lists.followers.get_mut(&node) else {
            return;
        };
        follower.heard = Instant::now();
        follower.acknowledged = if known {
            follower.acknowledged.max(version)
        } else {
            0
        };
        drop(lists);
        if !refused.is_empty() {
            self.refused.lock().extend(refused);
        }
    }
}

/// Wakes the group at its leader, and waits until a quorum has confirmed that; nothing happens to
/// one that is awake.
pub(crate) async fn rouse(group: &Arc<Group>) {
    let sleep = &group.sleep;
    sleep.touch();
    let sleeper = group.sleeper();
    if sleep.change(DROWSY, AWAKE) {
        sleeper.raise_version();
        return;
    }
    if sleep.change(ASLEEP, ROUSING) {
        sleeper.raise_version();
        // On a task of its own: whoever asked may no longer wait.
        spawn(confirm(group.clone()));
    }
    loop {
        let roused = sleep.roused.notified();
        tokio::pin!(roused);
        roused.as_mut().enable();
        if sleep.state() != ROUSING {
            return;
        }
        roused.await;
    }
}

async fn confirm(group: Arc<Group>) {
    if let Some(raft) = group.raft() {
        let confirmed = raft.get_read_linearizer(ReadPolicy::ReadIndex);
        // Without a quorum what follows is refused as it is for any leader.
        if !matches!(timeout(ROUSE_WAIT, confirmed).await, Ok(Ok(_))) {
            tracing::debug!(group = group.id, "no quorum when it was to be woken");
        }
    }
    group.sleep.change(ROUSING, AWAKE);
    group.sleep.roused.notify_waiters();
}

/// Node `from` says that it lives, and which sleeping groups it leads.
pub(crate) fn take(shared: &Arc<Shared>, from: u64, mut body: Bytes) -> Result<Bytes, EngineError> {
    let malformed = || EngineError::MalformedFrame(format!("a list of node {from}"));
    if body.len() < HEAD_BYTES {
        return Err(malformed());
    }
    let (kind, version) = (body.get_u8(), body.get_u64_le());
    let mut watches = shared.sleeper.watches.lock();
    if kind == SHORT {
        let known = watches.get(&from).filter(|watch| {
            let same = watch.version.load(Ordering::SeqCst) == version;
            same.then(|| *watch.heard.lock() = Instant::now()).is_some()
        });
        let answer = if known.is_some() { KNOWN } else { UNKNOWN };
        return Ok(Bytes::copy_from_slice(&[answer]));
    }
    if !body.len().is_multiple_of(ENTRY_BYTES) {
        return Err(malformed());
    }
    let watch = Arc::new(Watch {
        version: AtomicU64::new(version),
        heard: Mutex::new(Instant::now()),
        groups: Mutex::default(),
    });
    let before = watches.insert(from, watch.clone());
    drop(watches);
    let mut answer = BytesMut::from(&[KNOWN][..]);
    while body.has_remaining() {
        let (id, term, last) = (body.get_u32_le(), body.get_u64_le(), body.get_u64_le());
        match shared.find(id).filter(|it| it.follows(from, term, last)) {
            Some(group) => {
                *group.sleep.watch.lock() = Some((term, watch.clone()));
                watch.groups.lock().insert(id);
            }
            None => answer.put_u32_le(id),
        }
    }
    let before = before.map(|before| std::mem::take(&mut *before.groups.lock()));
    let sleeping = watch.groups.lock().clone();
    for id in before.unwrap_or_default().difference(&sleeping) {
        if let Some(group) = shared.find(*id) {
            // Its leader is given the time of one that was just heard.
            group.heard_at_least(Instant::now());
            group.sleep.forget_watch();
        }
    }
    Ok(answer.freeze())
}
