//! Frames of commands on their way to the groups: checked as a whole, taken as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use raft_kv_routing::KeyHash;

use crate::batching::{Origin, Session};
use crate::error::EngineError;
use crate::events::Reason;
use crate::frames::{Record, Records, Route};
use crate::group::Group;
use crate::options::EngineOptions;
use crate::proposer::Proposer;
use crate::routes::{Keyspaces, Routes};
use crate::statistics::Counters;

/// The groups that are open, by their numbers.
pub(crate) type Groups = HashMap<u32, Arc<Group>>;

/// Marks a record whose group is not here.
const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Target {
    /// Position in the frame's groups, or [`NOWHERE`].
    position: u32,
    hash: Option<KeyHash>,
}

/// What one frame needs while it is taken; kept for the next one.
#[derive(Default)]
struct Scratch {
    targets: Vec<Target>,
    groups: Vec<Arc<Group>>,
    positions: HashMap<u32, u32>,
}

impl Scratch {
    fn clear(&mut self) {
        self.targets.clear();
        self.groups.clear();
        self.positions.clear();
    }

    fn position(&mut self, id: u32, groups: &Groups) -> u32 {
        if let Some(position) = self.positions.get(&id) {
            return *position;
        }
        let position = groups.get(&id).map_or(NOWHERE, |group| {
            self.groups.push(group.clone());
            (self.groups.len() - 1) as u32
        });
        self.positions.insert(id, position);
        position
    }
}

/// See the module.
pub(crate) struct Submission {
    scratch: Mutex<Scratch>,
    session: Session,
    proposer: Arc<Proposer>,
    counters: Arc<Counters>,
    commands_max: u64,
    bytes_max: u64,
}

impl Submission {
    /// Takes the commands of one session, up to these limits.
    pub(crate) fn new(
        session: Session,
        proposer: Arc<Proposer>,
        counters: Arc<Counters>,
        options: &EngineOptions,
    ) -> Self {
        Self {
            scratch: Mutex::default(),
            session,
            proposer,
            counters,
            commands_max: options.pending_commands_max as u64,
            bytes_max: options.pending_bytes_max as u64,
        }
    }

    /// Takes a frame. Commands whose group is not here are refused by an event.
    pub(crate) fn submit(
        &self,
        frame: &[u8],
        acknowledged: u64,
        groups: &Groups,
        routes: &Routes,
    ) -> Result<(), EngineError> {
        let mut scratch = self.scratch.lock();
        scratch.clear();
        find(&mut scratch, frame, acknowledged, groups, &routes.read())?;
        let commands = scratch.targets.len() as u64;
        self.reserve(commands, frame.len() as u64)?;
        self.counters
            .commands
            .fetch_add(commands, Ordering::Relaxed);
        self.distribute(&scratch, frame, acknowledged);
        scratch.clear();
        Ok(())
    }

    fn reserve(&self, commands: u64, bytes: u64) -> Result<(), EngineError> {
        let counters = &self.counters;
        // Only this adds, under the lock of the scratch, so what is free can only grow meanwhile.
        let pending_commands = counters.pending_commands.load(Ordering::SeqCst);
        let pending_bytes = counters.pending_bytes.load(Ordering::SeqCst);
        if pending_commands + commands > self.commands_max || pending_bytes + bytes > self.bytes_max
        {
            return Err(EngineError::Overloaded(format!(
                "{pending_commands} with {pending_bytes} bytes"
            )));
        }
        counters
            .pending_commands
            .fetch_add(commands, Ordering::SeqCst);
        counters.pending_bytes.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn distribute(&self, scratch: &Scratch, frame: &[u8], acknowledged: u64) {
        // The frame was checked, so every record is there.
        let mut records = Records::new(frame, acknowledged).flatten();
        let mut targets = scratch.targets.as_slice();
        while let Some(first) = targets.first() {
            let run = targets
                .iter()
                .take_while(|target| target.position == first.position)
                .count();
            let (now, later) = targets.split_at(run);
            targets = later;
            let records = records.by_ref().take(run).zip(now);
            match scratch.groups.get(first.position as usize) {
                Some(group) => self.give(group, acknowledged, records),
                None => self.refuse(0, records.map(|(record, _)| record)),
            }
        }
        self.proposer.wake();
    }

    fn give<'a>(
        &self,
        group: &Arc<Group>,
        acknowledged: u64,
        records: impl Iterator<Item = (Record<'a>, &'a Target)>,
    ) {
        let origin = Origin {
            session: self.session,
            acknowledged,
        };
        let mut intake = group.intake.lock();
        if intake.closed {
            drop(intake);
            return self.refuse(group.id, records.map(|(record, _)| record));
        }
        for (record, target) in records {
            let next_batch = || self.proposer.next_batch();
            intake
                .pending
                .push(&record, target.hash, origin, next_batch);
        }
        drop(intake);
        self.proposer.list(group);
    }

    fn refuse<'a>(&self, group: u32, records: impl Iterator<Item = Record<'a>>) {
        let mut bytes = 0;
        let counted = records.inspect(|record| bytes += record.bytes.len());
        let requests: Vec<u64> = counted.map(|record| record.request).collect();
        self.proposer.release(requests.len(), bytes);
        let failed = self.proposer.failure().is_some();
        let reason = if failed {
            Reason::StorageFailed
        } else {
            Reason::NoSuchGroup
        };
        self.proposer.refuse(group, reason, 0, requests, false);
    }
}

fn find(
    scratch: &mut Scratch,
    frame: &[u8],
    acknowledged: u64,
    groups: &Groups,
    keyspaces: &Keyspaces,
) -> Result<(), EngineError> {
    let mut last = None;
    for record in Records::new(frame, acknowledged) {
        let record = record.map_err(|error| EngineError::MalformedFrame(error.to_string()))?;
        let (id, hash) = match record.route {
            Route::Group(id) => (Some(id), None),
            Route::Keyspace(number) => match keyspaces.get(&number) {
                Some(keyspace) => {
                    let hash = keyspace.hash(record.key);
                    (keyspace.find(hash.hash), Some(hash))
                }
                None => (None, None),
            },
        };
        let position = match id {
            None => NOWHERE,
            Some(id) => match last {
                Some((last_id, position)) if last_id == id => position,
                _ => {
                    let position = scratch.position(id, groups);
                    last = Some((id, position));
                    position
                }
            },
        };
        scratch.targets.push(Target { position, hash });
    }
    Ok(())
}
