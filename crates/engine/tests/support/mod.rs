//! A host in Rust: it keeps, per group, the list of commands it was given, answers requests for
//! snapshots with that list, and takes snapshots back.

#![allow(dead_code, reason = "each test file uses its part of the support")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this is part of tests"
)]

pub mod router;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use raft_kv_engine::{Engine, EngineOptions, StateMachineHost};

/// How long a test waits for what must come; a failure, not a measurement, when it is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// One command as the host was given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub request: u64,
    pub hash: u32,
    pub fingerprint: u32,
    pub body: Vec<u8>,
}

/// The batch that a command came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub node: u64,
    pub incarnation: u32,
    pub number: u64,
    pub acknowledged: u64,
    pub records: u32,
}

/// What the host knows of a group.
#[derive(Clone, Debug, Default)]
pub struct GroupView {
    pub commands: Vec<Command>,
    pub batches: Vec<Batch>,
    /// Index and term of each entry given since the group was opened.
    pub entries: Vec<(u64, u64)>,
    /// Clock and seed of each.
    pub stamps: Vec<(f64, u64)>,
    pub ready_terms: Vec<u64>,
    pub leaders: Vec<u64>,
    pub snapshots_begun: Vec<u64>,
    pub snapshots_installed: u64,
    pub may_continue: Vec<u64>,
    installing: Vec<u8>,
}

/// One refused command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub group: u32,
    pub reason: u32,
    pub request: u64,
    pub unknown: bool,
}

#[derive(Default)]
pub struct View {
    pub groups: HashMap<u32, GroupView>,
    pub refusals: Vec<Refusal>,
    pub storage_failed: Vec<(u32, String)>,
    pub reads: Vec<(u32, u64)>,
    pub wanted: Vec<u32>,
    pub removed: Vec<u32>,
    pub results: Vec<Vec<u8>>,
    /// Who called, and whether it belongs to the cluster.
    pub calls: Vec<(u64, bool)>,
    /// Nodes and what became of them.
    pub peers: Vec<(u64, u32)>,
    /// Nodes and why they were refused.
    pub streams_refused: Vec<(u64, u32)>,
    woken: bool,
    stopped: bool,
}

impl View {
    pub fn requests(&self, group: u32) -> Vec<u64> {
        let view = self.groups.get(&group);
        view.map_or_else(Vec::new, |view| {
            view.commands.iter().map(|it| it.request).collect()
        })
    }
}

/// What the host does when it is asked for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotMode {
    Give,
    Fail,
    Ignore,
}

pub struct Host {
    view: Mutex<View>,
    changed: Condvar,
    engine: OnceLock<Engine>,
    paused: AtomicBool,
    pub answer_ready: AtomicBool,
    pub answer_calls: AtomicBool,
    snapshots: Mutex<SnapshotMode>,
}

impl StateMachineHost for Host {
    fn wake(&self) {
        self.view.lock().woken = true;
        self.changed.notify_all();
    }
}

/// An engine, and the host that serves it until it is dropped.
pub struct Node {
    pub engine: Engine,
    pub host: Arc<Host>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Node {
    pub fn open(options: EngineOptions) -> Node {
        start_tracing();
        let host = Arc::new(Host {
            view: Mutex::default(),
            changed: Condvar::new(),
            engine: OnceLock::new(),
            paused: AtomicBool::new(false),
            answer_ready: AtomicBool::new(true),
            answer_calls: AtomicBool::new(true),
            snapshots: Mutex::new(SnapshotMode::Give),
        });
        let engine = Engine::open(options, host.clone()).unwrap();
        assert!(host.engine.set(engine.clone()).is_ok());
        let serving = host.clone();
        let thread = Some(std::thread::spawn(move || serving.serve()));
        Node {
            engine,
            host,
            thread,
        }
    }

    /// The value of a lease slot.
    pub fn lease(&self, slot: u32) -> i32 {
        self.engine.lease_slots()[slot as usize].load(Ordering::SeqCst)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.host.view.lock().stopped = true;
        self.host.changed.notify_all();
        let result = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

impl Host {
    /// Has the host leave what comes in the queue, or serve it again.
    pub fn pause(&self, paused: bool) {
        let mut view = self.view.lock();
        self.paused.store(paused, Ordering::SeqCst);
        view.woken = true;
        drop(view);
        self.changed.notify_all();
    }

    pub fn on_snapshot(&self, mode: SnapshotMode) {
        *self.snapshots.lock() = mode;
    }

    pub fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock()
    }

    /// Waits until the view is as it must become.
    pub fn wait(&self, what: &str, mut reached: impl FnMut(&View) -> bool) {
        let mut view = self.view.lock();
        let end = Instant::now() + PATIENCE;
        while !reached(&view) {
            let timed_out = self.changed.wait_until(&mut view, end).timed_out();
            assert!(!timed_out || reached(&view), "never reached: {what}");
        }
    }

    fn serve(&self) {
        let mut bytes = Vec::new();
        loop {
            let mut view = self.view.lock();
            while !view.stopped && (!view.woken || self.paused.load(Ordering::SeqCst)) {
                self.changed.wait(&mut view);
            }
            if view.stopped {
                return;
            }
            view.woken = false;
            drop(view);
            let engine = self.engine.get().unwrap();
            loop {
                bytes.clear();
                let more = engine.drain(&mut bytes, 64 * 1024);
                self.take(engine, &bytes);
                if !more || self.paused.load(Ordering::SeqCst) {
                    break;
                }
            }
            self.changed.notify_all();
        }
    }

    fn take(&self, engine: &Engine, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (event, rest) = bytes.split_at(word(bytes, 0) as usize);
            bytes = rest;
            let mut view = self.view.lock();
            let answer = handle(&mut view, event);
            drop(view);
            match answer {
                Some(Answer::Ready(group, term)) if self.answer_ready.load(Ordering::SeqCst) => {
                    engine.host_ready(group, term);
                }
                Some(Answer::Snapshot(group, number)) => self.snapshot(engine, group, number),
                Some(Answer::Results(ticket, results)) => {
                    engine.give_results(ticket, results.into());
                }
                Some(Answer::Call(ticket, body)) if self.answer_calls.load(Ordering::SeqCst) => {
                    engine.answer_host_call(ticket, body.into());
                }
                Some(Answer::Ready(..) | Answer::Call(..)) | None => {}
            }
        }
    }

    fn snapshot(&self, engine: &Engine, group: u32, number: u64) {
        let mode = *self.snapshots.lock();
        match mode {
            SnapshotMode::Ignore => {}
            SnapshotMode::Fail => engine.fail_snapshot(group, number, "it may not be"),
            SnapshotMode::Give => {
                let state = encode(&self.view.lock().groups[&group].commands);
                for piece in state.chunks(1000) {
                    // The group may be closing, or gone: nobody wants its snapshot then.
                    if engine.snapshot_piece(group, number, piece).is_err() {
                        return;
                    }
                }
                engine.finish_snapshot(group, number);
            }
        }
    }
}

enum Answer {
    Ready(u32, u64),
    Snapshot(u32, u64),
    Results(u64, Vec<u8>),
    Call(u64, Vec<u8>),
}

/// This host answers calls with their bytes backwards.
fn take_call(view: &mut View, event: &[u8]) -> Option<Answer> {
    view.calls.push((number(event, 20), word(event, 32) == 1));
    let body = &event[40..40 + word(event, 36) as usize];
    let answer = body.iter().rev().copied().collect();
    Some(Answer::Call(number(event, 12), answer))
}

/// What this host calls the results of an entry: the request numbers of its commands.
fn requests_of(entry: &[u8]) -> Vec<u8> {
    let mut known = GroupView::default();
    let mut event = vec![0; 28];
    event.extend(entry);
    take_entry(&mut known, &event);
    let requests = known.commands.iter().map(|it| it.request.to_le_bytes());
    requests.flatten().collect()
}

fn handle(view: &mut View, event: &[u8]) -> Option<Answer> {
    let group = word(event, 8);
    match word(event, 4) {
        8 => return refuse(view, event),
        9 => {
            let text = &event[20..20 + word(event, 16) as usize];
            let text = String::from_utf8(text.to_vec()).unwrap();
            view.storage_failed.push((word(event, 12), text));
            return None;
        }
        12 => {
            view.reads.push((group, number(event, 12)));
            return None;
        }
        13 => {
            view.wanted.push(group);
            return None;
        }
        14 => {
            view.removed.push(group);
            return None;
        }
        15 => {
            return Some(Answer::Results(
                number(event, 12),
                requests_of(&event[28..]),
            ));
        }
        17 => return take_call(view, event),
        18 => {
            view.peers.push((number(event, 12), word(event, 20)));
            return None;
        }
        19 => {
            view.streams_refused
                .push((number(event, 12), word(event, 20)));
            return None;
        }
        20 => return None,
        16 => {
            let results = event[16..16 + word(event, 12) as usize].to_vec();
            view.results.push(results);
            return None;
        }
        _ => {}
    }
    let known = view.groups.entry(group).or_default();
    match word(event, 4) {
        1 => take_entry(known, event),
        2 => known.leaders.push(number(event, 12)),
        3 => {
            known.ready_terms.push(number(event, 12));
            return Some(Answer::Ready(group, number(event, 12)));
        }
        4 => {
            known.snapshots_begun.push(number(event, 12));
            return Some(Answer::Snapshot(group, number(event, 12)));
        }
        5 => *known = GroupView::default(),
        6 => known
            .installing
            .extend_from_slice(&event[16..16 + word(event, 12) as usize]),
        7 => {
            known.commands = decode(&std::mem::take(&mut known.installing));
            known.snapshots_installed += 1;
        }
        11 => known.may_continue.push(number(event, 12)),
        other => panic!("event of type {other}"),
    }
    None
}

fn refuse(view: &mut View, event: &[u8]) -> Option<Answer> {
    let count = word(event, 16) as usize;
    for position in 0..count {
        view.refusals.push(Refusal {
            group: word(event, 8),
            reason: word(event, 12),
            request: number(event, 28 + 8 * position),
            unknown: word(event, 28 + 8 * count + 4 * position) == 1,
        });
    }
    None
}

fn take_entry(known: &mut GroupView, event: &[u8]) {
    known.entries.push((number(event, 12), number(event, 20)));
    let entry = &event[28..];
    assert_eq!(word(entry, 0), 1, "version");
    known
        .stamps
        .push((f64::from_bits(number(entry, 8)), number(entry, 16)));
    let mut batches = &entry[24..];
    for _ in 0..word(entry, 4) {
        let (batch, rest) = batches.split_at(word(batches, 0) as usize);
        batches = rest;
        let header = Batch {
            node: number(batch, 4),
            incarnation: word(batch, 12),
            number: number(batch, 16),
            acknowledged: number(batch, 24),
            records: word(batch, 32),
        };
        known.batches.push(header);
        let mut records = &batch[36..];
        for _ in 0..header.records {
            let (record, rest) = records.split_at(word(records, 0) as usize);
            records = rest;
            known.commands.push(Command {
                request: header.acknowledged + u64::from(word(record, 8)),
                hash: word(record, 12),
                fingerprint: word(record, 16),
                body: record[24..].to_vec(),
            });
        }
        assert!(records.is_empty());
    }
    assert!(batches.is_empty());
}

fn encode(commands: &[Command]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        bytes.extend(command.request.to_le_bytes());
        bytes.extend(command.hash.to_le_bytes());
        bytes.extend(command.fingerprint.to_le_bytes());
        bytes.extend((command.body.len() as u32).to_le_bytes());
        bytes.extend(&command.body);
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Vec<Command> {
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let length = word(bytes, 16) as usize;
        commands.push(Command {
            request: number(bytes, 0),
            hash: word(bytes, 8),
            fingerprint: word(bytes, 12),
            body: bytes[20..20 + length].to_vec(),
        });
        bytes = &bytes[20 + length..];
    }
    commands
}

pub fn word(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

pub fn number(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// Appends a command record to a frame.
pub fn add(frame: &mut Vec<u8>, route: u32, request: u32, key: &[u8], argument: &[u8]) {
    let length = (24 + key.len() + argument.len()).next_multiple_of(4);
    let start = frame.len();
    for value in [length as u32, route, request, 0, 0, key.len() as u32] {
        frame.extend(value.to_le_bytes());
    }
    frame.extend(key);
    frame.extend(argument);
    frame.resize(start + length, 0);
}

/// The route to a group.
pub fn to_group(group: u32) -> u32 {
    group | 0x8000_0000
}

/// A frame of commands to one group, numbered from `first`.
pub fn frame(group: u32, first: u32, count: u32, argument: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    for request in first..first + count {
        add(
            &mut frame,
            to_group(group),
            request,
            &request.to_le_bytes(),
            &vec![7; argument],
        );
    }
    frame
}

pub fn start_tracing() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .init();
    });
}
