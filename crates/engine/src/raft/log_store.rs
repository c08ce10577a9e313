//! A group's log as openraft wants it, on the journal.
//!
//! Appending returns at once; openraft is told from the journal's thread once the entries are
//! durable. The journal is one queue for all groups, so votes and entries are never reordered.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use raft_kv_journal::{Completion, GroupLog, JournalError};
use tokio::sync::oneshot;

use crate::error::io_error;
use crate::group::Group;
use crate::limits::{LOG_READ_BYTES_MAX, REPLICATION_BYTES_MAX};
use crate::raft::codec::{decode_entry, decode_log_id, encode_entry, encode_log_id};
use crate::raft::remains::{decode_stored_vote, encode_stored_vote};
use crate::raft::types::{Entry, LogId, Payload, TypeConfig, Vote};
use crate::world::blocking;

/// Waits for a change of the journal to be durable.
pub(crate) async fn durable(change: impl FnOnce(Completion)) -> io::Result<()> {
    let (sender, receiver) = oneshot::channel();
    change(Box::new(move |result| drop(sender.send(result))));
    let result = receiver.await.unwrap_or(Err(JournalError::Closed));
    result.map_err(io_error)
}

fn purged(log: &GroupLog) -> io::Result<Option<LogId>> {
    let purged = log.state().purged;
    let log_id = purged
        .map(|(_, log_id)| decode_log_id(log_id))
        .transpose()?;
    Ok(log_id.flatten())
}

/// The last entry of a log, whether it is still there or was purged.
pub(crate) async fn last_log_id(log: &GroupLog) -> io::Result<Option<LogId>> {
    let state = log.state();
    if state.first_index >= state.next_index {
        return purged(log);
    }
    let log = log.clone();
    let last = blocking(move || log.last_entry())
        .await?
        .map_err(io_error)?;
    let last = last.map(decode_entry).transpose()?;
    Ok(last.map(|entry| entry.log_id))
}

/// Reads a group's log.
#[derive(Clone)]
pub(crate) struct LogReader {
    log: GroupLog,
    /// Entries below were there when the group was opened: they may have to be read from disk.
    stored_end: u64,
}

impl LogReader {
    /// Entries of the range, at least one if there is any, and all of them up to `bytes_max`.
    async fn read(&self, start: u64, end: u64, bytes_max: u64) -> io::Result<Vec<Bytes>> {
        let bytes_max = bytes_max as usize;
        if start >= self.stored_end {
            return self.log.entries(start..end, bytes_max).map_err(io_error);
        }
        let log = self.log.clone();
        let read = move || log.entries(start..end, bytes_max);
        blocking(read).await?.map_err(io_error)
    }

    async fn read_all(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = start;
        while next < end {
            let stored = self.read(next, end, LOG_READ_BYTES_MAX).await?;
            for stored in stored {
                entries.push(decode_entry(stored)?);
            }
            // Entries below the oldest one are left out of the answer, so its length says nothing.
            match entries.last() {
                Some(last) if last.log_id.index >= next => next = last.log_id.index + 1,
                _ => break,
            }
        }
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.log.state().next_index,
        };
        self.read_all(start, end).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.state().vote.map(decode_stored_vote).transpose()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let stored = self.read(start, end, REPLICATION_BYTES_MAX).await?;
        stored.into_iter().map(decode_entry).collect()
    }
}

/// A group's log.
pub(crate) struct LogStore {
    log: GroupLog,
    group: Arc<Group>,
    stored_end: u64,
}

impl LogStore {
    /// The log of `group`.
    pub(crate) fn new(group: Arc<Group>) -> Self {
        let log = group.log.clone();
        let stored_end = log.state().next_index;
        Self {
            log,
            group,
            stored_end,
        }
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        // It goes with openraft's core, whatever ended that: nobody leads the group here any more.
        self.group.lease.follow();
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        Ok(LogState {
            last_purged_log_id: purged(&self.log)?,
            last_log_id: last_log_id(&self.log).await?,
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader {
            log: self.log.clone(),
            stored_end: self.stored_end,
        }
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let leads = vote.is_committed() && vote.leader_id().node_id == self.group.node;
        if !leads {
            // A vote for another may let it lead from the moment it is given.
            self.group.follow(vote);
        }
        let stored = encode_stored_vote(vote, self.group.floor().as_ref());
        durable(|done| self.log.save_vote(stored, done)).await?;
        if leads {
            self.group.lead(vote.leader_id().term);
        }
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.save_committed(encode_log_id(committed.as_ref()));
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        if !self.group.bound {
            return Ok(None);
        }
        Ok(self
            .log
            .state()
            .committed
            .map(decode_log_id)
            .transpose()?
            .flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut entries = entries.into_iter().peekable();
        let Some(first) = entries.peek().map(|entry| entry.log_id.index) else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let group = &self.group;
        let entries = entries.map(|entry| {
            group.caught_up_with(&entry.log_id);
            if let Payload::Membership(membership) = &entry.payload {
                group.append_members(entry.log_id, membership.clone());
            }
            encode_entry(entry)
        });
        let done = move |result: Result<(), JournalError>| {
            callback.io_completed(result.map_err(io_error));
        };
        self.log.append(first, entries.collect(), Box::new(done));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let last_index = last_log_id.map(|log_id| log_id.index);
        self.group.truncate_members(last_index);
        durable(|done| self.log.truncate_after(last_index, done)).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        // Nothing depends on when it is durable; a failure reaches the engine from the journal.
        self.log
            .purge(log_id.index, encode_log_id(Some(&log_id)), Box::new(drop));
        Ok(())
    }
}
