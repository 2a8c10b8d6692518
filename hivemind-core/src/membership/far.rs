//! Far links: a few members of other neighborhoods, so that all neighborhoods make one connected graph.
//!
//! A node knows only its own neighborhood. What it knows of others it is told: in turn it asks each of its
//! links for a *sample*, a few members at random, and gives one itself, so that what everyone knows is
//! mixed all the time (peer sampling: Jelasity et al., 2007). A link lasts, since a connection is dear;
//! only one in eight answers swaps it for another, and one that does not answer twice is given up for one
//! of a small reserve. A node that knows nobody asks a voter: those know everybody.
//!
//! Nothing in a sample is proven. An id that does not live is dropped; where this node holds the record of a
//! member, the record counts; a false key finds nobody, so it costs a link for a few seconds. Only who was
//! asked can tell of others: the unasked can only introduce itself.

use crate::context::{Context, Junk};
use crate::facts::Facts;
use crate::ids::{NeighborhoodId, NodeId};
use crate::rng::Rng;
use crate::timers::Timer;
use crate::wire::frame::Channel;
use crate::wire::member::{Acquaintance, MAX_ADDRESSES};
use crate::wire::message::{self, Message};

/// No sample has more members.
const SAMPLE_LIMIT: usize = 8;
/// So many members are in a sample: the sender, a neighbor of its, and far ones.
const SAMPLE: usize = 4;
/// So many addresses of each.
const ADDRESSES: usize = 4;
/// So many are kept beside the links.
const RESERVE: usize = 5;
/// One answer in so many swaps the link that gave it for one of the reserve.
const SWAP_ONE_IN: u64 = 8;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// The next link is asked when the timer is due.
    #[default]
    Next,
    /// This one was asked.
    Awaiting {
        node: NodeId,
        /// Whether it was for the second time.
        again: bool,
    },
    /// The last one that was asked answered.
    Answered,
}

/// The far links of one node.
#[derive(Default)]
pub(super) struct FarLinks {
    /// In use; the next to be asked first.
    links: Vec<Acquaintance>,
    /// To take the place of a link.
    reserve: Vec<Acquaintance>,
    turn: Turn,
    /// Who may tell of others.
    asked: Option<NodeId>,
    /// The present chain of timers.
    round: u64,
}

impl FarLinks {
    /// Begins a chain of samples, at once: a node that has no link should soon have one.
    pub(super) fn start(&mut self, round: u64, ctx: &mut Context<'_>) {
        self.round = round;
        self.turn = Turn::Next;
        let delay = ctx.rng.duration_below(ctx.settings.membership.sample_timeout);
        ctx.after(delay, Timer::Sample { round });
    }

    /// The links in use.
    pub(super) fn links(&self) -> impl Iterator<Item = &Acquaintance> {
        self.links.iter()
    }

    /// What is known of a member, in use or not.
    pub(super) fn find(&self, node: NodeId) -> Option<&Acquaintance> {
        self.links.iter().chain(&self.reserve).find(|known| known.node == node)
    }

    /// It is no member any more, or a neighbor now, or does not answer.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.links.retain(|known| known.node != node);
        self.reserve.retain(|known| known.node != node);
        if matches!(self.turn, Turn::Awaiting { node: asked, .. } if asked == node) {
            self.turn = Turn::Next;
        }
    }

    /// A frame of it came.
    pub(super) fn heard_from(&mut self, node: NodeId) {
        if matches!(self.turn, Turn::Awaiting { node: asked, .. } if asked == node) {
            self.turn = Turn::Answered;
        }
    }

    /// Takes what is told of others, as far as `is_far` lets it: the links are filled up first.
    pub(super) fn learn(
        &mut self,
        told: impl IntoIterator<Item = Acquaintance>,
        wanted: usize,
        rng: &mut Rng,
        is_far: impl Fn(NodeId) -> bool,
    ) {
        for acquaintance in told {
            if !is_far(acquaintance.node) {
                continue;
            }
            if let Some(known) = self.reserve.iter_mut().find(|known| known.node == acquaintance.node) {
                *known = acquaintance;
            } else if self.links.iter().any(|known| known.node == acquaintance.node) {
                // A link that works is not changed on others' word; one that does not is dropped.
            } else if self.reserve.len() < RESERVE {
                self.reserve.push(acquaintance);
            } else {
                let at = rng.below(RESERVE as u64) as usize;
                self.reserve[at] = acquaintance;
            }
            self.fill(wanted, rng);
        }
    }

    /// Makes links of the reserve up to `wanted`; of neighborhoods that have none yet first.
    fn fill(&mut self, wanted: usize, rng: &mut Rng) {
        while self.links.len() < wanted && !self.reserve.is_empty() {
            let fresh: Vec<usize> = (0..self.reserve.len()).filter(|&at| !self.is_linked(self.reserve[at].neighborhood)).collect();
            let choice = rng.sample(&fresh, 1).first().copied();
            let at = choice.unwrap_or_else(|| rng.below(self.reserve.len() as u64) as usize);
            self.links.push(self.reserve.remove(at));
        }
    }

    fn is_linked(&self, neighborhood: NeighborhoodId) -> bool {
        self.links.iter().any(|link| link.neighborhood == neighborhood)
    }

    /// Whether there is another link to the neighborhood of the link `node`.
    fn is_doubled(&self, node: NodeId) -> bool {
        let home = self.links.iter().find(|link| link.node == node).map(|link| link.neighborhood);
        home.is_some_and(|home| self.links.iter().filter(|link| link.neighborhood == home).count() > 1)
    }

    /// The link `node` makes room for one of the reserve, if there is one of a neighborhood without link.
    fn swap(&mut self, node: NodeId, rng: &mut Rng) {
        let Some(link) = self.links.iter().position(|link| link.node == node) else { return };
        let old = self.links.remove(link);
        let fresh: Vec<usize> = (0..self.reserve.len()).filter(|&at| !self.is_linked(self.reserve[at].neighborhood)).collect();
        match rng.sample(&fresh, 1).first() {
            Some(&at) => self.links.push(std::mem::replace(&mut self.reserve[at], old)),
            None => self.links.push(old),
        }
    }

    /// A few of whom this node knows, of other neighborhoods.
    fn some(&self, count: usize, rng: &mut Rng) -> Vec<Acquaintance> {
        let all: Vec<&Acquaintance> = self.links.iter().chain(&self.reserve).collect();
        rng.sample(&all, count).into_iter().cloned().collect()
    }

    /// The timer is due: asks the next link, or sees whether the last one answered.
    pub(super) fn handle_timer(&mut self, round: u64, facts: &Facts, voters: &[NodeId], ctx: &mut Context<'_>) {
        if round != self.round {
            return;
        }
        let settings = &ctx.settings.membership;
        let (wanted, period, patience) = (settings.far_links, settings.sample_period, settings.sample_timeout);
        if facts.neighborhood_count() < 2 || wanted == 0 {
            *self = FarLinks { round, ..FarLinks::default() };
            let pause = period / 2 + ctx.rng.duration_below(period);
            return ctx.after(pause.max(patience), Timer::Sample { round });
        }
        let is_far = far_by(facts, ctx.node);
        self.links.retain(|known| is_far(known.node));
        self.reserve.retain(|known| is_far(known.node));
        if facts.is_full() {
            let strangers = strangers(facts, RESERVE.min(wanted), ctx);
            self.learn(strangers, wanted, ctx.rng, &is_far);
        }
        self.fill(wanted, ctx.rng);
        let next = match std::mem::take(&mut self.turn) {
            Turn::Answered => None,
            Turn::Awaiting { node, again: false } => Some((node, true)),
            Turn::Awaiting { node, again: true } => {
                self.forget(node);
                self.fill(wanted, ctx.rng);
                self.next(voters, ctx).map(|node| (node, false))
            }
            Turn::Next => self.next(voters, ctx).map(|node| (node, false)),
        };
        match next {
            Some((node, again)) => {
                self.turn = Turn::Awaiting { node, again };
                self.asked = Some(node);
                self.tell(node, true, facts, ctx);
                ctx.after(patience, Timer::Sample { round });
            }
            None => {
                // Between a half and one and a half of a link's share of the period.
                let share = period / u32::try_from(wanted).unwrap_or(u32::MAX);
                let pause = share / 2 + ctx.rng.duration_below(share);
                ctx.after(pause.max(patience), Timer::Sample { round });
            }
        }
    }

    /// Whom to ask: the link that waits longest; without any, a voter.
    fn next(&mut self, voters: &[NodeId], ctx: &mut Context<'_>) -> Option<NodeId> {
        if self.links.is_empty() {
            let others: Vec<NodeId> = voters.iter().copied().filter(|&voter| voter != ctx.node).collect();
            return ctx.rng.sample(&others, 1).first().copied();
        }
        self.links.rotate_left(1);
        self.links.last().map(|link| link.node)
    }

    /// Takes a sample of `from`, and answers it where that is wanted.
    ///
    /// # Errors
    /// [`Junk`]; nothing changed.
    pub(super) fn handle_sample(
        &mut self,
        from: NodeId,
        mut members: Vec<Acquaintance>,
        reply_wanted: bool,
        facts: &Facts,
        ctx: &mut Context<'_>,
    ) -> Result<(), Junk> {
        if members.len() > SAMPLE_LIMIT || members.iter().any(|member| member.addresses.len() > MAX_ADDRESSES) {
            return Err(Junk::Invalid("a sample that is too large"));
        }
        if members.first().is_none_or(|first| first.node != from) {
            return Err(Junk::Invalid("a sample that does not begin with its sender"));
        }
        let is_answer = self.asked == Some(from) && !reply_wanted;
        if is_answer {
            self.asked = None;
        } else {
            members.truncate(1);
        }
        if let Some(link) = self.links.iter_mut().find(|link| link.node == from) {
            link.neighborhood = members[0].neighborhood;
            link.addresses.clone_from(&members[0].addresses);
        }
        let vouched = members.into_iter().filter_map(|member| match facts.member(member.node) {
            Some(record) if record.key != member.key => None,
            Some(record) => Some(Acquaintance { addresses: record.addresses.clone(), ..member }),
            None => Some(member),
        });
        let wanted = ctx.settings.membership.far_links;
        self.learn(vouched, wanted, ctx.rng, far_by(facts, ctx.node));
        if is_answer && (self.is_doubled(from) || ctx.rng.below(SWAP_ONE_IN) == 0) {
            self.swap(from, ctx.rng);
        }
        if reply_wanted {
            self.tell(from, false, facts, ctx);
        }
        Ok(())
    }

    /// Gives `to` a sample: this node, a neighbor, and far ones. Who knows everybody tells of anybody.
    fn tell(&self, to: NodeId, reply_wanted: bool, facts: &Facts, ctx: &mut Context<'_>) {
        let Some((own, hood)) = facts.neighborhood_of(ctx.node) else { return };
        let neighbors: Vec<NodeId> = hood.members.iter().copied().filter(|&node| node != ctx.node && node != to).collect();
        let near = ctx.rng.sample(&neighbors, 1);
        let mut members: Vec<Acquaintance> =
            std::iter::once(ctx.node).chain(near).filter_map(|node| acquaintance(facts, node, own)).collect();
        let room = SAMPLE - members.len();
        let far = if facts.is_full() { strangers(facts, room, ctx) } else { self.some(room, ctx.rng) };
        members.extend(far.into_iter().filter(|member| member.node != to));
        if !members.is_empty() {
            ctx.send(to, Channel::Datagram, Message::Membership(message::Membership::Sample { members, reply_wanted }));
        }
    }
}

/// Whether a node is one to link to: a live member, and no neighbor of `own`.
fn far_by(facts: &Facts, own: NodeId) -> impl Fn(NodeId) -> bool {
    let home = facts.neighborhood_of(own).map(|(_, hood)| hood);
    move |node| facts.is_member(node) && home.is_none_or(|home| !home.members.contains(&node))
}

/// What this node itself can tell of a member in its scope.
fn acquaintance(facts: &Facts, node: NodeId, neighborhood: NeighborhoodId) -> Option<Acquaintance> {
    let record = facts.member(node)?;
    let addresses = record.addresses.iter().copied().take(ADDRESSES).collect();
    Some(Acquaintance { node, key: record.key, addresses, neighborhood })
}

/// By who knows everybody: members at random, of neighborhoods at random that are not its own.
fn strangers(facts: &Facts, count: usize, ctx: &mut Context<'_>) -> Vec<Acquaintance> {
    let others: Vec<NeighborhoodId> =
        facts.neighborhoods().iter().filter(|(_, hood)| !hood.members.contains(&ctx.node)).map(|(&id, _)| id).collect();
    let mut found = Vec::new();
    for id in ctx.rng.sample(&others, count) {
        let members = &facts.neighborhoods()[&id].members;
        let at = ctx.rng.below(members.len().max(1) as u64) as usize;
        found.extend(members.iter().nth(at).and_then(|&node| acquaintance(facts, node, id)));
    }
    found
}
