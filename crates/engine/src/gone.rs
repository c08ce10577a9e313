//! Groups that are no more, as the host says.
//!
//! A removed member leaves what it promised (`raft/remains.rs`), so that no late message brings it
//! back as one that promised nothing. Numbers of groups are given out in order and never used again,
//! so what the host says once, up to a number, holds for ever: of the groups below it, only these
//! exist. That takes the place of what all others left. What stays is bounded by the groups that
//! exist, and those that were removed since the host last spoke.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::RwLock;

use crate::engine::{Engine, Shared};
use crate::error::EngineError;
use crate::limits::EXISTING_GROUPS_MAX;
use crate::raft::log_store::durable;

/// Of the groups below a number, those that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    below: u32,
    /// In order.
    groups: Vec<u32>,
}

impl Existing {
    pub(crate) fn new(below: u32, mut groups: Vec<u32>) -> Self {
        groups.retain(|group| *group < below);
        groups.sort_unstable();
        groups.dedup();
        Self { below, groups }
    }

    /// Whether a group was there, and is no more.
    fn leaves_out(&self, group: u32) -> bool {
        group < self.below && self.groups.binary_search(&group).is_err()
    }

    /// With what was said at another time, earlier or later: a group that is gone stays so.
    fn and(&self, other: &Existing) -> Existing {
        let groups = self.groups.iter().chain(&other.groups);
        let exist = groups.filter(|group| !self.leaves_out(**group) && !other.leaves_out(**group));
        Existing::new(self.below.max(other.below), exist.copied().collect())
    }

    /// Appends it as it is stored: runs of numbers that follow each other.
    pub(crate) fn encode(&self, into: &mut BytesMut) {
        let runs = self.groups.chunk_by(|one, next| one + 1 == *next);
        into.put_u32_le(self.below);
        into.put_u32_le(runs.clone().count() as u32);
        for run in runs {
            into.put_u32_le(run[0]);
            into.put_u32_le(run.len() as u32);
        }
    }

    /// Reads what was stored; `None` when it is damaged.
    pub(crate) fn decode(from: &mut Bytes) -> Option<Self> {
        let (below, runs) = (from.try_get_u32_le().ok()?, from.try_get_u32_le().ok()?);
        if from.remaining() / 8 < runs as usize {
            return None;
        }
        let mut groups = Vec::new();
        for _ in 0..runs {
            let (first, length) = (from.get_u32_le(), from.get_u32_le());
            let end = first.checked_add(length).filter(|end| *end <= below)?;
            if groups.len() + length as usize > EXISTING_GROUPS_MAX {
                return None;
            }
            groups.extend(first..end);
        }
        Some(Existing::new(below, groups))
    }
}

/// What the host said last.
#[derive(Debug)]
pub(crate) struct GoneGroups(RwLock<Existing>);

impl GoneGroups {
    /// As it was stored.
    pub(crate) fn new(stored: Existing) -> Self {
        Self(RwLock::new(stored))
    }

    /// Whether the host said that a group is no more.
    pub(crate) fn contains(&self, group: u32) -> bool {
        self.0.read().leaves_out(group)
    }

    /// All of it.
    pub(crate) fn existing(&self) -> Existing {
        self.0.read().clone()
    }
}

impl Engine {
    /// Of all groups below a number, only `existing` exist; the others never come back, and what
    /// their members left here is forgotten. Durable when it returns. It may be said late, and again.
    pub async fn forget_removed(&self, below: u32, existing: Vec<u32>) -> Result<(), EngineError> {
        if existing.len() > EXISTING_GROUPS_MAX {
            let what = format!("more than {EXISTING_GROUPS_MAX} groups exist");
            return Err(EngineError::InvalidArgument(what));
        }
        let said = Existing::new(below, existing);
        self.run(forget_removed(self.0.clone(), said)).await
    }
}

async fn forget_removed(shared: std::sync::Arc<Shared>, said: Existing) -> Result<(), EngineError> {
    {
        let _settling = shared.settling.lock().await;
        shared.check_open()?;
        let known = shared.gone.existing();
        let both = known.and(&said);
        if both != known {
            *shared.gone.0.write() = both;
            shared.save_identity(shared.cluster()).await?;
        }
    }
    for id in shared.journal.left_over() {
        if !shared.gone.contains(id) {
            continue;
        }
        let _held = shared.locks.hold(id).await;
        let log = shared.journal.group(id);
        if log.state().descriptor.is_some() {
            // It is still here, and the host's to remove.
            continue;
        }
        let removed = durable(|done| log.remove(done)).await;
        removed.map_err(|error| {
            let stopped = shared.failure();
            stopped.unwrap_or_else(|| EngineError::StorageFailed(error.to_string()))
        })?;
        shared.opened.lock().remove(&id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_gone_stays_so_whatever_is_said_late() {
        let first = Existing::new(10, vec![7, 3, 3, 4, 12]);
        assert_eq!(first.groups, [3, 4, 7]);
        let gone = |existing: &Existing| (0..30).filter(|it| existing.leaves_out(*it)).count();
        assert_eq!(gone(&first), 7);
        let second = Existing::new(20, vec![4, 15, 11]);
        let both = first.and(&second);
        assert_eq!(both, Existing::new(20, vec![4, 11, 15]));
        assert_eq!(both.and(&first), both, "said late");
        assert_eq!(second.and(&first), both);
        assert_eq!(both.and(&Existing::default()), both);
    }

    #[test]
    fn is_stored_as_runs_and_read_back() {
        for groups in [
            vec![],
            vec![1],
            vec![1, 2, 3, 7, 9, 10],
            (0..100_000).collect(),
        ] {
            let existing = Existing::new(1_000_000, groups);
            let mut bytes = BytesMut::new();
            existing.encode(&mut bytes);
            assert!(bytes.len() <= 32);
            let stored = bytes.freeze();
            assert_eq!(Existing::decode(&mut stored.clone()), Some(existing));
            for length in 0..stored.len() {
                assert_eq!(Existing::decode(&mut stored.slice(..length)), None);
            }
        }
    }
}
