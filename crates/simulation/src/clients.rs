//! The clients of a process: they call commands and read, and tell what they were answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raft_kv_engine::LEASE_FOREVER;

use crate::facts::Fact;
use crate::machine::{Op, frame};
use crate::node::Process;

/// One unit of a lease slot.
const LEASE_TICK: Duration = Duration::from_millis(32);

#[derive(Clone, Copy, Debug)]
struct Reading {
    group: u32,
    key: u32,
}

/// What a client knows of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Acknowledged,
    Refused,
    Unknown,
}

/// See the module.
#[derive(Default)]
pub struct Clients {
    requests: AtomicU64,
    /// By request: the command, and its group.
    commands: Mutex<BTreeMap<u64, (Op, u32)>>,
    reads: Mutex<BTreeMap<u64, Reading>>,
    answers: Mutex<BTreeMap<Op, Answer>>,
}

impl Clients {
    /// Calls a command.
    pub fn command(&self, process: &Arc<Process>, op: Op, group: u32, key: u32, filling: usize) {
        let request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        process.tell(Fact::Invoked { op, group, key });
        process.note(format_args!("command {op} for group {group}"));
        self.commands.lock().insert(request, (op, group));
        let frame = frame(group, request as u32, key, op, filling);
        if process.engine.submit(&frame, 0).is_err() {
            self.refused(process, request, false);
        }
    }

    /// The host was given an entry with a command of this process.
    pub fn applied(&self, process: &Arc<Process>, request: u64) {
        let removed = self.commands.lock().remove(&request);
        if let Some((op, _)) = removed {
            process.tell(Fact::Acknowledged { op });
            process.note(format_args!("command {op} is acknowledged"));
            self.answers.lock().insert(op, Answer::Acknowledged);
        }
    }

    /// The engine says that a command was not applied, or that it does not know.
    pub fn refused(&self, process: &Arc<Process>, request: u64, unknown: bool) {
        let removed = self.commands.lock().remove(&request);
        let Some((op, _)) = removed else {
            return;
        };
        if !unknown {
            process.tell(Fact::Refused { op });
        }
        process.note(format_args!("command {op} is refused, unknown: {unknown}"));
        let answer = if unknown {
            Answer::Unknown
        } else {
            Answer::Refused
        };
        self.answers.lock().insert(op, answer);
    }

    /// This node's replica is gone, and with it the entries through which answers were to come. A
    /// real host asks for them again.
    pub fn removed(&self, process: &Arc<Process>, group: u32) {
        let commands = self.commands.lock();
        let waiting = commands.iter().filter(|(_, (_, of))| *of == group);
        let waiting: Vec<u64> = waiting.map(|(request, _)| *request).collect();
        drop(commands);
        for request in waiting {
            self.refused(process, request, true);
        }
    }

    /// What became of a command.
    pub fn answer(&self, op: Op) -> Option<Answer> {
        self.answers.lock().get(&op).copied()
    }

    /// Reads at once if a lease allows it: as hosts do, without a word to the engine.
    pub fn read_leased(&self, process: &Arc<Process>, read: u64, group: u32, key: u32) {
        let slot = process.groups.slots.lock().get(&group).copied();
        if slot.is_some_and(|slot| self.may_answer(process, group, slot)) {
            process.tell(Fact::ReadBegun { read, group, key });
            self.answer_read(process, read, Reading { group, key }, true);
        }
    }

    fn may_answer(&self, process: &Arc<Process>, group: u32, slot: u32) -> bool {
        let slots = process.engine.lease_slots();
        let until = slots[slot as usize].load(Ordering::SeqCst);
        let told = slots[slots.len() / 2 + slot as usize].load(Ordering::SeqCst);
        let machines = process.groups.machines.lock();
        let applied = machines.get(&group).map_or(0, |machine| machine.index);
        let runs = until == LEASE_FOREVER
            || (until > 0 && process.engine.lease_clock() < LEASE_TICK * until as u32);
        runs && (applied as i32).wrapping_sub(told) >= 0
    }

    /// Reads once a quorum has confirmed who leads.
    pub fn read_confirmed(&self, process: &Arc<Process>, read: u64, group: u32, key: u32) {
        process.tell(Fact::ReadBegun { read, group, key });
        self.reads.lock().insert(read, Reading { group, key });
        let process = process.clone();
        drop(tokio::spawn(async move {
            if process.engine.read_index(group, read).await.is_err() {
                process.clients.reads.lock().remove(&read);
            }
        }));
    }

    /// The read may be answered now.
    pub fn read_ready(&self, process: &Arc<Process>, read: u64) {
        let reading = self.reads.lock().remove(&read);
        if let Some(reading) = reading {
            self.answer_read(process, read, reading, false);
        }
    }

    fn answer_read(&self, process: &Arc<Process>, read: u64, reading: Reading, leased: bool) {
        let machines = process.groups.machines.lock();
        let machine = machines.get(&reading.group);
        let list = machine.and_then(|machine| machine.keys.get(&reading.key));
        let (length, last) = list.map_or((0, None), |list| (list.len(), list.last().copied()));
        drop(machines);
        process.tell(Fact::Read {
            read,
            place: process.way.place,
            length,
            last,
            leased,
        });
    }
}
