//! The directory of a journal: who holds it, which format it has, what is in it.
//!
//! `lock` names the process that holds the directory. `format` is written last when a directory is
//! laid out, so it tells whether it was. `front` is the file in front of the log. `reserve` can be deleted when a full disk keeps the
//! journal from opening. `log/` is the store's, `acknowledged` the number of the last round known
//! to be durable, `snapshots/` the snapshots.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::JournalError;
use crate::limits::DIRECTORY_FORMAT_VERSION;
use crate::options::JournalOptions;
use crate::store::RoundStore;
use crate::store::front::{DiskFile, FrontedStore};
use crate::store::sled_store::{MarkFile, SledStore};

/// The store of a directory.
pub(crate) type DirectoryStore = FrontedStore<SledStore, DiskFile>;

/// The format of directories without a front file.
const FORMAT_WITHOUT_FRONT: u32 = 1;

/// Holds a directory until it is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

/// Makes names and removals in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| JournalError::io("syncing a directory", &error))
}

/// Makes a file's content durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| JournalError::io("syncing a file", &error))
}

impl DirectoryLock {
    fn take(directory: &Path) -> Result<DirectoryLock, JournalError> {
        let failed = |error: io::Error| JournalError::io("locking the directory", &error);
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false);
        let mut file = open.open(directory.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let process_id = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                let directory = directory.to_path_buf();
                return Err(JournalError::Locked {
                    directory,
                    process_id,
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Who holds it is told for convenience; a full disk must not keep the journal closed.
        let named = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        if let Err(error) = named {
            tracing::warn!(%error, "the lock file does not name this process");
        }
        Ok(DirectoryLock { _file: file })
    }
}

/// Locks and opens a directory, laying it out if it is new.
pub(crate) fn open_directory(
    directory: &Path,
    options: &JournalOptions,
) -> Result<(DirectoryLock, DirectoryStore), JournalError> {
    fs::create_dir_all(directory).map_err(|error| JournalError::io("making a folder", &error))?;
    let lock = DirectoryLock::take(directory)?;
    let store = match open_store(directory, options) {
        Err(full @ JournalError::Full { .. }) => {
            let reserve = directory.join("reserve");
            if fs::remove_file(reserve).is_err() {
                return Err(full);
            }
            tracing::warn!("the disk is full: the reserve file was deleted to open the journal");
            open_store(directory, options)?
        }
        opened => opened?,
    };
    if let Err(error) = keep_reserve(directory, options.reserve_bytes) {
        tracing::warn!(%error, "no reserve for a full disk");
    }
    Ok((lock, store))
}

fn open_store(directory: &Path, options: &JournalOptions) -> Result<DirectoryStore, JournalError> {
    let format = read_format(directory)?;
    let log = directory.join("log");
    let mark = directory.join("acknowledged");
    let front = directory.join("front");
    if format == Some(DIRECTORY_FORMAT_VERSION) {
        let home = SledStore::open(&log, MarkFile::open(&mark)?)?;
        return FrontedStore::open(home, DiskFile::open(&front)?, options);
    }
    let home = if format == Some(FORMAT_WITHOUT_FRONT) {
        SledStore::open(&log, MarkFile::open(&mark)?)?
    } else {
        lay_out_log(directory, &log, &mark, &front)?
    };
    let store = FrontedStore::create(home, DiskFile::create(&front)?, options)?;
    sync_directory(directory)?;
    write_format(directory)?;
    sync_directory(directory)?;
    if let Some(parent) = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        sync_directory(parent)?;
    }
    Ok(store)
}

fn lay_out_log(
    directory: &Path,
    log: &Path,
    mark: &Path,
    front: &Path,
) -> Result<SledStore, JournalError> {
    let missing = || {
        let place = directory.join("format").to_string_lossy().into_owned();
        JournalError::corrupted("the file that tells the format is missing", place)
    };
    if front.exists() && DiskFile::open(front)?.is_used()? {
        return Err(missing());
    }
    let home = SledStore::open(log, MarkFile::create(mark)?)?;
    if home.last()?.is_some() {
        return Err(missing());
    }
    home.sync_layout()?;
    Ok(home)
}

fn read_format(directory: &Path) -> Result<Option<u32>, JournalError> {
    let path = directory.join("format");
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| JournalError::io("reading the format", &error))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let Ok(found) = text.trim().parse::<u32>() else {
        let place = path.to_string_lossy().into_owned();
        return Err(JournalError::corrupted(
            "the file that tells the format is damaged",
            place,
        ));
    };
    if !(FORMAT_WITHOUT_FRONT..=DIRECTORY_FORMAT_VERSION).contains(&found) {
        return Err(JournalError::FormatVersion {
            found,
            supported: DIRECTORY_FORMAT_VERSION,
        });
    }
    Ok(Some(found))
}

fn write_format(directory: &Path) -> Result<(), JournalError> {
    let failed = |error: io::Error| JournalError::io("writing the format", &error);
    let unfinished = directory.join("format.writing");
    let mut file = File::create(&unfinished).map_err(failed)?;
    writeln!(file, "{DIRECTORY_FORMAT_VERSION}").map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(unfinished, directory.join("format")).map_err(failed)
}

fn keep_reserve(directory: &Path, bytes: usize) -> Result<(), JournalError> {
    let path = directory.join("reserve");
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= bytes as u64) {
        return Ok(());
    }
    // Written and not merely sized: a hole would reserve nothing.
    let written = fs::write(&path, vec![0; bytes]);
    if let Err(error) = written {
        let half = fs::remove_file(&path);
        tracing::debug!(?half, "an incomplete reserve file was deleted");
        return Err(JournalError::io("writing the reserve file", &error));
    }
    Ok(())
}
