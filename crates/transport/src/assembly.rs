//! Puts items together that came in parts.

use bytes::BytesMut;
use prost::Message;

use crate::limits::ITEM_BYTES_MAX;
use crate::wire;

/// The item that is being put together on one stream.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    bytes: BytesMut,
}

impl Assembly {
    /// Takes the next part; gives the item when it was the last one.
    pub(crate) fn take(&mut self, part: &wire::Part) -> Result<Option<wire::Item>, &'static str> {
        if self.bytes.len() + part.bytes.len() > ITEM_BYTES_MAX {
            return Err("an item is longer than any may be");
        }
        self.bytes.extend_from_slice(&part.bytes);
        if !part.last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.bytes).freeze();
        wire::Item::decode(whole)
            .map(Some)
            .map_err(|_| "an item that came in parts does not decode")
    }

    /// The items of a frame, in order: the one that its part completes, or those in it.
    pub(crate) fn items(&mut self, frame: wire::Frame) -> Result<Vec<wire::Item>, &'static str> {
        let mut items = frame.items;
        if let Some(part) = &frame.part {
            if !items.is_empty() {
                return Err("a frame has a part and whole items");
            }
            items.extend(self.take(part)?);
        } else if !items.is_empty() && !self.bytes.is_empty() {
            return Err("an item began before another one was complete");
        }
        Ok(items)
    }
}
