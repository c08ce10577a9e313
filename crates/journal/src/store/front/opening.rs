//! Opening a front: which of its rounds the home still needs, and whether anything is missing.
//!
//! In an epoch every round is written once, so all whole records of the epoch are looked at, and
//! those beyond the home's last round have to continue it without a gap. What comes behind a gap
//! was never acknowledged if no record and no mark says that the missing round was durable; then
//! it is dropped, with a log line. Otherwise it is damage.

use std::collections::BTreeMap;

use crate::error::JournalError;

use super::file::FrontFile;
use super::record::{BLOCK_BYTES, Found, HEADER_BYTES, Header, RoundRecord};

/// What was found in a front file.
#[derive(Debug)]
pub(super) struct Opened {
    pub header: Header,
    /// The rounds that have to be written to the home, in order.
    pub rounds: Vec<RoundRecord>,
}

fn damaged(what: impl Into<String>, place: impl std::fmt::Display) -> JournalError {
    JournalError::corrupted(what, format!("the front file, {place}"))
}

/// What the records of an epoch say together.
struct Survey {
    rounds: BTreeMap<u64, RoundRecord>,
    unfinished: Vec<u64>,
    home: u64,
    synced: u64,
}

fn survey(header: &Header, file: &[u8]) -> Result<Survey, JournalError> {
    let mut survey = Survey {
        rounds: BTreeMap::new(),
        unfinished: Vec::new(),
        home: header.home,
        synced: header.home,
    };
    let mut offset = HEADER_BYTES;
    while offset < file.len() {
        match RoundRecord::find(header, file, offset) {
            Found::Nothing => offset += BLOCK_BYTES,
            Found::Unfinished(round) => {
                survey.unfinished.push(round);
                offset += BLOCK_BYTES;
            }
            Found::Later => {
                return Err(damaged(
                    "its newest header is lost",
                    format!("offset {offset}"),
                ));
            }
            Found::Whole(record, claims) => {
                offset += record.file_bytes();
                survey.home = survey.home.max(claims.home);
                survey.synced = survey.synced.max(claims.synced).max(claims.home);
                let round = record.round;
                if survey.rounds.insert(round, record).is_some() {
                    return Err(damaged("a round is there twice", format!("round {round}")));
                }
            }
        }
    }
    Ok(survey)
}

/// Reads a front whose home holds rounds up to `home_last`; `mark` is the last round known to have
/// been acknowledged.
pub(super) fn open(
    file: &impl FrontFile,
    home_last: u64,
    mark: u64,
) -> Result<Opened, JournalError> {
    let bytes = file.read()?;
    let Some(header) = Header::find(&bytes) else {
        return Err(damaged("its header is damaged", "offset 0"));
    };
    if bytes.len() as u64 != HEADER_BYTES as u64 + 2 * header.half_bytes {
        let what = format!("it has {} bytes, which is not its size", bytes.len());
        return Err(damaged(what, "its end"));
    }
    let Survey {
        rounds,
        unfinished,
        home,
        synced,
    } = survey(&header, &bytes)?;
    if home_last < home {
        let what = format!(
            "rounds {} to {home} of the log are missing at its end",
            home_last + 1
        );
        return Err(JournalError::corrupted(
            what,
            format!("round {}", home_last + 1),
        ));
    }
    // The home's last round may be torn there: it is written again with the others.
    let mut needed = rounds
        .into_iter()
        .skip_while(|(round, _)| *round < home_last)
        .peekable();
    let mut next = home_last + 1;
    let mut taken = Vec::new();
    while let Some((round, record)) = needed.next_if(|(round, _)| *round <= next) {
        next = round + 1;
        taken.push(record);
    }
    let torn = unfinished.contains(&next);
    let something_follows = torn || needed.peek().is_some();
    if next <= synced || (something_follows && next <= mark) {
        let what = if torn {
            "a round is damaged: its checksum does not fit"
        } else {
            "a round is missing"
        };
        return Err(damaged(what, format!("round {next}")));
    }
    if something_follows {
        tracing::warn!(
            round = next,
            "the last round was never completed nor acknowledged: dropped"
        );
    }
    Ok(Opened {
        header,
        rounds: taken,
    })
}
