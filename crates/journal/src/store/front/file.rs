//! The file of a front: read whole at opening, overwritten in place, never longer or shorter.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use parking_lot::Mutex;

use crate::error::JournalError;

use super::record::Header;

/// What a front needs of its file.
///
/// To be correct, an implementation must
/// - keep all that was written before a `sync` that returned `Ok`,
/// - after a crash hold of each block either what was written last or what was there before,
///   where nothing was synced in between; blocks that were not written are as they were.
pub(crate) trait FrontFile: Send + Sync {
    /// All bytes.
    fn read(&self) -> Result<Vec<u8>, JournalError>;

    /// Overwrites bytes, or adds them at the end.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), JournalError>;

    /// Makes all that was written durable.
    fn sync(&self) -> Result<(), JournalError>;
}

/// A front's file on disk.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: Mutex<File>,
}

impl DiskFile {
    /// Makes an empty file, whatever was there.
    pub(crate) fn create(path: &Path) -> Result<DiskFile, JournalError> {
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(true);
        let opened = open.open(path);
        opened
            .map(DiskFile::new)
            .map_err(|error| JournalError::io("making the front file", &error))
    }

    /// Opens a file that has to be there.
    pub(crate) fn open(path: &Path) -> Result<DiskFile, JournalError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(JournalError::corrupted(
                "the front file is missing",
                path.to_string_lossy(),
            )),
            opened => opened
                .map(DiskFile::new)
                .map_err(|error| JournalError::io("opening the front file", &error)),
        }
    }

    /// Whether it was ever written to after it was made.
    pub(crate) fn is_used(&self) -> Result<bool, JournalError> {
        Ok(Header::find(&self.read()?).is_some_and(|header| !header.is_first()))
    }

    fn new(file: File) -> DiskFile {
        DiskFile {
            file: Mutex::new(file),
        }
    }
}

impl FrontFile for DiskFile {
    fn read(&self) -> Result<Vec<u8>, JournalError> {
        let mut file = self.file.lock();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut bytes))
            .map_err(|error| JournalError::io("reading the front file", &error))?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(bytes))
            .map_err(|error| JournalError::io("writing the front file", &error))
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.file
            .lock()
            .sync_data()
            .map_err(|error| JournalError::io("syncing the front file", &error))
    }
}
