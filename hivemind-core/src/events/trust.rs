//! Who is not listened to for a while: claims and ranges that came to nothing. It bounds what a liar
//! can make a node do, and ends by itself, since an honest member may look like one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::context::Context;
use crate::ids::NodeId;
use crate::time::Time;

/// So many are remembered: more than a node has neighbors and far links.
const REMEMBERED: usize = 128;
/// The time doubles with each lie, so often.
const DOUBLINGS: u32 = 4;
/// One that was left alone for so long begins anew.
const FORGIVEN: Duration = Duration::from_secs(60);

/// Why somebody is not listened to for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It was silent, or could not help: it may be honest.
    Useless,
    /// What it claimed or sent is not so.
    Lie,
}

/// Who is at fault, and until when that counts.
#[derive(Debug, Default)]
pub(super) struct Distrust {
    strikes: BTreeMap<NodeId, Strikes>,
}

#[derive(Clone, Copy, Debug)]
struct Strikes {
    lies: u32,
    until: Time,
}

impl Distrust {
    /// `node` is not listened to for a while: with each lie for longer.
    pub(super) fn strike(&mut self, node: NodeId, fault: Fault, ctx: &Context<'_>) {
        let now = ctx.now.time;
        self.strikes.retain(|_, strikes| now.since(strikes.until) < FORGIVEN);
        if self.strikes.len() >= REMEMBERED && !self.strikes.contains_key(&node) {
            let soonest = self.strikes.iter().min_by_key(|(_, strikes)| strikes.until).map(|(&node, _)| node);
            soonest.and_then(|node| self.strikes.remove(&node));
        }
        let base = ctx.settings.events.distrust;
        let strikes = self.strikes.entry(node).or_insert(Strikes { lies: 0, until: now });
        match fault {
            Fault::Useless => strikes.until = strikes.until.max(now + base),
            Fault::Lie => {
                strikes.until = now + base * (1 << strikes.lies.min(DOUBLINGS));
                strikes.lies += 1;
            }
        }
    }

    /// `node` helped.
    pub(super) fn forgive(&mut self, node: NodeId) {
        self.strikes.remove(&node);
    }

    /// Whether `node`'s word about itself does not count now.
    pub(super) fn covers(&self, node: NodeId, now: Time) -> bool {
        self.strikes.get(&node).is_some_and(|strikes| now < strikes.until)
    }

    /// Whether nothing that `node` says is looked at now.
    pub(super) fn is_liar(&self, node: NodeId, now: Time) -> bool {
        self.strikes.get(&node).is_some_and(|strikes| strikes.lies > 0 && now < strikes.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Surround, id};

    #[test]
    fn each_lie_counts_for_longer_and_help_ends_it() {
        let mut around = Surround::new(1);
        let mut distrust = Distrust::default();
        let base = around.settings.events.distrust;
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            distrust.strike(id(2), Fault::Lie, &around.ctx());
            let start = around.now.time;
            while distrust.covers(id(2), around.now.time) {
                around.now.time = around.now.time + base / 2;
            }
            let lasted = around.now.time.since(start);
            assert!(lasted >= last && lasted <= base * (1 << DOUBLINGS));
            last = lasted;
        }
        assert_eq!(last, base * (1 << DOUBLINGS));
        distrust.strike(id(2), Fault::Lie, &around.ctx());
        distrust.forgive(id(2));
        assert!(!distrust.covers(id(2), around.now.time));
    }

    #[test]
    fn who_is_only_silent_is_no_liar_and_not_left_alone_for_longer() {
        let mut around = Surround::new(1);
        let mut distrust = Distrust::default();
        (0..8).for_each(|_| distrust.strike(id(2), Fault::Useless, &around.ctx()));
        assert!(distrust.covers(id(2), around.now.time) && !distrust.is_liar(id(2), around.now.time));
        around.now.time = around.now.time + around.settings.events.distrust;
        assert!(!distrust.covers(id(2), around.now.time));
    }

    #[test]
    fn a_crowd_of_liars_takes_no_memory_without_end() {
        let mut around = Surround::new(1);
        let mut distrust = Distrust::default();
        (2..2_000).for_each(|liar| distrust.strike(id(liar), Fault::Lie, &around.ctx()));
        assert_eq!(distrust.strikes.len(), REMEMBERED);
    }
}
