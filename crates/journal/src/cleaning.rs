//! Cleaning: what is still needed of the oldest rounds is written again, so that they can go.
//!
//! The rounds go only after a round that holds the rewritten records, and says that older rounds
//! are not needed, is durable.

use crate::error::JournalError;
use crate::limits::{CLEAN_BYTES_PER_TURN, CLEAN_DEAD_PER_LIVE, IDLE_RETIRE_BYTES};
use crate::record::{Place, Records};
use crate::shared::{RecordReader, Shared};

/// One bounded turn of cleaning, if dead bytes outgrew what is tolerated. Returns whether
/// anything was done.
pub(crate) fn clean_turn(shared: &Shared) -> Result<bool, JournalError> {
    let oldest = {
        let book = shared.book.lock();
        let ledger = &book.rounds.ledger;
        let dead = ledger.dead_bytes();
        let tolerated = ledger.live_bytes() * CLEAN_DEAD_PER_LIVE;
        if book.check_open().is_err() || book.rounds.moving() > 0 {
            return Ok(false);
        }
        if dead <= tolerated.max(shared.options.clean_dead_bytes_min) {
            return Ok(false);
        }
        let mut read = 0;
        let budget = |&(_, bytes): &(u64, u64)| {
            let within = read < CLEAN_BYTES_PER_TURN;
            read += bytes;
            within
        };
        let live = ledger.oldest_live(book.rounds.written);
        live.take_while(budget)
            .map(|(round, _)| round)
            .collect::<Vec<_>>()
    };
    for round in oldest {
        let bytes = shared.with_store(|store| RecordReader::new(store).round(round))?;
        let mut book = shared.book.lock();
        if book.failure.is_some() {
            return Ok(false);
        }
        for record in Records::new(round, &bytes) {
            let record = record?;
            let length = record.content.len() as u32;
            book.renew(
                &record,
                Place {
                    round,
                    offset: record.offset,
                    bytes: length,
                },
            );
        }
    }
    let mut book = shared.book.lock();
    if book.failure.is_some() {
        return Ok(false);
    }
    book.rounds.seal();
    Ok(true)
}

/// While nothing else is written, writes a round for the sake of the old rounds that can go with
/// it, if there are enough of them. Returns whether it did.
pub(crate) fn retire_idle(shared: &Shared) -> bool {
    let mut book = shared.book.lock();
    let limit = book.rounds.filling_number();
    let bytes = book.rounds.ledger.retirable_bytes(limit, IDLE_RETIRE_BYTES);
    let worth = bytes >= IDLE_RETIRE_BYTES && book.check_open().is_ok();
    if worth {
        book.rounds.seal();
    }
    worth
}
