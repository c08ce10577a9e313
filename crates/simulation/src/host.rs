//! The host of a process: takes what its engine has for it, keeps the states, and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use parking_lot::Mutex;
use raft_kv_engine::StateMachineHost;
use tokio::sync::Notify;

use crate::facts::Fact;
use crate::machine::{Machine, commands_of, number, word};
use crate::node::Process;
use crate::trace::hash_of;

/// Bytes of events that are taken at a time.
const DRAINED_BYTES: usize = 16 * 1024;

/// Bytes of a snapshot's piece.
const PIECE_BYTES: usize = 1000;

/// What an engine knows of its host.
#[derive(Default)]
pub struct Bell(pub Arc<Notify>);

impl StateMachineHost for Bell {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// What a host keeps of its groups.
#[derive(Default)]
pub struct Groups {
    pub machines: Mutex<BTreeMap<u32, Machine>>,
    installing: Mutex<BTreeMap<u32, Vec<u8>>>,
    /// Lease slots of the groups that are open with their code.
    pub slots: Mutex<BTreeMap<u32, u32>>,
}

/// Takes events as long as the process lives.
pub async fn serve(process: Arc<Process>, bell: Arc<Notify>) {
    let mut bytes = Vec::new();
    loop {
        bell.notified().await;
        let busy = process.busy();
        if !busy.is_zero() {
            tokio::time::sleep(busy).await;
        }
        loop {
            bytes.clear();
            let more = process.engine.drain(&mut bytes, DRAINED_BYTES);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (event, later) = rest.split_at(word(rest, 0) as usize);
                rest = later;
                take(&process, event);
            }
            if !more {
                break;
            }
        }
    }
}

fn take(process: &Arc<Process>, event: &[u8]) {
    let (kind, group) = (word(event, 4), word(event, 8));
    match kind {
        1 => apply(process, group, event),
        2 => process.note(format_args!(
            "group {group}: leader {} in term {}",
            process.place_of(number(event, 12)),
            number(event, 20)
        )),
        3 => lead(process, group, number(event, 12)),
        4 => give_snapshot(process, group, number(event, 12)),
        5 => {
            process.note(format_args!("group {group}: a snapshot is installed"));
            process.groups.installing.lock().insert(group, Vec::new());
        }
        6 => {
            let bytes = &event[16..16 + word(event, 12) as usize];
            let mut installing = process.groups.installing.lock();
            installing.entry(group).or_default().extend(bytes);
        }
        7 => installed(process, group),
        8 => refused(process, event),
        9 => {
            process.note(format_args!("the storage failed"));
            process.failed.store(true, Ordering::SeqCst);
        }
        12 => process.clients.read_ready(process, number(event, 12)),
        13 => process.bind(group),
        14 => {
            process.note(format_args!("group {group}: removed here"));
            process.groups.machines.lock().remove(&group);
            process.groups.slots.lock().remove(&group);
            process.clients.removed(process, group);
            process.send_elsewhere(group);
        }
        15 => {
            let results = requests_of(&event[28..]);
            process
                .engine
                .give_results(number(event, 12), results.into());
        }
        16 => {
            let results = &event[16..16 + word(event, 12) as usize];
            for request in results.chunks_exact(8) {
                process.clients.applied(process, number(request, 0));
            }
        }
        20 => pass(process, group, number(event, 12)),
        _ => {}
    }
}

/// What this host calls the results of an entry: the request numbers of its commands.
fn requests_of(entry: &[u8]) -> Vec<u8> {
    let commands = commands_of(entry);
    commands
        .iter()
        .flat_map(|it| it.request.to_le_bytes())
        .collect()
}

fn apply(process: &Arc<Process>, group: u32, event: &[u8]) {
    let (index, term, entry) = (number(event, 12), number(event, 20), &event[28..]);
    let commands = commands_of(entry);
    let known_term = process
        .engine
        .inspect(group, u64::MAX)
        .map_or(term, |it| it.term);
    let hash = hash_of(entry);
    let chain = {
        let mut machines = process.groups.machines.lock();
        let machine = machines.entry(group).or_default();
        in_order(process, group, machine.index, index);
        machine.apply(index, entry, &commands);
        machine.chain
    };
    process.note(format_args!(
        "group {group}: entry {index} of term {term}, {} commands, {hash:x}",
        commands.len()
    ));
    process.tell(Fact::Applied {
        group,
        index,
        term,
        known_term: known_term.max(term),
        hash,
        ops: commands.iter().map(|it| (it.key, it.op)).collect(),
    });
    process.tell(Fact::State {
        place: process.way.place,
        group,
        index,
        chain,
    });
    for command in commands {
        let ours = (process.node, process.incarnation) == (command.node, command.incarnation);
        if ours {
            process.clients.applied(process, command.request);
        }
    }
}

fn in_order(process: &Arc<Process>, group: u32, last: u64, index: u64) {
    if index != last + 1 && (last, index) != (0, 0) {
        let what = format!("group {group}: entry {index} was given after {last}");
        process.tell(Fact::Wrong { what });
    }
}

fn pass(process: &Arc<Process>, group: u32, index: u64) {
    let mut machines = process.groups.machines.lock();
    let machine = machines.entry(group).or_default();
    in_order(process, group, machine.index, index);
    machine.pass(index);
    let chain = machine.chain;
    drop(machines);
    process.tell(Fact::Passed { group, index });
    process.tell(Fact::State {
        place: process.way.place,
        group,
        index,
        chain,
    });
}

fn lead(process: &Arc<Process>, group: u32, term: u64) {
    process.note(format_args!("group {group}: leads in term {term}"));
    process.tell(Fact::Led {
        place: process.way.place,
        boot: process.way.boot,
        group,
        term,
    });
    process.engine.host_ready(group, term);
}

fn give_snapshot(process: &Arc<Process>, group: u32, snapshot: u64) {
    let machine = process.groups.machines.lock().get(&group).cloned();
    let machine = machine.unwrap_or_default();
    process.note(format_args!(
        "group {group}: snapshot {snapshot} up to {}",
        machine.index
    ));
    for piece in machine.encode().chunks(PIECE_BYTES) {
        // The engine says when nobody wants the snapshot any more.
        drop(process.engine.snapshot_piece(group, snapshot, piece));
    }
    process.engine.finish_snapshot(group, snapshot);
}

fn installed(process: &Arc<Process>, group: u32) {
    let bytes = process.groups.installing.lock().remove(&group);
    let Some(machine) = Machine::decode(&bytes.unwrap_or_default()) else {
        let what = format!("group {group}: a snapshot came in that is not whole");
        return process.tell(Fact::Wrong { what });
    };
    process.tell(Fact::State {
        place: process.way.place,
        group,
        index: machine.index,
        chain: machine.chain,
    });
    process.groups.machines.lock().insert(group, machine);
}

fn refused(process: &Arc<Process>, event: &[u8]) {
    let count = word(event, 16) as usize;
    for position in 0..count {
        let request = number(event, 28 + 8 * position);
        let unknown = word(event, 28 + 8 * count + 4 * position) == 1;
        process.clients.refused(process, request, unknown);
    }
}

impl Process {
    /// Opens a group with its code, on a task of its own.
    pub fn bind(self: &Arc<Self>, group: u32) {
        let process = self.clone();
        let binding = async move {
            match process.engine.bind_group(group).await {
                Ok(slot) => drop(process.groups.slots.lock().insert(group, slot)),
                Err(error) => process.note(format_args!("group {group}: not bound: {error}")),
            }
        };
        drop(tokio::spawn(binding.boxed()));
    }

    /// Has commands for a group without a member here sent to all others.
    pub fn send_elsewhere(self: &Arc<Self>, group: u32) {
        let process = self.clone();
        let telling = async move {
            let members = process.everyone();
            drop(process.engine.set_members_elsewhere(group, members).await);
        };
        drop(tokio::spawn(telling.boxed()));
    }
}
