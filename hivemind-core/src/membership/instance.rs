//! One foca instance: the neighborhood as foca sees it, and nothing into it that the event log denies.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use bytes::Bytes;
use foca::{Config, Foca, Identity, Member, Message, NoCustomBroadcast, Notification, PeriodicParams, Runtime, State};

use super::packet::{self, Packet, PeerCodec};
use super::peer::Peer;
use super::retired::Retired;
use crate::context::{Context, Junk, Report};
use crate::facts::NeighborhoodLimits;
use crate::ids::{Index, NeighborhoodId, NodeId};
use crate::rng::Rng;
use crate::settings::MembershipSettings;
use crate::timers::Timer;
use crate::wire::frame::Channel;
use crate::wire::message;

/// No list is longer: foca's costs are linear in it. The node itself is one of the neighborhood.
const PEERS_LIMIT: usize = NeighborhoodLimits::MOST as usize - 1;

/// What foca says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is probed (a suspect is, too).
    Up,
    /// Its latest known identity was called down.
    Down,
    /// It is not in this neighborhood.
    Unknown,
}

/// What changed in foca's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A node is probed from now on.
    Up(NodeId),
    /// A node was called down: somebody's opinion.
    Down(NodeId),
}

/// A foca instance and what belongs to it.
pub(super) struct Instance {
    number: u64,
    codec: PeerCodec,
    foca: Foca<Peer, PeerCodec, Rng, NoCustomBroadcast>,
    /// The other members of the neighborhood by the event log. foca's list is a subset of it.
    peers: BTreeSet<NodeId>,
    /// Who each of them last said that it is.
    spoken: BTreeMap<NodeId, Peer>,
    slots: Slots,
    changes: Vec<Change>,
}

/// foca's timers, until they are due.
#[derive(Default)]
struct Slots {
    next: u64,
    waiting: BTreeMap<u64, foca::Timer<Peer>>,
}

impl Instance {
    /// Starts probing as `ctx.node`. `number` is of this instance alone.
    pub(super) fn start(number: u64, neighborhood: NeighborhoodId, created: Index, ctx: &mut Context<'_>) -> Self {
        let own = Peer::started(ctx.node, neighborhood, created, ctx.boot);
        let codec = PeerCodec { neighborhood, created };
        let foca = Foca::new(own, config(&ctx.settings.membership), ctx.rng.fork(), codec);
        Instance { number, codec, foca, peers: BTreeSet::new(), spoken: BTreeMap::new(), slots: Slots::default(), changes: Vec::new() }
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What is left of it when the neighborhood changes.
    pub(super) fn retire(self) -> Retired {
        Retired::new(self.number, self.codec, *self.foca.identity(), self.peers)
    }

    /// Whom somebody suspects, without that anybody was called down yet.
    pub(super) fn suspects(&self) -> Vec<NodeId> {
        let suspects = self.foca.iter_membership_state().filter(|member| member.state() == State::Suspect);
        suspects.map(|member| member.id().node).collect()
    }

    /// Which neighborhood, and the event that made it.
    pub(super) fn home(&self) -> (NeighborhoodId, Index) {
        (self.codec.neighborhood, self.codec.created)
    }

    /// The other members.
    pub(super) fn peers(&self) -> &BTreeSet<NodeId> {
        &self.peers
    }

    /// What changed since the last call, in order.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Adds members by the event log. Nothing is known of their starts: their own word will tell.
    pub(super) fn admit(&mut self, nodes: &[NodeId], ctx: &mut Context<'_>) {
        let own = self.foca.identity().node;
        let mut new = Vec::new();
        for &node in nodes.iter().filter(|&&node| node != own) {
            if self.peers.len() >= PEERS_LIMIT && !self.peers.contains(&node) {
                debug_assert!(false, "the event log put more than {PEERS_LIMIT} neighbors to {own:?}");
                ctx.report(Report::Limit("members of a neighborhood"));
            } else if self.peers.insert(node) {
                new.push(node);
            }
        }
        let codec = self.codec;
        let members = new.into_iter().map(|node| Member::alive(Peer::unheard(node, codec.neighborhood, codec.created)));
        self.with_foca(ctx, |foca, runtime| foca.apply_many(members, false, runtime));
    }

    /// Makes the own identity known: to a few at once, and asks two for theirs.
    pub(super) fn introduce(&mut self, ctx: &mut Context<'_>) {
        self.with_foca(ctx, |foca, runtime| foca.gossip(runtime));
        let peers: Vec<NodeId> = self.peers.iter().copied().collect();
        for node in ctx.rng.sample(&peers, 2) {
            self.announce(node, ctx);
        }
    }

    /// Drops one that is no member any more, from foca's list, too.
    pub(super) fn dismiss(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        if self.peers.remove(&node) {
            self.spoken.remove(&node);
            self.erase(node, ctx);
            self.changes.retain(|change| !matches!(change, Change::Up(of) | Change::Down(of) if *of == node));
        }
    }

    /// Forgets the identity of `node` that foca holds, and starts anew with it: it is one that the
    /// node, which answers, does not have.
    pub(super) fn readmit(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        if self.peers.contains(&node) {
            self.erase(node, ctx);
            self.peers.remove(&node);
            self.admit(&[node], ctx);
        }
    }

    /// Who a node is, it says itself. Foca takes the later identity for the true one whoever names it, and a node that is held for
    /// one that it never was would be called down, renew itself and be called down again without end. So its own word, which the
    /// connection proves, replaces a later identity that others made up.
    fn heed(&mut self, src: Peer, ctx: &mut Context<'_>) {
        if self.spoken.insert(src.node, src) == Some(src) {
            return;
        }
        if self.member(src.node).is_some_and(|held| held.id().win_addr_conflict(&src)) {
            self.readmit(src.node, ctx);
        }
    }

    /// Whether it may be who others say: none that is later than what it said itself.
    fn is_credible(&self, peer: &Peer) -> bool {
        self.peers.contains(&peer.node) && self.spoken.get(&peer.node).is_none_or(|spoken| !peer.win_addr_conflict(spoken))
    }

    fn erase(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        let Some(known) = self.member(node).cloned() else { return };
        let peer = *known.id();
        let down = Member::new(peer, known.incarnation(), State::Down);
        self.with_foca(ctx, |foca, runtime| foca.apply_many(std::iter::once(down), false, runtime));
        // foca removes members in answer to this timer only.
        self.with_foca(ctx, |foca, runtime| foca.handle_timer(foca::Timer::RemoveDown(peer), runtime));
    }

    /// Asks a node that foca holds for down to show itself: its answer meets *you are down*, upon which
    /// it takes a new identity.
    pub(super) fn announce(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        let to = self.identity_of(node);
        self.with_foca(ctx, |foca, runtime| foca.announce(to, runtime));
    }

    /// What foca says of a node.
    pub(super) fn standing(&self, node: NodeId) -> Standing {
        match self.member(node).map(Member::state) {
            Some(State::Alive | State::Suspect) => Standing::Up,
            Some(State::Down) => Standing::Down,
            None => Standing::Unknown,
        }
    }

    /// How often this node was called down and took a new identity.
    #[cfg(test)]
    pub(super) fn renewals(&self) -> u32 {
        self.foca.identity().renewal - 1
    }

    fn member(&self, node: NodeId) -> Option<&Member<Peer>> {
        self.foca.iter_membership_state().find(|member| member.id().node == node)
    }

    fn identity_of(&self, node: NodeId) -> Peer {
        let known = self.member(node).map(|member| *member.id());
        known.unwrap_or_else(|| Peer::unheard(node, self.codec.neighborhood, self.codec.created))
    }

    /// A timer of foca's is due.
    pub(super) fn handle_timer(&mut self, slot: u64, ctx: &mut Context<'_>) {
        if let Some(timer) = self.slots.waiting.remove(&slot) {
            self.with_foca(ctx, |foca, runtime| foca.handle_timer(timer, runtime));
        }
    }

    /// Takes a packet that came from `from`.
    ///
    /// # Errors
    /// [`Junk`]: it did not reach foca.
    pub(super) fn receive(&mut self, from: NodeId, bytes: &Bytes, ctx: &mut Context<'_>) -> Result<(), Junk> {
        if !self.peers.contains(&from) {
            return Err(Junk::NotAMember);
        }
        let mut packet = Packet::decode(bytes, self.codec).map_err(|_| Junk::Invalid("a SWIM packet that does not decode"))?;
        let own = *self.foca.identity();
        if packet.header.src.node != from || packet.header.dst.node != own.node {
            return Err(Junk::Invalid("a SWIM packet in another's name"));
        }
        self.heed(packet.header.src, ctx);
        // Sender and recipient need not be at the same event: not junk, but nothing for foca either.
        let known = |peer: &Peer| peer.node == own.node || self.peers.contains(&peer.node);
        if packet.third_party().is_some_and(|peer| !known(&peer)) {
            return Ok(());
        }
        let is_readdressed = own.win_addr_conflict(&packet.header.dst);
        if is_readdressed {
            // The sender knows an earlier identity of this node. What it asks is meant for this node all
            // the same, and the answer tells it the present one; that the earlier one is down is true.
            if packet.header.message == Message::TurnUndead {
                return Ok(());
            }
            packet.header.dst = own;
        }
        let said = packet.updates.len();
        packet.updates.retain(|update| self.is_credible(update.id()) || *update.id() == own);
        // Most packets are fit for foca as they came: encoding them again would be a good part of what they cost.
        let clean = if is_readdressed || packet.updates.len() < said {
            Bytes::from(packet.encode_for_foca(self.codec).map_err(|_| Junk::Invalid("a SWIM packet that does not decode"))?)
        } else {
            bytes.clone()
        };
        self.bridged(ctx, |foca, runtime| foca.handle_data(&clean, runtime)).map_err(|_| Junk::Invalid("a SWIM packet that makes no sense"))
    }

    /// For calls that can only fail by a bug of ours or foca's: neither may stop a node.
    fn with_foca(
        &mut self,
        ctx: &mut Context<'_>,
        call: impl FnOnce(&mut Foca<Peer, PeerCodec, Rng, NoCustomBroadcast>, &mut Bridge<'_, '_>) -> Result<(), foca::Error>,
    ) {
        let result = self.bridged(ctx, call);
        debug_assert!(result.is_ok(), "foca refused what only this module asks of it: {result:?}");
    }

    fn bridged<T>(
        &mut self,
        ctx: &mut Context<'_>,
        call: impl FnOnce(&mut Foca<Peer, PeerCodec, Rng, NoCustomBroadcast>, &mut Bridge<'_, '_>) -> Result<T, foca::Error>,
    ) -> Result<T, foca::Error> {
        let mut runtime = Bridge { instance: self.number, peers: &self.peers, slots: &mut self.slots, changes: &mut self.changes, ctx };
        call(&mut self.foca, &mut runtime)
    }
}

fn config(settings: &MembershipSettings) -> Config {
    let at_least_one = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    Config {
        probe_period: settings.probe_period,
        // foca needs the end of the direct probe before the end of the period.
        probe_rtt: settings.probe_timeout.min(settings.probe_period / 2),
        num_indirect_probes: at_least_one(settings.indirect_probes),
        max_transmissions: NonZeroU8::new(settings.max_transmissions).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: settings.suspicion,
        // A node has one place in foca's list, and a leave removes it: there is nothing to forget by time.
        remove_down_after: None,
        max_packet_size: at_least_one(packet::PACKET_LIMIT),
        notify_down_members: true,
        // The list comes from the event log.
        periodic_announce: None,
        // Whoever is down is pinged and announced to first-hand, even where foca, having nobody left,
        // would stop.
        periodic_announce_to_down_members: None,
        periodic_gossip: Some(PeriodicParams { frequency: settings.gossip_period, num_members: at_least_one(settings.gossip_fanout) }),
    }
}

/// What foca wants done, turned into effects.
struct Bridge<'a, 'c> {
    instance: u64,
    peers: &'a BTreeSet<NodeId>,
    slots: &'a mut Slots,
    changes: &'a mut Vec<Change>,
    ctx: &'a mut Context<'c>,
}

impl Runtime<Peer> for Bridge<'_, '_> {
    fn notify(&mut self, notification: Notification<'_, Peer>) {
        match notification {
            Notification::MemberUp(peer) => self.changes.push(Change::Up(peer.node)),
            Notification::MemberDown(peer) => self.changes.push(Change::Down(peer.node)),
            // A new identity of a node changes nothing for others than foca; whether this node is
            // connected or was called down, its own probes tell.
            Notification::Rename(..) | Notification::Active | Notification::Idle | Notification::Defunct | Notification::Rejoin(_) => {}
        }
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        if self.peers.contains(&to.node) {
            let swim =
                message::Membership::Swim { neighborhood: to.neighborhood, created: to.created, packet: Bytes::copy_from_slice(data) };
            self.ctx.send(to.node, Channel::Datagram, message::Message::Membership(swim));
        }
    }

    fn submit_after(&mut self, event: foca::Timer<Peer>, after: Duration) {
        let slot = self.slots.next;
        self.slots.next += 1;
        self.slots.waiting.insert(slot, event);
        self.ctx.after(after, Timer::Swim { instance: self.instance, slot });
    }
}
