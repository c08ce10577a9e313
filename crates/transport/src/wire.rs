//! The generated messages and service of `proto/link.proto`.

#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated; proto/link.proto has the documentation"
)]

tonic::include_proto!("raft_kv.link.v1");
