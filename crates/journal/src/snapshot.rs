//! Snapshots: a file of checksummed pieces for each, beside the rounds. The journal says which one
//! counts; all others are left-overs and deleted at opening.
//!
//! File, little-endian: magic (8 bytes), format version (4), group (4), snapshot number (8), CRC-32
//! of these (4). Then pieces: length (4), CRC-32 of piece number and bytes (4), bytes. At the end
//! length 2^32 - 1, CRC-32 of the rest (4), number of pieces (8), bytes of all pieces (8).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::{Completion, JournalError};
use crate::group::SnapshotInfo;
use crate::group_log::GroupLog;
use crate::limits::{FORMAT_VERSION, SNAPSHOT_PIECE_BYTES_MAX};
use crate::store::directory::sync_directory;

const MAGIC: &[u8; 8] = b"rkv-snap";
const HEADER_BYTES: usize = 28;
const END_BYTES: u64 = 24;
const END_LENGTH: u32 = u32::MAX;

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SnapshotName {
    pub group: u32,
    pub number: u64,
}

impl SnapshotName {
    fn file(self) -> String {
        format!("{}-{}.snapshot", self.group, self.number)
    }

    fn header(self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.group.to_le_bytes());
        header[16..24].copy_from_slice(&self.number.to_le_bytes());
        let checksum = crc32fast::hash(&header[..24]);
        header[24..].copy_from_slice(&checksum.to_le_bytes());
        header
    }
}

fn piece_checksum(number: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn end_record(pieces: u64, bytes: u64) -> [u8; END_BYTES as usize] {
    let mut end = [0; END_BYTES as usize];
    end[..4].copy_from_slice(&END_LENGTH.to_le_bytes());
    end[8..16].copy_from_slice(&pieces.to_le_bytes());
    end[16..].copy_from_slice(&bytes.to_le_bytes());
    let checksum = crc32fast::hash(&end[8..]);
    end[4..8].copy_from_slice(&checksum.to_le_bytes());
    end
}

/// Snapshots that live in memory.
pub(crate) type MemorySnapshots = Arc<Mutex<HashMap<SnapshotName, Vec<Bytes>>>>;

/// Where snapshots are kept.
#[derive(Clone, Debug)]
pub(crate) enum SnapshotHome {
    Memory(MemorySnapshots),
    Directory(PathBuf),
}

impl SnapshotHome {
    pub(crate) fn in_memory() -> SnapshotHome {
        SnapshotHome::Memory(MemorySnapshots::default())
    }

    /// In a folder of the journal's directory.
    pub(crate) fn in_directory(directory: &Path) -> Result<SnapshotHome, JournalError> {
        let folder = directory.join("snapshots");
        fs::create_dir_all(&folder).map_err(|e| JournalError::io("making a folder", &e))?;
        Ok(SnapshotHome::Directory(folder))
    }

    /// Deletes a snapshot. One that cannot be deleted is in nobody's way, and goes at the next
    /// opening.
    pub(crate) fn delete(&self, name: SnapshotName) {
        match self {
            SnapshotHome::Memory(snapshots) => {
                snapshots.lock().remove(&name);
            }
            SnapshotHome::Directory(folder) => {
                if let Err(error) = fs::remove_file(folder.join(name.file())) {
                    tracing::warn!(%error, file = name.file(), "an old snapshot stays");
                }
            }
        }
    }

    /// Checks that the snapshots that count are whole, and deletes all others.
    pub(crate) fn check(
        &self,
        counting: Vec<(SnapshotName, SnapshotInfo)>,
    ) -> Result<(), JournalError> {
        match self {
            SnapshotHome::Memory(snapshots) => {
                let names = counting.iter().map(|(name, _)| *name).collect::<Vec<_>>();
                let mut snapshots = snapshots.lock();
                snapshots.retain(|name, _| names.contains(name));
                match names.into_iter().find(|name| !snapshots.contains_key(name)) {
                    Some(name) => Err(damaged("is missing", &name.file())),
                    None => Ok(()),
                }
            }
            SnapshotHome::Directory(folder) => {
                for (name, info) in &counting {
                    check_end(&folder.join(name.file()), info)?;
                }
                let keep = counting
                    .iter()
                    .map(|(name, _)| name.file())
                    .collect::<Vec<_>>();
                let list = |error: io::Error| JournalError::io("listing the snapshots", &error);
                for file in fs::read_dir(folder).map_err(list)? {
                    let file = file.map_err(list)?;
                    if keep.iter().all(|keep| file.file_name() != keep.as_str()) {
                        let delete = |e: io::Error| JournalError::io("deleting a file", &e);
                        fs::remove_file(file.path()).map_err(delete)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Opens a snapshot that counts.
    pub(crate) fn read(
        &self,
        group: u32,
        info: SnapshotInfo,
    ) -> Result<SnapshotFileReader, JournalError> {
        let name = SnapshotName {
            group,
            number: info.number,
        };
        let source = match self {
            SnapshotHome::Memory(snapshots) => {
                let pieces = snapshots.lock().get(&name).cloned();
                let pieces = pieces.ok_or_else(|| damaged("is missing", &name.file()))?;
                Source::Memory(pieces.into_iter())
            }
            SnapshotHome::Directory(folder) => {
                let path = folder.join(name.file());
                let mut file = File::open(&path).map_err(|error| open_error(&error, &path))?;
                let mut header = [0; HEADER_BYTES];
                file.read_exact(&mut header)
                    .map_err(|error| read_error(&error, &path))?;
                if header != name.header() {
                    return Err(damaged(
                        "does not begin as it should",
                        &path.to_string_lossy(),
                    ));
                }
                Source::File(BufReader::with_capacity(256 * 1024, file), path)
            }
        };
        Ok(SnapshotFileReader {
            info,
            source,
            pieces: 0,
            bytes: 0,
            ended: false,
        })
    }
}

fn damaged(what: &str, place: &str) -> JournalError {
    JournalError::corrupted(format!("the snapshot that counts {what}"), place)
}

fn open_error(error: &io::Error, path: &Path) -> JournalError {
    if error.kind() == io::ErrorKind::NotFound {
        return damaged("is missing", &path.to_string_lossy());
    }
    JournalError::io("opening a snapshot", error)
}

fn read_error(error: &io::Error, path: &Path) -> JournalError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return damaged("is cut off", &path.to_string_lossy());
    }
    JournalError::io("reading a snapshot", error)
}

/// Checks the end of a file: whether all of it is there, at little cost.
fn check_end(path: &Path, info: &SnapshotInfo) -> Result<(), JournalError> {
    let mut file = File::open(path).map_err(|error| open_error(&error, path))?;
    let mut end = [0; END_BYTES as usize];
    let length = file
        .metadata()
        .map_err(|error| read_error(&error, path))?
        .len();
    if length < END_BYTES + HEADER_BYTES as u64 + info.bytes {
        return Err(damaged("is cut off", &path.to_string_lossy()));
    }
    file.seek(SeekFrom::Start(length - END_BYTES))
        .map_err(|error| read_error(&error, path))?;
    file.read_exact(&mut end)
        .map_err(|error| read_error(&error, path))?;
    let pieces = (length - END_BYTES - HEADER_BYTES as u64 - info.bytes) / 8;
    if end != end_record(pieces, info.bytes) {
        return Err(damaged(
            "does not end as it should",
            &path.to_string_lossy(),
        ));
    }
    Ok(())
}

enum Sink {
    Memory(MemorySnapshots, Vec<Bytes>),
    File(BufWriter<File>, PathBuf, PathBuf),
}

/// Writes a snapshot, piece by piece. Dropped unfinished, it leaves nothing behind.
///
/// An error here is the snapshot's alone: the log goes on, and the older snapshot counts.
pub struct SnapshotFileWriter {
    log: GroupLog,
    name: SnapshotName,
    sink: Sink,
    pieces: u64,
    bytes: u64,
    failure: Option<JournalError>,
    finished: bool,
}

impl SnapshotFileWriter {
    pub(crate) fn begin(
        log: GroupLog,
        name: SnapshotName,
    ) -> Result<SnapshotFileWriter, JournalError> {
        let sink = match &log.shared().snapshots {
            SnapshotHome::Memory(snapshots) => Sink::Memory(Arc::clone(snapshots), Vec::new()),
            SnapshotHome::Directory(folder) => {
                let path = folder.join(format!("{}.writing", name.file()));
                let make = |error: io::Error| JournalError::io("writing a snapshot", &error);
                let mut writer =
                    BufWriter::with_capacity(256 * 1024, File::create(&path).map_err(make)?);
                writer.write_all(&name.header()).map_err(make)?;
                Sink::File(writer, path, folder.join(name.file()))
            }
        };
        Ok(SnapshotFileWriter {
            log,
            name,
            sink,
            pieces: 0,
            bytes: 0,
            failure: None,
            finished: false,
        })
    }

    /// The number of this snapshot.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.name.number
    }

    /// Adds a piece, which a reader will get as one.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = self.add(piece);
        self.failure = result.as_ref().err().cloned();
        result
    }

    fn add(&mut self, piece: &[u8]) -> Result<(), JournalError> {
        if piece.len() > SNAPSHOT_PIECE_BYTES_MAX {
            let what =
                format!("a snapshot's piece is longer than {SNAPSHOT_PIECE_BYTES_MAX} bytes");
            return Err(JournalError::failed(what));
        }
        match &mut self.sink {
            Sink::Memory(_, pieces) => pieces.push(Bytes::copy_from_slice(piece)),
            Sink::File(writer, ..) => {
                let checksum = piece_checksum(self.pieces, piece);
                writer
                    .write_all(&(piece.len() as u32).to_le_bytes())
                    .and_then(|()| writer.write_all(&checksum.to_le_bytes()))
                    .and_then(|()| writer.write_all(piece))
                    .map_err(|error| JournalError::io("writing a snapshot", &error))?;
            }
        }
        self.pieces += 1;
        self.bytes += piece.len() as u64;
        Ok(())
    }

    /// Makes the file durable, and has the snapshot count from then on; `done` is called when it
    /// durably does. Blocks until the file is on disk.
    pub fn finish(mut self, meta: Bytes, done: Completion) {
        let stored = match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.store(),
        };
        if let Err(error) = stored {
            done(Err(error));
            return;
        }
        self.finished = true;
        let SnapshotName { group, number } = self.name;
        let info = SnapshotInfo {
            number,
            meta,
            bytes: self.bytes,
        };
        if !self
            .log
            .submit(done, |book| book.save_snapshot(group, info))
        {
            self.log.shared().snapshots.delete(self.name);
        }
    }

    fn store(&mut self) -> Result<(), JournalError> {
        match &mut self.sink {
            Sink::Memory(snapshots, pieces) => {
                snapshots.lock().insert(self.name, std::mem::take(pieces));
                Ok(())
            }
            Sink::File(writer, path, finished) => {
                let end = end_record(self.pieces, self.bytes);
                let folder = finished.parent().unwrap_or(Path::new("."));
                writer
                    .write_all(&end)
                    .and_then(|()| writer.flush())
                    .and_then(|()| writer.get_ref().sync_all())
                    .and_then(|()| fs::rename(&*path, &*finished))
                    .map_err(|error| JournalError::io("finishing a snapshot", &error))?;
                sync_directory(folder)
            }
        }
    }
}

impl Drop for SnapshotFileWriter {
    fn drop(&mut self) {
        if let (Sink::File(_, path, finished), false) = (&self.sink, self.finished) {
            // Whichever of the two is there; the other one never was.
            let deleted = fs::remove_file(path).or_else(|_| fs::remove_file(finished));
            if let Err(error) = deleted {
                tracing::warn!(%error, ?path, "an unfinished snapshot stays");
            }
        }
    }
}

enum Source {
    Memory(std::vec::IntoIter<Bytes>),
    File(BufReader<File>, PathBuf),
}

/// Reads a snapshot, piece by piece, each of them checked. It stays whole while it is read, also
/// when a newer one counts meanwhile.
pub struct SnapshotFileReader {
    info: SnapshotInfo,
    source: Source,
    pieces: u64,
    bytes: u64,
    ended: bool,
}

impl SnapshotFileReader {
    /// Which snapshot this is.
    #[must_use]
    pub fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    /// The next piece as it was written, or `None` after the last one. Damage is found at the
    /// latest here: what came before may be used only if the end was reached.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error ends it, and is no item"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, JournalError> {
        if self.ended {
            return Ok(None);
        }
        let piece = match &mut self.source {
            Source::Memory(pieces) => pieces.next(),
            Source::File(reader, path) => {
                read_piece(reader, path, self.pieces, self.bytes, self.info.bytes)?
            }
        };
        match &piece {
            Some(piece) => {
                self.pieces += 1;
                self.bytes += piece.len() as u64;
            }
            None => self.ended = true,
        }
        Ok(piece)
    }
}

fn read_piece(
    reader: &mut BufReader<File>,
    path: &Path,
    pieces: u64,
    bytes: u64,
    bytes_all: u64,
) -> Result<Option<Bytes>, JournalError> {
    let failed = |error: io::Error| read_error(&error, path);
    let place = || format!("{}, piece {pieces}", path.to_string_lossy());
    let mut head = [0; 8];
    reader.read_exact(&mut head).map_err(failed)?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let checksum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if length == END_LENGTH {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).map_err(failed)?;
        let end = [&head[..], &rest].concat();
        if end != end_record(pieces, bytes) || bytes != bytes_all {
            return Err(damaged("does not end as it should", &place()));
        }
        return Ok(None);
    }
    if u64::from(length) > bytes_all - bytes {
        return Err(damaged("has a damaged piece", &place()));
    }
    let mut piece = vec![0; length as usize];
    reader.read_exact(&mut piece).map_err(failed)?;
    if piece_checksum(pieces, &piece) != checksum {
        return Err(damaged("has a damaged piece", &place()));
    }
    Ok(Some(Bytes::from(piece)))
}
