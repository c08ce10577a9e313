//! Tests of what is not public: rules, decoders, and other versions of the protocol.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod decoders;
mod hello;
mod hostile;
mod quiet;
mod versions;
