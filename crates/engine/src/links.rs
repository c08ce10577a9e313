//! What all groups of an engine share of the way to other nodes, and what engines ask each other
//! beside Raft's requests.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::group::Group;
use crate::limits::CREATE_MEMBER_INTERVAL;
use crate::network::{Answer, LogId, Member, PeerError, Peers, Pieces, Request, Response};
use crate::raft::wire::log_id_out;
use crate::world::spawn;

/// Methods of calls between engines.
pub(crate) mod method {
    /// A leader has a member here that this node does not know: group, descriptor.
    pub(crate) const CREATE_MEMBER: u32 = 1;
    /// The receiving node was removed from a group: group, membership.
    pub(crate) const REMOVED: u32 = 2;
    /// Commands for a group that the receiving node leads: an entry, with its group before it.
    pub(crate) const COMMANDS: u32 = 3;
    /// Something that hosts say to each other.
    pub(crate) const HOST: u32 = 4;
    /// The sender lives, and leads sleeping groups: a version, and what it stands for.
    pub(crate) const SLEEP: u32 = 5;
    /// Whether the receiving node's member could lead: a group.
    pub(crate) const COULD_LEAD: u32 = 6;
}

/// Something that a message said and that the engine has to see to.
#[derive(Debug)]
pub(crate) enum Errand {
    /// This node is no member of the group any more.
    Removed {
        group: u32,
        membership: Option<LogId>,
    },
}

/// See the module.
pub(crate) struct Links {
    peers: OnceLock<Arc<dyn Peers>>,
    asked: Mutex<HashMap<(u32, u64), Instant>>,
    errands: mpsc::UnboundedSender<Errand>,
}

fn alone<T: Send + 'static>() -> Answer<T> {
    let error = PeerError::NotSent("this engine has no way to other nodes".into());
    std::future::ready(Err(error)).boxed()
}

impl Links {
    /// No way yet. The receiver hears of what has to be seen to.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Errand>) {
        let (errands, receiver) = mpsc::unbounded_channel();
        let links = Self {
            peers: OnceLock::new(),
            asked: Mutex::default(),
            errands,
        };
        (links, receiver)
    }

    /// Sets the way; whether it was the first one.
    pub(crate) fn connect(&self, peers: Arc<dyn Peers>) -> bool {
        self.peers.set(peers).is_ok()
    }

    /// Queues a request.
    pub(crate) fn request(&self, to: &Member, group: u32, request: Request) -> Answer<Response> {
        let peers = self.peers.get();
        peers.map_or_else(alone, |peers| peers.request(to, group, request))
    }

    /// Sends a snapshot.
    pub(crate) fn snapshot(&self, to: &Member, header: Bytes, pieces: Pieces) -> Answer<Bytes> {
        match self.peers.get() {
            Some(peers) => peers.snapshot(to, header, pieces),
            None => alone(),
        }
    }

    /// Asks a node's engine something.
    pub(crate) fn call(&self, to: &Member, method: u32, body: Bytes) -> Answer<Bytes> {
        let peers = self.peers.get();
        peers.map_or_else(alone, |peers| peers.call(to, method, body))
    }

    /// Asks a node to create the member that it does not know, unless that was done just now.
    pub(crate) fn create_member(&self, group: &Group, to: &Member) {
        let now = Instant::now();
        {
            let mut asked = self.asked.lock();
            asked.retain(|_, at| now.duration_since(*at) < CREATE_MEMBER_INTERVAL);
            if asked.contains_key(&(group.id, to.node)) {
                return;
            }
            asked.insert((group.id, to.node), now);
        }
        let Some(descriptor) = group.log.state().descriptor else {
            return;
        };
        let membership = group.members.lock().effective().and_then(|it| *it.log_id());
        let mut body = BytesMut::new();
        body.put_u32_le(group.id);
        put_log_id(&mut body, membership.as_ref().map(log_id_out));
        body.put_slice(&descriptor);
        let answer = self.call(to, method::CREATE_MEMBER, body.freeze());
        // Whether it worked is seen at the next request.
        spawn(answer.map(drop));
    }

    /// Tells a node that it is no member any more.
    pub(crate) fn tell_removed(&self, group: u32, to: &Member, membership: Option<LogId>) {
        let mut body = BytesMut::new();
        body.put_u32_le(group);
        put_log_id(&mut body, membership);
        // A node that does not hear it is told when it stands for election.
        spawn(self.call(to, method::REMOVED, body.freeze()).map(drop));
    }

    /// Another node said that this one is no member any more.
    pub(crate) fn removed(&self, group: &Group, membership: Option<LogId>) {
        self.removed_by(group.id, membership);
    }

    /// As `removed`, by the group's number.
    pub(crate) fn removed_by(&self, group: u32, membership: Option<LogId>) {
        // The engine is gone when nobody takes it.
        drop(self.errands.send(Errand::Removed { group, membership }));
    }
}

fn put_log_id(into: &mut BytesMut, log_id: Option<LogId>) {
    into.put_u8(u8::from(log_id.is_some()));
    let log_id = log_id.unwrap_or_default();
    into.put_u64_le(log_id.term);
    into.put_u64_le(log_id.node);
    into.put_u64_le(log_id.index);
}

/// Reads a group's number and a log id from the head of a call's body.
pub(crate) fn get_head(body: &mut Bytes) -> Option<(u32, Option<LogId>)> {
    if body.remaining() < 29 {
        return None;
    }
    let group = body.get_u32_le();
    let some = body.get_u8() == 1;
    let log_id = LogId {
        term: body.get_u64_le(),
        node: body.get_u64_le(),
        index: body.get_u64_le(),
    };
    Some((group, some.then_some(log_id)))
}
