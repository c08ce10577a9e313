//! The types with which openraft is used here.

use std::fmt;

use bytes::Bytes;
use openraft::impls::{BoxedErrorSource, InlineBatch, leader_id_adv};
use openraft::raft::responder::Responder;
use openraft::{BasicNode, EntryPayload, OptionalSend, RaftTypeConfig};

use crate::raft::codec::STORED_HEADER_BYTES;
use crate::raft::runtime::EngineRuntime;
use crate::raft::state_machine::StateMachine;

/// What openraft's generic types are filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Commands;
    type R = ();
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Commands, u64, BasicNode>;
    type Entry = openraft::Entry<Self::LeaderId, Self::Payload>;
    type AsyncRuntime = EngineRuntime;
    type Responder<T>
        = Callback<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// A group's handle.
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
/// Identifies an entry.
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
/// A vote.
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
/// An entry of the log.
pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
/// What an entry carries.
pub(crate) type Payload = openraft::type_config::alias::PayloadOf<TypeConfig>;
/// The members of a group.
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
/// The members of a group, and the entry that says so.
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot stands for.
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;

/// The commands of one entry, in their stored form: behind room for the header that
/// [`codec`](crate::raft::codec) writes once the entry's place in the log is known.
#[derive(PartialEq, Eq)]
pub struct Commands(pub(crate) Bytes);

impl Commands {
    /// The entry as the host is given it.
    pub(crate) fn entry(&self) -> Bytes {
        self.0.slice(STORED_HEADER_BYTES..)
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Commands({} bytes)", self.0.len())
    }
}

impl fmt::Display for Commands {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Hands a result of openraft to a function. Dropped unused when a group stops.
pub struct Callback<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Callback<T> {
    /// Calls `function` with the result.
    pub(crate) fn new(function: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(function))
    }
}

impl<T> Responder<TypeConfig, T> for Callback<T>
where
    T: OptionalSend + 'static,
{
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
