mod bootstrap;
mod comparing;
mod disks;
mod net;
mod publish;
mod resync;
mod scale;
mod store;

use super::*;
use crate::context::Recipient;
use crate::fixture::{CheapKeys, Surround, id, kind};
use crate::wire::config::{HostConfig, Section};
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// A config of a host that signed it.
fn config(counter: u64, seq: u64, body: &'static [u8]) -> HeldConfig {
    let section = Section { kind: kind("host"), body: bytes::Bytes::from_static(body) };
    let config = HostConfig { node: id(counter), seq: Seq(seq), sections: vec![section] };
    HeldConfig { member: id(counter), config: SignedConfig::new(config, &CheapKeys::of(counter)) }
}

fn around(facts: &Facts) -> Surroundings<'_> {
    static NONE: std::sync::OnceLock<OrdSet<NodeId>> = std::sync::OnceLock::new();
    Surroundings { facts, unreachable: NONE.get_or_init(OrdSet::new) }
}

fn offers(surround: &mut Surround) -> Vec<NodeId> {
    let offers = surround.sent().into_iter().filter(|out| matches!(out.message, Message::Configs(ConfigsMessage::Offer { .. })));
    offers.map(|out| if let Recipient::Node(node) = out.to { node } else { panic!("offers go to members") }).collect()
}
