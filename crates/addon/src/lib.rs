//! raft-kv addon.
