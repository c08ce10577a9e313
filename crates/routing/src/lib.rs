//! raft-kv routing.
