//! The store of rounds on disk, in a sled database. Nothing outside this file knows of sled.
//!
//! What was measured of sled 0.34 and is heeded here:
//! - its `flush` hands writes to the operating system and does not make them durable, so `sync`
//!   syncs the file `db` through a handle of its own;
//! - a value that does not fit into a quarter of a segment leaves for a file in `blobs/`, which
//!   nothing syncs, so values are small, and a file there is a fault;
//! - opening a damaged database may panic, or silently give back less than was stored, so a panic
//!   counts as damage, and the number of the last durable round is kept in a file of its own;
//! - its background threads may hold the database open for a while after it was dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::clock;
use crate::error::JournalError;
use crate::ledger::Retired;
use crate::limits::{STORE_CACHE_BYTES, STORE_CLOSE_MAX, STORE_CLOSE_POLL, STORE_SEGMENT_BYTES};
use crate::store::directory::{sync_directory, sync_file};
use crate::store::{ChunkVisitor, RoundStore};

/// See the module.
pub(crate) struct SledStore {
    database: sled::Db,
    file: File,
    folder: PathBuf,
    mark: Mutex<MarkFile>,
    /// Declared after the database, so that it is dropped after it.
    _closed: AwaitClosed,
}

/// Waits, when it is dropped, until nothing in this process holds the database any more.
struct AwaitClosed {
    database_file: PathBuf,
}

impl Drop for AwaitClosed {
    fn drop(&mut self) {
        if !await_free(&self.database_file) {
            tracing::warn!(path = ?self.database_file, "the log is still held open after closing");
        }
    }
}

/// Waits until nothing holds the database file; false when that took too long. Another process
/// cannot: the directory's own lock keeps it out.
fn await_free(database_file: &Path) -> bool {
    let begun = clock::now();
    while clock::now() - begun < STORE_CLOSE_MAX {
        // The database locks its file as long as anything holds it; a missing one is free.
        let free = File::open(database_file).map_or(true, |file| file.try_lock().is_ok());
        if free {
            return true;
        }
        clock::pause(STORE_CLOSE_POLL);
    }
    false
}

fn key(round: u64, chunk: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&round.to_be_bytes());
    key[8..].copy_from_slice(&u64::from(chunk).to_be_bytes());
    key
}

fn place(key: &[u8]) -> Result<(u64, u32), JournalError> {
    let wrong = || JournalError::corrupted("the log has a key of a wrong form", format!("{key:?}"));
    let (round, chunk) = key.split_first_chunk::<8>().ok_or_else(wrong)?;
    let chunk: [u8; 8] = chunk.try_into().map_err(|_| wrong())?;
    let chunk = u32::try_from(u64::from_be_bytes(chunk)).map_err(|_| wrong())?;
    Ok((u64::from_be_bytes(*round), chunk))
}

fn error(doing: &str, error: &sled::Error) -> JournalError {
    match error {
        sled::Error::Io(error) => JournalError::io(doing, error),
        sled::Error::Corruption { at, .. } => {
            JournalError::corrupted(format!("{doing}: the log is damaged"), format!("{at:?}"))
        }
        // What a database says that opens with none of its own settings: they are damaged.
        sled::Error::Unsupported(reason) => {
            JournalError::corrupted(format!("{doing}: {reason}"), "the settings in conf")
        }
        other => JournalError::failed(format!("{doing}: {other}")),
    }
}

/// A panic within the database is an error like others, so that no thread is lost to it.
fn guarded<T>(
    doing: &str,
    work: impl FnOnce() -> Result<T, sled::Error>,
) -> Result<T, JournalError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|failure| error(doing, &failure)),
        Err(_) => Err(JournalError::failed(format!(
            "{doing}: the database panicked"
        ))),
    }
}

impl SledStore {
    pub(crate) fn open(folder: &Path, mark: MarkFile) -> Result<SledStore, JournalError> {
        let config = sled::Config::new()
            .path(folder)
            .segment_size(STORE_SEGMENT_BYTES)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(None)
            .cache_capacity(STORE_CACHE_BYTES)
            .use_compression(false);
        // One that was opened in this process before may not have let go yet.
        await_free(&folder.join("db"));
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let Ok(opened) = opened else {
            let place = folder.to_string_lossy().into_owned();
            return Err(JournalError::corrupted(
                "the log is so damaged that it cannot be opened",
                place,
            ));
        };
        let database = opened.map_err(|failure| error("opening the log", &failure))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join("db"))
            .map_err(|failure| JournalError::io("opening the log", &failure))?;
        let store = SledStore {
            database,
            file,
            folder: folder.into(),
            mark: Mutex::new(mark),
            _closed: AwaitClosed {
                database_file: folder.join("db"),
            },
        };
        store.check_no_blobs()?;
        Ok(store)
    }

    /// Makes the files of a new database durable, by name and content.
    pub(crate) fn sync_layout(&self) -> Result<(), JournalError> {
        sync_file(&self.folder.join("conf"))?;
        sync_file(&self.folder.join("db"))?;
        sync_directory(&self.folder.join("blobs"))?;
        sync_directory(&self.folder)
    }

    fn check_no_blobs(&self) -> Result<(), JournalError> {
        let blobs = self.folder.join("blobs");
        let mut files = fs::read_dir(&blobs)
            .map_err(|error| JournalError::io("looking for misplaced data", &error))?;
        if files.next().is_some() {
            let place = blobs.to_string_lossy().into_owned();
            let what = "data was written to files that are never made durable";
            return Err(JournalError::corrupted(what, place));
        }
        Ok(())
    }
}

impl RoundStore for SledStore {
    fn write(&self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError> {
        guarded("writing", || {
            self.database.insert(key(round, chunk), value).map(|_| ())
        })
    }

    fn flush(&self) -> Result<(), JournalError> {
        guarded("flushing", || self.database.flush().map(|_| ()))
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.file
            .sync_data()
            .map_err(|error| JournalError::io("syncing", &error))
    }

    fn read(&self, round: u64, chunk: u32) -> Result<Option<Vec<u8>>, JournalError> {
        guarded("reading", || {
            Ok(self
                .database
                .get(key(round, chunk))?
                .map(|value| value.to_vec()))
        })
    }

    fn remove(&self, retired: Retired) -> Result<(), JournalError> {
        for chunk in 0..retired.chunks {
            guarded("removing", || {
                self.database.remove(key(retired.round, chunk)).map(|_| ())
            })?;
        }
        Ok(())
    }

    fn last(&self) -> Result<Option<(u64, u32, Vec<u8>)>, JournalError> {
        let Some((key, value)) = guarded("reading", || self.database.last())? else {
            return Ok(None);
        };
        let (round, chunk) = place(&key)?;
        Ok(Some((round, chunk, value.to_vec())))
    }

    fn scan(&self, visit: &mut ChunkVisitor<'_>) -> Result<(), JournalError> {
        let mut pairs = self.database.iter();
        while let Some((key, value)) = guarded("reading", || pairs.next().transpose())? {
            let (round, chunk) = place(&key)?;
            visit(round, chunk, &value)?;
        }
        Ok(())
    }

    fn mark(&self) -> Result<u64, JournalError> {
        Ok(self.mark.lock().round)
    }

    fn save_mark(&self, round: u64) -> Result<(), JournalError> {
        self.check_no_blobs()?;
        self.mark.lock().save(round)
    }

    #[cfg(unix)]
    fn disk_bytes(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        self.file
            .metadata()
            .map_or(0, |metadata| metadata.blocks() * 512)
    }

    #[cfg(not(unix))]
    fn disk_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }
}

const MARK_BYTES: usize = 16;
/// The two copies are in different blocks, so that one torn write never damages both.
const MARK_SLOT_BYTES: u64 = 4096;

/// The number of the last round known to be durable, in two copies written in turn.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    round: u64,
    saves: u64,
}

impl MarkFile {
    /// Starts with 0, whatever was there.
    pub(crate) fn create(path: &Path) -> Result<MarkFile, JournalError> {
        let failed = |error: io::Error| JournalError::io("writing the acknowledged mark", &error);
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(true);
        let file = open.open(path).map_err(failed)?;
        file.set_len(2 * MARK_SLOT_BYTES).map_err(failed)?;
        let mut mark = MarkFile {
            file,
            round: 0,
            saves: 0,
        };
        mark.save(0)?;
        mark.save(0)?;
        mark.file.sync_all().map_err(failed)?;
        Ok(mark)
    }

    /// Reads what was saved.
    pub(crate) fn open(path: &Path) -> Result<MarkFile, JournalError> {
        let damaged = |what: &str| JournalError::corrupted(what, path.to_string_lossy());
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("the acknowledged mark is missing"));
            }
            opened => opened.map_err(|e| JournalError::io("opening the acknowledged mark", &e))?,
        };
        let slots = [0, 1].map(|slot| read_slot(&mut file, slot).ok().flatten());
        let (slot, round) = match slots {
            [Some(first), Some(second)] if second > first => (1, second),
            [Some(first), _] => (0, first),
            [None, Some(second)] => (1, second),
            [None, None] => return Err(damaged("the acknowledged mark is damaged")),
        };
        Ok(MarkFile {
            file,
            round,
            saves: slot + 1,
        })
    }

    fn save(&mut self, round: u64) -> Result<(), JournalError> {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&round.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..8]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        let slot = self.saves % 2;
        self.file
            .seek(SeekFrom::Start(slot * MARK_SLOT_BYTES))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data())
            .map_err(|error| JournalError::io("writing the acknowledged mark", &error))?;
        self.saves += 1;
        self.round = round;
        Ok(())
    }
}

fn read_slot(file: &mut File, slot: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; MARK_BYTES];
    file.seek(SeekFrom::Start(slot * MARK_SLOT_BYTES))?;
    file.read_exact(&mut bytes)?;
    let (round, rest) = bytes.split_at(8);
    let expected = crc32fast::hash(round).to_le_bytes();
    let round = round.try_into().map(u64::from_le_bytes).unwrap_or_default();
    Ok((rest[..4] == expected).then_some(round))
}
