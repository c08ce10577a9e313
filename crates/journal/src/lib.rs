//! raft-kv journal.
