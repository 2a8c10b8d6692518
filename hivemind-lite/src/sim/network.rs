//! The simulated network: which messages arrive, when, and which connections break.
//!
//! It carries what a QUIC transport carries: datagrams may be lost, doubled and reordered; the ordered
//! stream keeps its order per pair and is delayed instead of lost; each bulk message has a stream of its
//! own. A connection belongs to one start of each of its two processes. When one side is gone, the other
//! notices by a time-out, and when it has restarted, by its reset. A cut drops what is sent across it,
//! silently and in its direction only; connections outlast it, and none is made across it.

use std::collections::BTreeMap;
use std::time::Duration;

use hivemind_core::rng::Rng;
use hivemind_core::time::Time;
use hivemind_core::wire::frame::Channel;

use super::cut::{Cuts, Group};
use super::profile::Profile;

/// The number of a simulated node: of its place in the world, which outlives its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// For indexing.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It arrives, a datagram perhaps a second time.
    Arrives {
        /// When.
        first: Time,
        /// And again.
        again: Option<Time>,
    },
    /// It is gone, and nobody is told.
    Lost,
    /// It is gone, and at that time the sender learns that the connection broke or could not be made.
    Breaks(Time),
}

/// One side's end of a connection.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The start of the other process that it was made with.
    peer_life: u32,
    /// Nothing arrives before the handshake is through.
    ready: Time,
    /// When the last message of the ordered stream arrives.
    ordered: Time,
    /// Once something could not be delivered: when the time-out strikes. Until then the rest is lost too.
    failing: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    /// Which start of its process is running.
    life: Option<u32>,
    isolated: bool,
}

/// The links between all nodes of a world.
#[derive(Debug)]
pub struct Network {
    profile: Profile,
    rng: Rng,
    peers: Vec<Peer>,
    /// Of each node, by whom they lead to: one map of all links would be as slow as there are many.
    ends: Vec<BTreeMap<Slot, End>>,
    /// Until when an attempt to connect is under way that will fail.
    dialing: BTreeMap<(Slot, Slot), Time>,
    cuts: Cuts,
}

impl Network {
    /// A network without nodes.
    pub fn new(profile: Profile, rng: Rng) -> Self {
        Network { profile, rng, peers: Vec::new(), ends: Vec::new(), dialing: BTreeMap::new(), cuts: Cuts::default() }
    }

    /// Adds the next place, at which nobody listens yet.
    pub fn add(&mut self) {
        self.peers.push(Peer::default());
        self.ends.push(BTreeMap::new());
    }

    /// Start number `life` of the process in `slot` listens from now on.
    pub fn up(&mut self, slot: Slot, life: u32) {
        self.peers[slot.at()].life = Some(life);
    }

    /// The process in `slot` is gone; the other sides of its connections notice later.
    pub fn down(&mut self, slot: Slot) {
        self.peers[slot.at()].life = None;
        self.ends[slot.at()].clear();
        self.dialing.retain(|pair, _| pair.0 != slot);
    }

    /// Whether the process that runs in `slot` is start number `life`.
    pub fn is_up(&self, slot: Slot, life: u32) -> bool {
        self.peers.get(slot.at()).is_some_and(|peer| peer.life == Some(life))
    }

    /// From now on links behave like this.
    pub fn behave(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// Cuts a node off from every other.
    pub fn isolate(&mut self, slot: Slot) {
        if !std::mem::replace(&mut self.peers[slot.at()].isolated, true) {
            self.cut(Group::of(&[slot]), Group::All);
            self.cut(Group::All, Group::of(&[slot]));
        }
    }

    /// Whether a node is cut off from every other.
    pub fn is_isolated(&self, slot: Slot) -> bool {
        self.peers[slot.at()].isolated
    }

    /// Nothing gets from one group to the other any more.
    pub fn cut(&mut self, from: Group, to: Group) {
        self.cuts.cut(from, to);
    }

    /// Some of what one group sends to the other is lost, in millionths.
    pub fn lossy(&mut self, from: Group, to: Group, loss_ppm: u32) {
        self.cuts.lossy(from, to, loss_ppm);
    }

    /// Ends every cut. Attempts to connect that were under way begin anew.
    pub fn heal(&mut self, now: Time) {
        for peer in &mut self.peers {
            peer.isolated = false;
        }
        self.cuts.heal(now);
        self.dialing.clear();
    }

    /// See [`Cuts::last_apart`].
    pub fn last_apart(&self, one: Slot, other: Slot, now: Time) -> Option<Time> {
        self.cuts.last_apart(one, other, now)
    }

    /// Whether `from` has a connection to `to`, as far as it knows.
    pub fn is_connected(&self, from: Slot, to: Slot) -> bool {
        self.ends[from.at()].contains_key(&to)
    }

    /// Whether what `from` is told now of the end of its connection is of the one that it has: another one may have taken its
    /// place since.
    pub fn has_ended(&self, now: Time, from: Slot, to: Slot) -> bool {
        self.ends[from.at()].get(&to).is_none_or(|end| end.failing.is_some_and(|breaks| breaks <= now))
    }

    /// Drops `from`'s end, when its time-out or the other side's reset was told.
    pub fn forget(&mut self, from: Slot, to: Slot) {
        self.ends[from.at()].remove(&to);
        self.dialing.remove(&(from, to));
    }

    /// The start of the process that a message from `from` to `to` would reach.
    fn reaches(&self, from: Slot, to: Slot) -> Option<u32> {
        self.peers[to.at()].life.filter(|_| !self.cuts.is_cut(from, to) && self.peers[from.at()].life.is_some())
    }

    /// Sends `length` bytes on the connection between two nodes, and makes one where there is none.
    pub fn send(&mut self, now: Time, from: Slot, to: Slot, channel: Channel, length: usize) -> Passage {
        // Who is not told of the end of a connection makes another one all the same.
        let lives = |end: &&End| end.failing.is_none_or(|breaks| now <= breaks);
        let Some(end) = self.ends[from.at()].get(&to).filter(lives).copied() else {
            return match self.connect(now, from, to) {
                Ok(end) => self.carry(now, from, to, end, channel, length),
                Err(passage) => passage,
            };
        };
        if let Some(breaks) = end.failing {
            // A process that came up there since knows nothing of this connection, and ends it before its time-out does.
            let reset = now + self.round_trip(from, to);
            let is_reset = reset < breaks && self.reaches(from, to).is_some() && self.reaches(to, from).is_some();
            if !is_reset {
                return Passage::Lost;
            }
            self.ends[from.at()].insert(to, End { failing: Some(reset), ..end });
            return Passage::Breaks(reset);
        }
        let breaks = match self.reaches(from, to) {
            Some(life) if life == end.peer_life && self.ends[to.at()].contains_key(&from) => {
                return self.carry(now, from, to, end, channel, length);
            }
            // Its reset does not come through.
            Some(_) if self.cuts.is_cut(to, from) => now + self.profile.idle_timeout,
            // The process there knows nothing of this connection and resets it (RFC 9000 section 10.3).
            Some(_) => now + self.round_trip(from, to),
            None if self.cuts.is_cut(from, to) => return Passage::Lost,
            None => now + self.profile.idle_timeout,
        };
        self.ends[from.at()].insert(to, End { failing: Some(breaks), ..end });
        Passage::Breaks(breaks)
    }

    fn connect(&mut self, now: Time, from: Slot, to: Slot) -> Result<End, Passage> {
        if self.dialing.get(&(from, to)).is_some_and(|until| now < *until) {
            return Err(Passage::Lost);
        }
        // The handshake needs both directions.
        let (Some(life), Some(own)) = (self.reaches(from, to), self.reaches(to, from)) else {
            let breaks = now + self.profile.connect_timeout;
            self.dialing.insert((from, to), breaks);
            return Err(Passage::Breaks(breaks));
        };
        let ready = now + self.round_trip(from, to);
        let end = End { peer_life: life, ready, ordered: ready, failing: None };
        self.ends[from.at()].insert(to, end);
        self.ends[to.at()].insert(from, End { peer_life: own, ..end });
        Ok(end)
    }

    fn round_trip(&mut self, from: Slot, to: Slot) -> Duration {
        self.stream_latency(from, to, 0) + self.stream_latency(to, from, 0)
    }

    fn stream_latency(&mut self, from: Slot, to: Slot, length: usize) -> Duration {
        self.profile.stream_latency(length, self.cuts.loss_ppm(from, to), &mut self.rng)
    }

    fn carry(&mut self, now: Time, from: Slot, to: Slot, end: End, channel: Channel, length: usize) -> Passage {
        let start = now.max(end.ready);
        match channel {
            Channel::Datagram => {
                if self.profile.loses(self.cuts.loss_ppm(from, to), &mut self.rng) {
                    return Passage::Lost;
                }
                let first = start + self.profile.latency(length, &mut self.rng);
                let twice = self.profile.duplicate_ppm > 0 && self.rng.chance_ppm(self.profile.duplicate_ppm);
                let again = twice.then(|| first + self.profile.latency(length, &mut self.rng));
                Passage::Arrives { first, again }
            }
            Channel::Ordered => {
                let first = (start + self.stream_latency(from, to, length)).max(end.ordered);
                self.ends[from.at()].insert(to, End { ordered: first, ..end });
                Passage::Arrives { first, again: None }
            }
            Channel::Bulk => Passage::Arrives { first: start + self.stream_latency(from, to, length), again: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::Faults;
    use super::*;

    const A: Slot = Slot(0);
    const B: Slot = Slot(1);

    fn pair(faults: Faults) -> Network {
        let mut network = Network::new(faults.profile(), Rng::new(1));
        for slot in [A, B] {
            network.add();
            network.up(slot, 1);
        }
        network
    }

    fn millis(count: u64) -> Time {
        Time::from_origin(Duration::from_millis(count))
    }

    #[test]
    fn the_ordered_stream_keeps_its_order_under_loss_and_datagrams_do_not() {
        let mut network = pair(Faults::Lan);
        let mut last = Time::ZERO;
        let (mut lost, mut twice, mut overtaken, mut newest) = (0, 0, 0, Time::ZERO);
        for step in 0..20_000 {
            let now = Time::from_origin(Duration::from_micros(100 * step));
            match network.send(now, A, B, Channel::Ordered, 100) {
                Passage::Arrives { first, again: None } if first >= last => last = first,
                other => panic!("the stream lost its order: {other:?} after {last:?}"),
            }
            match network.send(now, A, B, Channel::Datagram, 100) {
                Passage::Arrives { first, again } => {
                    twice += u32::from(again.is_some());
                    overtaken += u32::from(first < newest);
                    newest = newest.max(first);
                }
                Passage::Lost => lost += 1,
                Passage::Breaks(at) => panic!("broke at {at:?}"),
            }
        }
        assert!((100..400).contains(&lost), "1 % of 20,000 lost: {lost}");
        assert!(twice > 0 && overtaken > 0, "{twice} doubled, {overtaken} overtaken");
    }

    #[test]
    fn a_dead_peer_breaks_the_connection_once_after_the_time_out() {
        let mut network = pair(Faults::None);
        assert!(matches!(network.send(millis(0), A, B, Channel::Ordered, 10), Passage::Arrives { .. }));
        network.down(B);
        assert_eq!(network.send(millis(10), A, B, Channel::Ordered, 10), Passage::Breaks(millis(30_010)));
        assert_eq!(network.send(millis(20), A, B, Channel::Ordered, 10), Passage::Lost);
        network.forget(A, B);
        assert!(!network.is_connected(A, B));
    }

    #[test]
    fn a_restarted_peer_resets_the_old_connection_at_once() {
        let mut network = pair(Faults::None);
        network.send(millis(0), A, B, Channel::Ordered, 10);
        network.down(B);
        network.up(B, 2);
        let Passage::Breaks(at) = network.send(millis(10), A, B, Channel::Ordered, 10) else { panic!("an old connection carried") };
        assert!(at < millis(20));
        network.forget(A, B);
        assert!(matches!(network.send(millis(20), A, B, Channel::Ordered, 10), Passage::Arrives { .. }));
    }

    #[test]
    fn a_peer_that_comes_back_resets_a_connection_that_was_failing() {
        let mut network = pair(Faults::None);
        network.send(millis(0), A, B, Channel::Ordered, 10);
        network.down(B);
        let late = network.send(millis(10), A, B, Channel::Ordered, 10);
        assert_eq!(late, Passage::Breaks(millis(30_010)));
        network.up(B, 2);
        let Passage::Breaks(reset) = network.send(millis(20), A, B, Channel::Ordered, 10) else { panic!("no reset") };
        assert!(reset < millis(30) && !network.has_ended(millis(20), A, B) && network.has_ended(reset, A, B));
        network.forget(A, B);
        assert!(matches!(network.send(millis(30), A, B, Channel::Ordered, 10), Passage::Arrives { .. }));
        assert!(!network.has_ended(millis(30_010), A, B), "the time-out was the former connection's");
    }

    #[test]
    fn a_connection_whose_end_nobody_told_of_is_made_anew() {
        let mut network = pair(Faults::None);
        network.send(millis(0), A, B, Channel::Ordered, 10);
        network.down(B);
        network.up(B, 2);
        let Passage::Breaks(at) = network.send(millis(10), A, B, Channel::Ordered, 10) else { panic!("an old connection carried") };
        assert_eq!(network.send(at, A, B, Channel::Ordered, 10), Passage::Lost);
        assert!(matches!(network.send(at + Duration::from_millis(1), A, B, Channel::Ordered, 10), Passage::Arrives { .. }));
    }

    #[test]
    fn an_isolated_node_reaches_nobody_until_it_is_healed() {
        let mut network = pair(Faults::None);
        network.isolate(B);
        assert_eq!(network.send(millis(0), B, A, Channel::Datagram, 10), Passage::Breaks(millis(3000)));
        assert_eq!(network.send(millis(1), A, B, Channel::Datagram, 10), Passage::Breaks(millis(3001)));
        network.heal(millis(2));
        assert!(matches!(network.send(millis(2), A, B, Channel::Datagram, 10), Passage::Arrives { .. }));
        network.isolate(A);
        assert_eq!(network.send(millis(3), A, B, Channel::Ordered, 10), Passage::Lost);
        network.heal(millis(4));
        assert!(matches!(network.send(millis(4), A, B, Channel::Ordered, 10), Passage::Arrives { .. }), "the connection is still there");
    }

    #[test]
    fn a_one_way_cut_stops_one_direction_and_every_new_connection() {
        let mut network = pair(Faults::None);
        assert!(matches!(network.send(millis(0), A, B, Channel::Datagram, 10), Passage::Arrives { .. }));
        network.cut(Group::of(&[A]), Group::of(&[B]));
        assert_eq!(network.send(millis(9), A, B, Channel::Datagram, 10), Passage::Lost);
        assert!(matches!(network.send(millis(9), B, A, Channel::Datagram, 10), Passage::Arrives { .. }));
        network.down(A);
        network.up(A, 2);
        network.forget(B, A);
        assert!(matches!(network.send(millis(10), B, A, Channel::Datagram, 10), Passage::Breaks(_)), "no answer comes back");
    }

    #[test]
    fn a_reset_that_does_not_come_through_is_a_time_out() {
        let mut network = pair(Faults::None);
        network.send(millis(0), A, B, Channel::Ordered, 10);
        network.down(B);
        network.up(B, 2);
        network.cut(Group::of(&[B]), Group::of(&[A]));
        assert_eq!(network.send(millis(10), A, B, Channel::Ordered, 10), Passage::Breaks(millis(30_010)));
    }
}
