//! How a consumer gets what there is: from a fellow that has it, by comparing with it; or, as the first one, from the
//! hosts that the control plane's facts name, neighborhood by neighborhood.

use std::collections::{BTreeMap, BTreeSet};

use super::{Configs, Output, Surroundings, scope};
use crate::context::Context;
use crate::facts::Facts;
use crate::ids::{NeighborhoodId, NodeId};
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// After so many rounds without any answer, hosts that nobody can answer for are left to themselves: they offer
/// what they have.
const ROUNDS: u32 = 5;
/// So few hosts are asked one by one: their own word is the freshest. Of more, few answer for many.
const ASKED_THEMSELVES: usize = 64;
/// How many neighborhoods are asked in one round.
const HOODS_AT_ONCE: usize = 256;
/// How many fellows are tried before the hosts are asked.
const SOURCES: usize = 3;
/// How many hosts of whom nothing is held are asked for in each period.
const LACKING_AT_ONCE: usize = 8;

/// How far a consumer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Bootstrap {
    /// This node consumes nothing.
    #[default]
    NotNeeded,
    /// It makes itself equal to a fellow.
    Comparing {
        /// Those that did not answer, or did not have all themselves.
        tried: BTreeSet<NodeId>,
    },
    /// There is no complete fellow: it asks the hosts and those who answer for them.
    Asking(Asking),
    /// It has what there is; comparing keeps it so.
    Complete,
}

/// What was asked of hosts and their neighbors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asking {
    /// Hosts that nobody has answered for since: what the own cache held may be old.
    open: BTreeSet<NodeId>,
    /// How often each neighborhood was asked.
    asked: BTreeMap<NeighborhoodId, usize>,
    /// Rounds without any answer.
    rounds: u32,
}

impl Bootstrap {
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Bootstrap::NotNeeded | Bootstrap::Complete)
    }
}

impl Configs {
    pub(super) fn begin_bootstrap(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if !self.roster.is_consumer() {
            self.bootstrap = Bootstrap::NotNeeded;
            return;
        }
        self.outputs.push_back(Output::Completeness { complete: false });
        self.bootstrap = Bootstrap::Comparing { tried: BTreeSet::new() };
        self.choose_source(around, ctx);
    }

    /// A round went by.
    pub(super) fn bootstrap_on(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        match &mut self.bootstrap {
            Bootstrap::Comparing { .. } if self.exchanges.is_asking() => {}
            Bootstrap::Comparing { .. } => self.choose_source(around, ctx),
            Bootstrap::Asking(asking) => {
                asking.rounds += 1;
                if asking.rounds > ROUNDS {
                    self.complete(around, ctx);
                } else {
                    self.ask_hosts(around, ctx);
                }
            }
            Bootstrap::NotNeeded | Bootstrap::Complete => {}
        }
    }

    /// Of a consumer that compares to become complete: a fellow that consumes all that this node does, and was not tried;
    /// else the hosts themselves.
    pub(super) fn choose_source(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Bootstrap::Comparing { tried } = &self.bootstrap else { return };
        let exhausted = tried.len() >= SOURCES;
        let open = |fellow: &NodeId| !tried.contains(fellow) && !self.is_silent(*fellow, around);
        let sources: Vec<NodeId> = self.roster.sources(ctx.node).into_iter().filter(open).collect();
        match ctx.rng.sample(&sources, usize::from(!exhausted)).pop() {
            Some(source) => self.compare_with(source, 0, around, ctx),
            // Those who answer for hosts hold a slice of the facts: they know the listed consumers, and no others.
            None if scope::is_listed(around.facts, ctx.node) => {
                let hosts: BTreeSet<NodeId> = self.store.summary().hosts().filter(|&host| host != ctx.node).collect();
                self.bootstrap = Bootstrap::Asking(Asking { open: hosts, ..Asking::default() });
                self.ask_hosts(around, ctx);
            }
            None => self.bootstrap = Bootstrap::Comparing { tried: BTreeSet::new() },
        }
    }

    /// A fellow did not answer.
    pub(super) fn source_failed(&mut self, source: NodeId) {
        if let Bootstrap::Comparing { tried } = &mut self.bootstrap {
            tried.insert(source);
        }
    }

    /// This store holds all that a fellow holds, which is `complete` or not.
    pub(super) fn source_settled(&mut self, source: NodeId, complete: bool, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if complete {
            self.complete(around, ctx);
        } else {
            // It is itself new: what it holds helps, the rest must come from others.
            self.source_failed(source);
            self.choose_source(around, ctx);
        }
    }

    /// The first consumer's way. The facts name all hosts; where these are many, a few in each neighborhood hold the
    /// configs of all of it, those of the dead among them.
    fn ask_hosts(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Bootstrap::Asking(asking) = &mut self.bootstrap else { return };
        asking.open.retain(|host| around.facts.member(*host).is_some());
        let few = asking.open.len() <= ASKED_THEMSELVES;
        let mut requests = Vec::new();
        for (hood, members, open) in by_neighborhood(around.facts, &asking.open).into_iter().take(HOODS_AT_ONCE) {
            let asked = asking.asked.entry(hood).or_insert(0);
            let attempt = *asked;
            *asked += 1;
            let (near, cut_off): (Vec<NodeId>, Vec<NodeId>) = open.into_iter().partition(|&host| around.reachable(host));
            let themselves = few || attempt > 0;
            let by_delegate: Vec<NodeId> = if few && attempt == 0 { cut_off } else { near.iter().copied().chain(cut_off).collect() };
            if themselves {
                requests.extend(near.iter().map(|&host| (host, vec![host])));
            }
            let able: Vec<NodeId> = members.into_iter().filter(|&node| node != ctx.node && around.reachable(node)).collect();
            let delegate = able.get(attempt % able.len().max(1)).filter(|_| !by_delegate.is_empty());
            requests.extend(delegate.map(|&delegate| (delegate, by_delegate)));
        }
        if asking.open.is_empty() {
            self.complete(around, ctx);
        }
        for (whom, nodes) in requests {
            ctx.send(whom, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes }));
        }
    }

    /// Configs came, or word that there are none.
    pub(super) fn hosts_answered(
        &mut self,
        from: NodeId,
        given: &BTreeSet<NodeId>,
        missing: &[NodeId],
        around: &Surroundings<'_>,
        ctx: &mut Context<'_>,
    ) {
        // Only the host itself can say that there is nothing.
        let nothing = missing.contains(&from);
        if nothing {
            self.empty.insert(from);
        }
        let Bootstrap::Asking(asking) = &mut self.bootstrap else { return };
        let before = asking.open.len();
        asking.open.retain(|host| !(given.contains(host) || nothing && *host == from));
        if asking.open.len() < before {
            asking.rounds = 0;
        }
        let unknown: Vec<NodeId> = missing.iter().copied().filter(|host| *host != from && asking.open.contains(host)).collect();
        let is_over = asking.open.is_empty();
        for host in unknown.into_iter().filter(|&host| around.reachable(host)) {
            ctx.send(host, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes: vec![host] }));
        }
        if is_over {
            self.complete(around, ctx);
        }
    }

    /// Some hosts of whom nothing is held, and who have not said that there is nothing, are asked for again.
    pub(super) fn ask_lacking(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if !scope::is_listed(around.facts, ctx.node) {
            return;
        }
        let lacking: Vec<NodeId> = self.store.summary().lacking().iter().copied().filter(|host| !self.empty.contains(host)).collect();
        for host in ctx.rng.sample(&lacking, LACKING_AT_ONCE) {
            let near = around.facts.neighborhood_of(host).map(|hood| scope::delegates(around.facts, hood, host)).unwrap_or_default();
            let near: Vec<NodeId> = near.into_iter().take(ctx.settings.configs.neighbors).collect();
            let delegate = ctx.rng.sample(&near, 1);
            let own = ctx.node;
            for node in std::iter::once(host).chain(delegate).filter(|&node| node != own && around.reachable(node)) {
                ctx.send(node, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes: vec![host] }));
            }
        }
    }

    fn complete(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        self.bootstrap = Bootstrap::Complete;
        self.outputs.push_back(Output::Completeness { complete: true });
        let fellows: Vec<NodeId> = self.roster.fellows(ctx.node).into_iter().filter(|&fellow| !self.is_silent(fellow, around)).collect();
        if let Some(with) = ctx.rng.sample(&fellows, 1).pop().filter(|_| !self.exchanges.is_asking()) {
            self.compare_with(with, 0, around, ctx);
        }
    }
}

/// The neighborhoods of `open`: each with its members in the order in which they answer for it, and with those of
/// `open` that are its.
fn by_neighborhood(facts: &Facts, open: &BTreeSet<NodeId>) -> Vec<(NeighborhoodId, Vec<NodeId>, Vec<NodeId>)> {
    let of = |(&id, hood): (&NeighborhoodId, &crate::facts::Neighborhood)| {
        let inside: Vec<NodeId> = hood.members.iter().copied().filter(|host| open.contains(host)).collect();
        (!inside.is_empty()).then(|| (id, scope::delegates(facts, (id, hood), NodeId::NONE), inside))
    };
    facts.neighborhoods().iter().filter_map(of).collect()
}
