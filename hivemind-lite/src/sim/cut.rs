//! Partitions: which links between groups of nodes carry nothing, or less, and which did so lately.

use std::collections::VecDeque;
use std::time::Duration;

use hivemind_core::time::Time;

use super::network::Slot;

/// Cuts that ended so long ago are forgotten.
const REMEMBERED: Duration = Duration::from_secs(120);
/// What carries nothing at all.
const ALL_PPM: u32 = 1_000_000;

/// A set of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// These, one bit each.
    Of(Vec<u64>),
    /// All nodes.
    All,
}

impl Group {
    /// The group of `slots`.
    pub fn of(slots: &[Slot]) -> Self {
        let mut bits = vec![0; slots.iter().max().map_or(0, |last| last.at() / 64 + 1)];
        for slot in slots {
            bits[slot.at() / 64] |= 1 << (slot.at() % 64);
        }
        Group::Of(bits)
    }

    fn has(&self, slot: Slot) -> bool {
        match self {
            Group::Of(bits) => bits.get(slot.at() / 64).is_some_and(|word| word & (1 << (slot.at() % 64)) != 0),
            Group::All => true,
        }
    }
}

/// Links from one group to another that lose what is sent over them.
#[derive(Clone, Debug)]
struct Cut {
    from: Group,
    to: Group,
    loss_ppm: u32,
}

impl Cut {
    fn covers(&self, from: Slot, to: Slot) -> bool {
        self.from.has(from) && self.to.has(to)
    }
}

/// All cuts of a network.
#[derive(Debug, Default)]
pub struct Cuts {
    now: Vec<Cut>,
    /// Those that ended, and when.
    ended: VecDeque<(Time, Cut)>,
}

impl Cuts {
    /// Nothing gets from `from` to `to` any more.
    pub fn cut(&mut self, from: Group, to: Group) {
        self.now.push(Cut { from, to, loss_ppm: ALL_PPM });
    }

    /// Of what is sent from `from` to `to`, `loss_ppm` millionths are lost beside what is lost everywhere.
    pub fn lossy(&mut self, from: Group, to: Group, loss_ppm: u32) {
        self.now.push(Cut { from, to, loss_ppm: loss_ppm.min(ALL_PPM - 100_000) });
    }

    /// All links are whole again.
    pub fn heal(&mut self, now: Time) {
        self.ended.retain(|(ended, _)| now.since(*ended) < REMEMBERED);
        self.ended.extend(self.now.drain(..).filter(|cut| cut.loss_ppm == ALL_PPM).map(|cut| (now, cut)));
    }

    /// Whether nothing gets from one node to another.
    pub fn is_cut(&self, from: Slot, to: Slot) -> bool {
        self.now.iter().any(|cut| cut.loss_ppm == ALL_PPM && cut.covers(from, to))
    }

    /// What is lost on the way from one node to another beside what is lost everywhere, in millionths, where the way is not cut.
    pub fn loss_ppm(&self, from: Slot, to: Slot) -> u32 {
        let lossy = self.now.iter().filter(|cut| cut.loss_ppm < ALL_PPM && cut.covers(from, to));
        lossy.map(|cut| cut.loss_ppm).max().unwrap_or(0)
    }

    /// When two nodes could last not reach each other, in one direction at least: `now` while that is so, and never
    /// where it was not so lately.
    pub fn last_apart(&self, one: Slot, other: Slot, now: Time) -> Option<Time> {
        if self.is_cut(one, other) || self.is_cut(other, one) {
            return Some(now);
        }
        let ended = self.ended.iter().rev().find(|(_, cut)| cut.covers(one, other) || cut.covers(other, one));
        ended.map(|(ended, _)| *ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn a_one_way_cut_is_none_the_other_way_and_is_remembered_for_both() {
        let (a, b, c) = (Slot(1), Slot(70), Slot(3));
        let mut cuts = Cuts::default();
        cuts.cut(Group::of(&[a]), Group::of(&[b]));
        assert!(cuts.is_cut(a, b) && !cuts.is_cut(b, a) && !cuts.is_cut(a, c));
        assert_eq!(cuts.loss_ppm(a, b), 0, "what is cut is not sent again and again");
        assert_eq!((cuts.last_apart(b, a, at(5)), cuts.last_apart(a, c, at(5))), (Some(at(5)), None));
        cuts.heal(at(6));
        assert!(!cuts.is_cut(a, b));
        assert_eq!((cuts.last_apart(b, a, at(9)), cuts.last_apart(b, c, at(9))), (Some(at(6)), None));
        cuts.heal(at(500));
        assert_eq!(cuts.last_apart(a, b, at(500)), None, "it is long ago");
    }

    #[test]
    fn a_lossy_link_is_not_cut() {
        let mut cuts = Cuts::default();
        cuts.lossy(Group::of(&[Slot(0)]), Group::All, 200_000);
        assert!(!cuts.is_cut(Slot(0), Slot(9)));
        assert_eq!((cuts.loss_ppm(Slot(0), Slot(9)), cuts.loss_ppm(Slot(9), Slot(0))), (200_000, 0));
    }
}
