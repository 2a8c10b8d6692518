//! What those who answer for a neighborhood owe it: they hold the configs of its hosts, and hand those of the dead on
//! when one of them goes. A host that lives does that itself.

use super::{Configs, Surroundings, scope};
use crate::context::Context;
use crate::ids::NodeId;
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

impl Configs {
    /// This start may have lost what it held for its neighborhood: the hosts of whom nothing is held are asked.
    pub(super) fn take_over(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        for host in self.answered_for(around, ctx) {
            if self.store.version(host).is_none() && around.reachable(host) {
                ctx.send(host, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes: vec![host] }));
            }
        }
    }

    /// Those who answer for the neighborhood may be others than before: the configs of its hosts that can not speak for
    /// themselves are offered to them.
    pub(super) fn hand_over(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let own = ctx.node;
        let Some(hood) = around.facts.neighborhood_of(own) else { return };
        let mute = hood.1.members.iter().copied().filter(|&host| host != own && !around.reachable(host));
        for (host, entry) in mute.filter_map(|host| Some((host, self.store.entry(host)?))) {
            let able = scope::delegates(around.facts, hood, host).into_iter().filter(|&node| around.reachable(node));
            for node in able.take(ctx.settings.configs.neighbors).filter(|&node| node != own) {
                let offer = ConfigsMessage::Offer { entry: entry.clone(), root: NodeId::NONE };
                ctx.send(node, Channel::Ordered, Message::Configs(offer));
            }
        }
    }

    /// The hosts of the own neighborhood that this node answers for.
    fn answered_for(&self, around: &Surroundings<'_>, ctx: &Context<'_>) -> Vec<NodeId> {
        let Some(hood) = around.facts.neighborhood_of(ctx.node) else { return Vec::new() };
        let answers = |host: &NodeId| {
            let able = scope::delegates(around.facts, hood, *host).into_iter().filter(|&node| around.reachable(node));
            able.take(ctx.settings.configs.neighbors).any(|node| node == ctx.node)
        };
        let hosts = hood.1.members.iter().copied().filter(|&host| host != ctx.node);
        hosts.filter(|host| around.facts.member(*host).is_some_and(|record| record.is_host())).filter(answers).collect()
    }
}
