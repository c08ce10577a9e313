//! Who this node is: minted with its directory, kept there, never changed.

use std::sync::mpsc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_kv_journal::Journal;

use crate::error::EngineError;
use crate::gone::Existing;
use crate::limits::IDENTITY_BITS;
use crate::world::World;

const FORMAT_VERSION: u32 = 2;
/// The same, with the groups that exist before the cluster's name.
const FORMAT_VERSION_WITH_EXISTING: u32 = 3;
/// Before nodes could be given up for lost.
const FORMAT_VERSION_WITHOUT_LOST: u32 = 1;

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The cluster; 0 until the node belongs to one.
    pub cluster: u64,
    /// The node: random, minted with its directory.
    pub node: u64,
    /// How often the directory was opened, this time included.
    pub incarnation: u32,
    /// The cluster's name.
    pub cluster_name: String,
    /// Nodes that were given up for lost, the last one last: they are not listened to again.
    pub lost: Vec<u64>,
    /// Which groups exist, as far as the host said.
    pub existing: Existing,
}

impl NodeIdentity {
    /// Reads the identity, or mints one, and makes the new incarnation durable.
    pub(crate) fn open(
        journal: &Journal,
        cluster_name: &str,
        world: &World,
    ) -> Result<Self, EngineError> {
        let identity = match journal.identity() {
            Some(stored) => Self::decode(stored)?.next(cluster_name)?,
            None => Self::mint(cluster_name, world),
        };
        let (sender, receiver) = mpsc::channel();
        journal.save_identity(
            identity.encode(),
            Box::new(move |result| drop(sender.send(result))),
        );
        journal.work_off(tokio::time::Instant::now().into_std());
        receiver.recv().map_err(|_| EngineError::Closed)??;
        Ok(identity)
    }

    fn mint(cluster_name: &str, world: &World) -> Self {
        Self {
            cluster: 0,
            node: (world.random() >> (u64::BITS - IDENTITY_BITS)).max(1),
            incarnation: 1,
            cluster_name: cluster_name.into(),
            lost: Vec::new(),
            existing: Existing::default(),
        }
    }

    fn next(mut self, cluster_name: &str) -> Result<Self, EngineError> {
        if self.cluster_name != cluster_name {
            return Err(EngineError::ClusterMismatch {
                stored: self.cluster_name,
                given: cluster_name.into(),
            });
        }
        self.incarnation = self.incarnation.checked_add(1).ok_or_else(|| {
            EngineError::InvalidArgument("the directory was opened 2^32 times".into())
        })?;
        Ok(self)
    }

    /// As it is stored.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        let says_more = self.existing != Existing::default();
        bytes.put_u32_le(if says_more {
            FORMAT_VERSION_WITH_EXISTING
        } else {
            FORMAT_VERSION
        });
        bytes.put_u64_le(self.cluster);
        bytes.put_u64_le(self.node);
        bytes.put_u32_le(self.incarnation);
        bytes.put_u32_le(self.lost.len() as u32);
        self.lost.iter().for_each(|node| bytes.put_u64_le(*node));
        if says_more {
            self.existing.encode(&mut bytes);
        }
        bytes.put_slice(self.cluster_name.as_bytes());
        bytes.freeze()
    }

    /// As it was stored.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, EngineError> {
        let damaged = || EngineError::DataCorrupted("the node's identity is damaged".into());
        if bytes.len() < 24 {
            return Err(damaged());
        }
        let version = bytes.get_u32_le();
        let (cluster, node) = (bytes.get_u64_le(), bytes.get_u64_le());
        let incarnation = bytes.get_u32_le();
        let count = match version {
            FORMAT_VERSION | FORMAT_VERSION_WITH_EXISTING => {
                bytes.try_get_u32_le().map_err(|_| damaged())? as usize
            }
            FORMAT_VERSION_WITHOUT_LOST => 0,
            _ => return Err(damaged()),
        };
        if bytes.remaining() / 8 < count {
            return Err(damaged());
        }
        let lost = (0..count).map(|_| bytes.get_u64_le()).collect();
        let existing = match version {
            FORMAT_VERSION_WITH_EXISTING => Existing::decode(&mut bytes).ok_or_else(damaged)?,
            _ => Existing::default(),
        };
        Ok(Self {
            cluster,
            node,
            incarnation,
            lost,
            existing,
            cluster_name: String::from_utf8(bytes.to_vec()).map_err(|_| damaged())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_counts_openings() {
        let first = NodeIdentity::mint("orders", &World::default());
        assert!(first.node < 1 << 52 && first.cluster == 0);
        let second = NodeIdentity::decode(first.encode())
            .unwrap()
            .next("orders")
            .unwrap();
        assert_eq!(
            second,
            NodeIdentity {
                incarnation: 2,
                ..first.clone()
            }
        );
        let error = first.next("others").unwrap_err();
        assert_eq!(error.code(), "CLUSTER_MISMATCH");
    }

    #[test]
    fn refuses_damaged_bytes() {
        let mut identity = NodeIdentity::mint("orders", &World::default());
        identity.lost = vec![7, 1 << 51];
        let bytes = identity.encode();
        assert_eq!(NodeIdentity::decode(bytes.clone()).unwrap(), identity);
        for length in 0..28 + 16 {
            assert!(NodeIdentity::decode(bytes.slice(..length)).is_err());
        }
    }

    #[test]
    fn is_read_from_before_nodes_could_be_lost() {
        let identity = NodeIdentity::mint("orders", &World::default());
        let mut stored = BytesMut::from(&identity.encode()[..24]);
        stored[0] = 1;
        stored.put_slice(b"orders");
        assert_eq!(NodeIdentity::decode(stored.freeze()).unwrap(), identity);
    }
}
