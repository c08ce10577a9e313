//! Who may talk to this node: the rules for the first frame of a stream, without any state.

use crate::error::{Refusal, RefusalReason};
use crate::handler::PeerIdentity;
use crate::limits::{ADDRESS_BYTES_MAX, CLUSTER_NAME_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN};
use crate::options::Identity;
use crate::wire;

/// This node, as it introduces itself.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    pub identity: Identity,
    pub instance: u64,
    pub format_version: u32,
    pub address: String,
}

impl Introduction {
    /// The hello to whoever is meant; 0 if anybody is.
    pub(crate) fn hello(&self, expected_node: u64) -> wire::Hello {
        wire::Hello {
            cluster_name: self.identity.cluster_name.clone(),
            cluster: self.identity.cluster,
            node: self.identity.node,
            incarnation: self.identity.incarnation,
            instance: self.instance,
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            format_version: self.format_version,
            address: self.address.clone(),
            expected_node,
        }
    }

    /// Whether this node talks to the one that said `hello`, which is meant to be node `expected`
    /// (0: any).
    pub(crate) fn examine(
        &self,
        hello: &wire::Hello,
        expected: u64,
    ) -> Result<PeerIdentity, Refusal> {
        let own = &self.identity;
        let refuse = |reason, text: String| Err(Refusal::ours(reason, text));
        if !is_well_formed(hello) {
            return refuse(RefusalReason::Malformed, "the hello is malformed".into());
        }
        let them = format!("node {} at {}", hello.node, hello.address);
        let us = format!("node {} at {}", own.node, self.address);
        let protocol = common_protocol(hello).ok_or_else(|| {
            let text = format!(
                "{them} speaks protocol {} to {}, {us} {PROTOCOL_MIN} to {PROTOCOL_MAX}",
                hello.protocol_min, hello.protocol_max
            );
            Refusal::ours(RefusalReason::NoCommonVersion, text)
        })?;
        if hello.cluster_name != own.cluster_name {
            return refuse(
                RefusalReason::OtherName,
                format!(
                    "{them} belongs to cluster {:?}, {us} to {:?}",
                    hello.cluster_name, own.cluster_name
                ),
            );
        }
        if hello.node == own.node && hello.instance == self.instance {
            return refuse(
                RefusalReason::OwnNode,
                format!("{them} is this node itself"),
            );
        }
        if hello.node == own.node {
            let text = "one of them has a copy of the other's data directory";
            return refuse(
                RefusalReason::DuplicateNode,
                format!("{them} and {us} have the same id: {text}"),
            );
        }
        if hello.cluster != own.cluster && hello.cluster != 0 && own.cluster != 0 {
            return refuse(
                RefusalReason::OtherCluster,
                format!(
                    "{them} belongs to another cluster named {:?} ({}) than {us} ({})",
                    own.cluster_name, hello.cluster, own.cluster
                ),
            );
        }
        if hello.expected_node != 0 && hello.expected_node != own.node {
            return refuse(
                RefusalReason::OtherNode,
                format!(
                    "{them} looks for node {} and found {us}",
                    hello.expected_node
                ),
            );
        }
        if expected != 0 && hello.node != expected {
            return refuse(
                RefusalReason::OtherNode,
                format!("{us} looks for node {expected} and found {them}"),
            );
        }
        Ok(PeerIdentity {
            node: hello.node,
            incarnation: hello.incarnation,
            cluster: hello.cluster,
            address: hello.address.as_str().into(),
            protocol,
            format_version: hello.format_version,
        })
    }
}

fn is_well_formed(hello: &wire::Hello) -> bool {
    hello.node != 0
        && hello.address.len() <= ADDRESS_BYTES_MAX
        && hello.cluster_name.len() <= CLUSTER_NAME_BYTES_MAX
        && hello.protocol_min <= hello.protocol_max
}

/// The newest protocol that both sides speak.
fn common_protocol(hello: &wire::Hello) -> Option<u32> {
    let newest = hello.protocol_max.min(PROTOCOL_MAX);
    (newest >= hello.protocol_min.max(PROTOCOL_MIN)).then_some(newest)
}

/// A refusal as it is sent.
pub(crate) fn refusal_to_wire(refusal: &Refusal) -> wire::Refusal {
    wire::Refusal {
        reason: refusal.reason as u32,
        text: crate::error::clipped(&refusal.text).to_owned(),
    }
}

/// A refusal as it was received.
pub(crate) fn refusal_from_wire(refusal: wire::Refusal) -> Refusal {
    Refusal {
        reason: RefusalReason::from_number(refusal.reason),
        text: crate::error::clipped(&refusal.text).to_owned(),
        by_this_node: false,
    }
}
