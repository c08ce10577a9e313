//! raft-kv engine.
