//! The disks of a cluster that was formed and then switched off as a whole, as if by a power cut.
//!
//! A simulation of thousands of nodes starts from these, instead of letting each of them join: every node resumes.

use bytes::Bytes;

use super::Birth;
use crate::control;
use crate::facts::{Facts, NeighborhoodLimits};
use crate::ids::{BootNonce, Epoch, NodeId, Seq};
use crate::keys::Keys;
use crate::storage::{CHECKPOINT_KEY, FACTS_KEY, Identity, Recovered, RecoveredLog, config_key};
use crate::wire::codec;
use crate::wire::config::{HeldConfig, SignedConfig};
use crate::wire::event::Checkpoint;
use crate::wire::member::MemberRecord;

/// A cluster that is switched off.
pub struct FormedCluster {
    facts: Facts,
    log: RecoveredLog,
    checkpoint: Bytes,
    everything: Bytes,
}

impl FormedCluster {
    /// The cluster of `first`, who gave birth to it and whose keys are `keys`, and `others`, who joined in this order. The
    /// first `voters` of them vote. What their records say of ids and indices does not matter: both are given here.
    pub fn new(
        birth: Birth,
        limits: NeighborhoodLimits,
        first: MemberRecord,
        others: impl IntoIterator<Item = MemberRecord>,
        voters: u64,
        keys: &dyn Keys,
    ) -> Self {
        let epoch = Epoch { generation: 1, number: 1, tag: birth.tag };
        let formed = control::Formed::new(birth.cluster, epoch, limits, first, others, voters);
        let facts = formed.facts().clone();
        let (position, voter) = (facts.position(), NodeId::new(1, 1));
        let digest = Checkpoint::digest(birth.cluster, epoch, position.index, &position.chain, voter);
        let signature = keys.sign(&digest);
        let checkpoint = Checkpoint { cluster: birth.cluster, epoch, index: position.index, chain: position.chain, voter, signature };
        FormedCluster { log: formed.log(), checkpoint: codec::encode(&checkpoint).into(), everything: codec::encode(&facts).into(), facts }
    }

    /// The fold of the events up to where it was switched off.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What `node` finds when it is switched on: its identity, its slice of the facts (or all of them), the Raft log where
    /// it votes, its own config and those that it held of others. `None` where it is no member.
    pub fn disk_of(&self, node: NodeId, own: Option<SignedConfig>, held: &[(Bytes, Bytes)]) -> Option<Recovered> {
        let name = self.facts.member(node)?.name.clone();
        let digest = self.facts.digest_for(node)?;
        let facts = if digest.is_full() { self.everything.clone() } else { codec::encode(&digest).into() };
        let reserved_seq = own.as_ref().map_or(Seq(0), |own| own.config.seq);
        let was_voter = self.facts.is_voter(node);
        let (cluster, epoch) = (self.facts.cluster(), self.facts.epoch());
        let mut cache = vec![(FACTS_KEY, facts), (CHECKPOINT_KEY, self.checkpoint.clone())];
        cache.extend_from_slice(held);
        Some(Recovered {
            identity: Some(Identity { cluster, epoch, node, name, was_voter, boot: BootNonce::new(1, 0), reserved_seq }),
            log: was_voter.then(|| self.log.clone()),
            own,
            cache,
        })
    }
}

/// How a consumer or neighbor keeps a config in its cache: the record that [`FormedCluster::disk_of`] takes.
pub fn config_record(held: &HeldConfig) -> (Bytes, Bytes) {
    (config_key(held.member), codec::encode(held).into())
}
