//! What goes wrong in the midst of chaos.

use std::time::Duration;

use hivemind_core::machine::HaltReason;
use hivemind_core::wire::event::VoterPart;

use super::super::checkers::Violation;
use super::super::mishap::Mishap;
use super::super::network::Slot;
use super::super::node::{Part, SimNode};
use super::super::world::{Parting, World};
use super::Run;

/// What is lost on lossy links beside what is lost everywhere, in millionths.
const LOSSY_PPM: u32 = 200_000;
/// How often, and how long each time, a write is waited for.
const WRITE_WAITS: u64 = 400;
const WRITE_WAIT: Duration = Duration::from_micros(500);
/// The most frames of a flood.
const FLOOD: u64 = 800;
/// So many events after a change of the group, every voter has written down that it is committed.
const LATER_EVENTS: u64 = 4;

impl Run<'_> {
    pub(super) fn disturb(&mut self, mishap: Mishap) -> Result<(), Violation> {
        match mishap {
            Mishap::Crash => self.some(3, runs).into_iter().for_each(|slot| self.world.kill(slot)),
            Mishap::Restart => return self.restart_some(),
            Mishap::Bounce => return self.bounce(),
            Mishap::BounceVoters => return self.bounce_voters(),
            Mishap::LoseDisk => {
                let Some(slot) = self.some(1, |_| true).pop().filter(|slot| self.may_forget(*slot)) else { return Ok(()) };
                return self.lose(slot, World::lose_disk);
            }
            Mishap::LoseLog => {
                let Some(slot) = self.some(1, is_voter).pop().filter(|slot| self.may_forget(*slot)) else { return Ok(()) };
                return self.lose(slot, World::lose_log);
            }
            Mishap::LoseCache => {
                let Some(slot) = self.some(1, |_| true).pop() else { return Ok(()) };
                return self.lose(slot, World::lose_cache);
            }
            Mishap::OldDisk => return self.bring_back(),
            Mishap::FillDisk => self.some(1, runs).into_iter().for_each(|slot| self.world.fill_disk(slot, true)),
            Mishap::TwoWay => self.part(Parting::TwoWay),
            Mishap::OneWay => self.part(Parting::OneWay),
            Mishap::Partial => self.cut_single_links(),
            Mishap::Isolate => {
                self.some(3, |_| true).into_iter().for_each(|slot| self.world.isolate(slot));
                self.world.count_partition();
            }
            Mishap::Lossy => {
                let few = self.world.nodes().len() as u64 / 4;
                let from = self.some(few, |_| true);
                self.world.lossy(&from, LOSSY_PPM);
            }
            Mishap::Heal => self.world.heal(),
            Mishap::Slow => self.slow(),
            Mishap::Starve => self.starve(),
            Mishap::Pause => self.pause(),
            Mishap::JumpClock => self.jump_a_clock(),
            Mishap::Lie => self.let_one_lie(),
            Mishap::Flood => self.let_one_flood(),
        }
        Ok(())
    }

    /// Starts what is dead and not to stay away; a full disk gets room first, and one that others know better is emptied.
    pub(super) fn start_again(&mut self, slot: Slot) -> Result<(), Violation> {
        let node = self.world.node(slot);
        if node.process.is_some() || self.chaos.away.contains(&slot) {
            return Ok(());
        }
        if matches!(node.halted, Some(HaltReason::Duplicate { .. })) {
            self.world.lose_disk(slot);
        }
        self.world.fill_disk(slot, false);
        self.world.start(slot)
    }

    fn restart_some(&mut self) -> Result<(), Violation> {
        self.some(6, |node| !runs(node)).into_iter().try_for_each(|slot| self.start_again(slot))
    }

    /// Killed and started again at once, perhaps in the middle of a write.
    fn bounce(&mut self) -> Result<(), Violation> {
        for slot in self.some(3, runs) {
            if self.rng.below(2) == 0 {
                self.publish_anew(slot)?;
                let moment = self.rng.duration_below(self.settings().role_coalesce);
                self.pass(moment)?;
            }
            let slot = self.one_that_writes()?.unwrap_or(slot);
            self.world.kill(slot);
            let moment = self.rng.duration_below(Duration::from_millis(20));
            self.pass(moment)?;
            self.start_again(slot)?;
        }
        Ok(())
    }

    /// A node that a crash would hurt now; it is waited for, but not for long.
    fn one_that_writes(&mut self) -> Result<Option<Slot>, Violation> {
        for _ in 0..self.rng.below(WRITE_WAITS) {
            if let Some(slot) = self.some(1, |node| runs(node) && node.disk.is_writing()).pop() {
                return Ok(Some(slot));
            }
            self.pass(WRITE_WAIT)?;
        }
        Ok(None)
    }

    fn bounce_voters(&mut self) -> Result<(), Violation> {
        let voters = self.slots(is_voter);
        voters.iter().for_each(|slot| self.world.kill(*slot));
        let dark = self.rng.duration_below(Duration::from_secs(3));
        self.pass(dark)?;
        for slot in voters {
            self.start_again(slot)?;
            let moment = self.rng.duration_below(Duration::from_millis(300));
            self.pass(moment)?;
        }
        Ok(())
    }

    fn lose(&mut self, slot: Slot, loses: fn(&mut World, Slot)) -> Result<(), Violation> {
        self.world.kill(slot);
        loses(&mut self.world, slot);
        self.later(slot)
    }

    /// It is started again, now or whenever.
    fn later(&mut self, slot: Slot) -> Result<(), Violation> {
        if self.rng.below(2) == 0 {
            return Ok(());
        }
        let moment = self.rng.duration_below(Duration::from_secs(1));
        self.pass(moment)?;
        self.start_again(slot)
    }

    /// Whether what the disk of a node holds may be lost. No consensus survives the loss of what a majority has promised: of the
    /// voters one may forget, while all others of a group that is not being changed remember. A change of the group holds at each
    /// of them from when it knows that it is committed, and it keeps that with later entries only: so some must have followed.
    fn may_forget(&self, slot: Slot) -> bool {
        if self.world.node(slot).part != Part::Voter {
            return true;
        }
        let Some(facts) = self.world.facts() else { return false };
        let parts: Vec<(Slot, VoterPart)> =
            facts.voters().iter().filter_map(|(node, part)| Some((self.world.place_of(*node)?, *part))).collect();
        let settled = parts.len() == facts.voters().len() && parts.iter().all(|(_, part)| *part == VoterPart::Voter);
        // One that forgot, and votes under a new id, remembers all that it promised under that.
        let remembers = |slot: &Slot| self.world.node(*slot).id().is_some_and(|id| facts.is_voter(id));
        let others = parts.iter().filter(|(other, _)| *other != slot).all(|(other, _)| remembers(other));
        let kept = self.world.facts_before(LATER_EVENTS).is_some_and(|before| before.voters() == facts.voters());
        settled && kept && parts.len() >= 3 && others
    }

    /// Remembers the disk of some node, to be put back later.
    pub(super) fn copy_a_disk(&mut self) {
        if let Some(slot) = self.some(1, |node| runs(node) && !is_voter(node)).pop() {
            self.world.copy_disk(slot);
        }
    }

    /// An old disk of one that never votes: an old vote that nobody can tell from a new one breaks Raft itself.
    fn bring_back(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(1, |node| node.old_disk.is_some() && !is_voter(node)).pop() else { return Ok(()) };
        self.world.kill(slot);
        self.world.bring_back_disk(slot);
        self.later(slot)
    }

    /// A group, and the others or some of them.
    fn part(&mut self, how: Parting) {
        let all = self.slots(|_| true);
        let shuffled = self.rng.sample(&all, all.len());
        let first = 1 + self.rng.below(shuffled.len() as u64 / 2) as usize;
        let (one, rest) = shuffled.split_at(first);
        // Now and then a third group hears both.
        let second = if self.rng.below(3) == 0 { rest.len().div_ceil(2) } else { rest.len() };
        self.world.part(one, &rest[..second], how);
        self.world.count_partition();
    }

    /// A few links, each in one direction; often between voters.
    fn cut_single_links(&mut self) {
        let all = self.slots(|_| true);
        let voters = self.slots(is_voter);
        for _ in 0..1 + self.rng.below(6) {
            let among = if self.rng.below(2) == 0 { &voters } else { &all };
            if let [from, to] = self.rng.sample(among, 2)[..] {
                self.world.part(&[from], &[to], Parting::OneWay);
            }
        }
        self.world.count_partition();
    }

    fn slow(&mut self) {
        let Some(slot) = self.some(1, runs).pop() else { return };
        let (by, length) = (self.millis(5, 100), self.millis(1_000, 10_000));
        self.world.slow(slot, by, length);
    }

    fn starve(&mut self) {
        let Some(slot) = self.some(1, runs).pop() else { return };
        let (run, gap, length) = (self.millis(10, 200), self.millis(100, 2_500), self.millis(1_000, 10_000));
        self.world.starve(slot, run, gap, length);
    }

    fn pause(&mut self) {
        let Some(slot) = self.some(1, runs).pop() else { return };
        let length = self.millis(200, 5_000);
        self.world.pause(slot, length);
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.rng.below(most - least))
    }

    fn jump_a_clock(&mut self) {
        let Some(slot) = self.some(1, |_| true).pop() else { return };
        let far = [1_000, 60_000, 3_600_000, 86_400_000][self.rng.below(4) as usize];
        let by = i64::try_from(self.rng.below(2 * far)).expect("days") - i64::try_from(far).expect("days");
        self.world.jump_clock(slot, by);
    }

    /// One without a part in the Raft group: the word of a voter is what others go by.
    fn let_one_lie(&mut self) {
        let Some(slot) = self.some(1, |node| runs(node) && !is_voter(node)).pop() else { return };
        self.world.lie(slot, true);
        let until = self.world.now() + Duration::from_secs(2) + self.rng.duration_below(Duration::from_secs(8));
        self.chaos.liars.insert(slot, until);
    }

    fn let_one_flood(&mut self) {
        if let (Some(from), Some(to)) = (self.some(1, runs).pop(), self.some(1, runs).pop()) {
            let count = 50 + self.rng.below(FLOOD - 50) as u32;
            self.world.flood(from, to, count);
        }
    }
}

fn runs(node: &SimNode) -> bool {
    node.process.is_some()
}

fn is_voter(node: &SimNode) -> bool {
    node.part == Part::Voter
}
