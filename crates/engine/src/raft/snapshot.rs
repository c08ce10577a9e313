//! Snapshots between the host, which has the state, and the journal, which keeps it.
//!
//! The host is asked by an event and answers with pieces as it finds the time; they wait in memory,
//! bounded, until a blocking task has written them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use openraft::{RaftSnapshotBuilder, Snapshot};
use parking_lot::Mutex;
use raft_kv_journal::{GroupLog, JournalError, SnapshotFileReader, SnapshotFileWriter};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::error::{EngineError, io_error};
use crate::events::{Event, EventQueue};
use crate::group::Group;
use crate::limits::SNAPSHOT_WAITING_BYTES_MAX;
use crate::raft::codec::{decode_snapshot_meta, encode_snapshot_meta};
use crate::raft::types::{SnapshotMeta, TypeConfig};
use crate::world;

/// A snapshot that the journal keeps: the one of this log that counts.
#[derive(Clone)]
pub(crate) struct StoredSnapshot(pub(crate) GroupLog);

enum Part {
    Piece(Bytes),
    Finished,
    Failed(String),
}

struct Intake {
    number: u64,
    parts: mpsc::UnboundedSender<Part>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    paused: AtomicBool,
}

/// Where a group's host hands in the snapshot that it was asked for.
#[derive(Default)]
pub(crate) struct SnapshotDesk(Mutex<Option<Intake>>);

impl SnapshotDesk {
    fn open(&self, number: u64) -> Delivery {
        let (sender, parts) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::default());
        *self.0.lock() = Some(Intake {
            number,
            parts: sender,
            waiting: waiting.clone(),
        });
        Delivery { parts, waiting }
    }

    /// Takes a piece; `false` asks the host to pause until it is told to continue.
    pub(crate) fn piece(&self, group: u32, number: u64, piece: &[u8]) -> Result<bool, EngineError> {
        let desk = self.0.lock();
        let gone = EngineError::NoSuchSnapshot { group, number };
        let Some(intake) = desk.as_ref().filter(|intake| intake.number == number) else {
            return Err(gone);
        };
        let waiting = intake
            .waiting
            .bytes
            .fetch_add(piece.len(), Ordering::SeqCst)
            + piece.len();
        let pause = waiting > SNAPSHOT_WAITING_BYTES_MAX;
        if pause {
            intake.waiting.paused.store(true, Ordering::SeqCst);
        }
        let part = Part::Piece(Bytes::copy_from_slice(piece));
        intake.parts.send(part).map_err(|_| gone)?;
        Ok(!pause)
    }

    fn end(&self, number: u64, part: Part) {
        let mut desk = self.0.lock();
        if let Some(intake) = desk.take_if(|intake| intake.number == number) {
            // Whoever wrote the snapshot may have given up already.
            drop(intake.parts.send(part));
        }
    }

    /// All pieces were handed in.
    pub(crate) fn finish(&self, number: u64) {
        self.end(number, Part::Finished);
    }

    /// The host could not write the snapshot.
    pub(crate) fn fail(&self, number: u64, reason: &str) {
        self.end(number, Part::Failed(reason.into()));
    }

    /// No snapshot is taken any more.
    pub(crate) fn close(&self) {
        *self.0.lock() = None;
    }
}

struct Delivery {
    parts: mpsc::UnboundedReceiver<Part>,
    waiting: Arc<Waiting>,
}

/// Writes one snapshot from what the host hands in.
pub(crate) struct SnapshotBuilder {
    group: Arc<Group>,
    events: Arc<EventQueue>,
    meta: SnapshotMeta,
    number: u64,
    delivery: Delivery,
    _permit: Option<OwnedSemaphorePermit>,
}

impl SnapshotBuilder {
    /// Asks the host for the state after all that it was given so far.
    pub(crate) fn begin(
        group: Arc<Group>,
        events: Arc<EventQueue>,
        meta: SnapshotMeta,
        number: u64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let delivery = group.snapshots.open(number);
        events.push(Event::BeginSnapshot {
            group: group.id,
            number,
        });
        Self {
            group,
            events,
            meta,
            number,
            delivery,
            _permit: permit,
        }
    }

    /// Writes pieces until the host is done; `Ok(None)` when it gave up.
    async fn write(&mut self) -> io::Result<Option<SnapshotFileWriter>> {
        let log = self.group.log.clone();
        let mut writer = blocking(move || log.begin_snapshot()).await?;
        while let Some(part) = self.delivery.parts.recv().await {
            match part {
                Part::Finished => return Ok(Some(writer)),
                Part::Failed(reason) => {
                    tracing::warn!(group = self.group.id, reason, "snapshot failed");
                    return Ok(None);
                }
                Part::Piece(piece) => {
                    let bytes = piece.len();
                    writer = blocking(move || writer.write(&piece).map(|()| writer)).await?;
                    self.written(bytes);
                }
            }
        }
        Ok(None)
    }

    fn written(&self, bytes: usize) {
        let waiting = &self.delivery.waiting;
        let left = waiting.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if left <= SNAPSHOT_WAITING_BYTES_MAX / 2 && waiting.paused.swap(false, Ordering::SeqCst) {
            let number = self.number;
            self.events.push(Event::SnapshotMayContinue {
                group: self.group.id,
                number,
            });
        }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = StoredSnapshot;

    async fn build_snapshot(
        &mut self,
    ) -> io::Result<openraft::type_config::alias::SnapshotOf<TypeConfig, StoredSnapshot>> {
        let log = self.group.log.clone();
        let meta = match self.write().await? {
            Some(writer) => {
                finish(writer, &self.meta).await?;
                note_snapshot(&self.group, "wrote a snapshot");
                self.group
                    .counters
                    .snapshots
                    .fetch_add(1, Ordering::Relaxed);
                self.meta.clone()
            }
            // An error would stop the group for good. The snapshot that is there already is an
            // answer that changes nothing.
            None => stored_meta(&log)?.unwrap_or_default(),
        };
        Ok(Snapshot {
            meta,
            snapshot: StoredSnapshot(log),
        })
    }
}

fn note_snapshot(group: &Group, what: &'static str) {
    let stored = group.log.state().snapshot;
    let bytes = stored.map_or(0, |info| info.bytes);
    tracing::info!(group = group.id, bytes, "{what}");
}

/// What the journal's snapshot of a group stands for.
pub(crate) fn stored_meta(log: &GroupLog) -> io::Result<Option<SnapshotMeta>> {
    log.state()
        .snapshot
        .map(|info| decode_snapshot_meta(info.meta))
        .transpose()
}

/// Has a written snapshot count from now on.
pub(crate) async fn finish(writer: SnapshotFileWriter, meta: &SnapshotMeta) -> io::Result<()> {
    let meta = encode_snapshot_meta(meta);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    blocking(move || {
        writer.finish(meta, Box::new(move |result| drop(sender.send(result))));
        Ok(())
    })
    .await?;
    receiver
        .await
        .unwrap_or(Err(JournalError::Closed))
        .map_err(io_error)
}

/// Does work that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> io::Result<T> {
    world::blocking(work).await?.map_err(io_error)
}

/// Gives a snapshot to the host piece by piece, as the queue has room; keeps it in the group's own
/// journal first if it comes from elsewhere.
pub(crate) async fn install(
    group: &Arc<Group>,
    events: &EventQueue,
    meta: &SnapshotMeta,
    snapshot: StoredSnapshot,
) -> io::Result<()> {
    if stored_meta(&group.log)?.as_ref() != Some(meta) {
        let log = group.log.clone();
        let source = snapshot.0.clone();
        let writer = blocking(move || {
            let mut writer = log.begin_snapshot()?;
            let mut reader = open(&source)?;
            while let Some(piece) = reader.next()? {
                writer.write(&piece)?;
            }
            Ok(writer)
        })
        .await?;
        finish(writer, meta).await?;
    }
    let stopped = |_| io::Error::other("the group is closing");
    let event = Event::InstallSnapshot { group: group.id };
    events
        .push_bounded(event, &group.stop)
        .await
        .map_err(stopped)?;
    let log = group.log.clone();
    let mut reader = blocking(move || open(&log)).await?;
    loop {
        let (piece, back) = blocking(move || Ok((reader.next()?, reader))).await?;
        reader = back;
        let Some(chunk) = piece else { break };
        let event = Event::SnapshotChunk {
            group: group.id,
            chunk,
        };
        events
            .push_bounded(event, &group.stop)
            .await
            .map_err(stopped)?;
    }
    note_snapshot(group, "took over a snapshot");
    events.push(Event::SnapshotInstalled { group: group.id });
    Ok(())
}

/// Opens the snapshot that counts.
pub(crate) fn open(log: &GroupLog) -> Result<SnapshotFileReader, JournalError> {
    log.read_snapshot()?.ok_or_else(|| JournalError::Failed {
        what: "the snapshot is gone".into(),
    })
}
