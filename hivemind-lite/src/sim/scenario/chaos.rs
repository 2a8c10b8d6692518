//! Chaos, then calm: everything goes wrong at once while the cluster is used, then the faults stop.
//!
//! The seed draws the size, the settings and the mix of faults. What goes wrong is in `disturb`, what members do by
//! themselves in `load`; what must be so in the end is in `calm`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hivemind_core::facts::NeighborhoodLimits;
use hivemind_core::rng::Rng;
use hivemind_core::settings::Settings;
use hivemind_core::time::Time;
use hivemind_core::wire::command::VoterWish;

use super::super::checkers::{Violation, wishes};
use super::super::clients::Clients;
use super::super::mishap::{Mishap, Rates};
use super::super::network::Slot;
use super::super::node::{Part, SimNode};
use super::super::profile::Profile;
use super::Run;
use super::custody::Custody;
use super::load::{LOAD, Load};

/// How long chaos lasts where no duration is asked for.
pub(super) const LASTS: Duration = Duration::from_secs(20);
/// The fewest and the most nodes that a seed draws.
const SIZES: (u32, u32) = (20, 120);
const MINUTE: Duration = Duration::from_secs(60);

/// What a run of chaos has in mind beside its world.
#[derive(Debug, Default)]
pub(super) struct Chaos {
    /// These stay away in the end: they were evicted, or nobody starts them again.
    pub(super) away: BTreeSet<Slot>,
    /// Who lies, and until when.
    pub(super) liars: BTreeMap<Slot, Time>,
    /// They propose and read as long as there is chaos.
    pub(super) clients: Option<Clients>,
    /// Who adds voters and takes them away, as long as there is chaos.
    pub(super) operator: Option<Rng>,
    /// The voters' own care for the authority's key, from the first fault on.
    pub(super) custody: Option<Custody>,
    /// Raised with each publication.
    pub(super) version: u32,
}

/// What a seed draws before its world is made.
#[derive(Debug)]
pub(super) struct Mix {
    /// Small limits, so that what takes long otherwise happens.
    pub(super) settings: Settings,
    /// Links, disks and clocks at most as bad as those of the faults that were asked for.
    pub(super) profile: Profile,
    /// Places of members that may vote.
    pub(super) voters: u32,
}

/// How many nodes the seed draws.
pub(super) fn nodes(seed: u64) -> u32 {
    let (least, most) = SIZES;
    least + small(Rng::new(seed ^ 0x51_2E).below(u64::from(most - least + 1)))
}

impl Mix {
    /// The mix of a seed.
    pub(super) fn of(seed: u64, profile: Profile) -> Mix {
        let mut rng = Rng::new(seed ^ 0xC4A0_5000_0000_0000);
        let settings = settings(&mut rng);
        let voters = 3 + small(rng.below(5));
        Mix { voters: voters.max(small(settings.control.voters as u64)), profile: mixed(profile, &mut rng), settings }
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("it was drawn below a small bound")
}

/// Each fault as often as the profile says, less often, or not at all.
fn mixed(mut profile: Profile, rng: &mut Rng) -> Profile {
    for ppm in [&mut profile.loss_ppm, &mut profile.duplicate_ppm, &mut profile.late_ppm, &mut profile.drift_ppm] {
        *ppm = [0, *ppm / 4, *ppm][rng.below(3) as usize];
    }
    if rng.below(3) > 0 {
        profile.disk_max = profile.disk_max.min(Profile::default().disk_max);
    }
    profile.rates = profile.rates.only(|mishap| rng.below(4) > 0 || mishap.mends());
    profile
}

fn settings(rng: &mut Rng) -> Settings {
    let mut settings = Settings::default();
    if rng.below(2) == 0 {
        settings.events.tail_bytes = 1_000 << rng.below(4);
    }
    if rng.below(3) == 0 {
        settings.events.voter_tail_bytes = 4_000 << rng.below(6);
    }
    if rng.below(2) == 0 {
        settings.control.snapshot_entries = 4 << rng.below(6);
    }
    if rng.below(4) == 0 {
        settings.control.collect_events = 16 << rng.below(4);
    }
    if rng.below(3) == 0 {
        settings.configs.batch_bytes = 600;
    }
    if rng.below(4) == 0 {
        settings.control.voters = 5;
    }
    if rng.below(4) > 0 {
        let most = 8 + 4 * rng.below(5) as u16;
        settings.control.neighborhoods = NeighborhoodLimits { most, least: most / 4 };
    }
    settings
}

/// What happens next.
enum Next {
    Mishap(Mishap),
    Load(Load),
}

impl Run<'_> {
    /// Chaos for as long as it was asked for, then the end of all faults.
    pub(super) fn chaos(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let lasts = self.options.duration.unwrap_or(LASTS);
        let rates = self.world.profile().rates;
        // What is measured here says nothing about the product.
        self.world.measure(false);
        self.chaos.clients = Some(Clients::new(self.rng.fork()));
        self.chaos.custody = Some(Custody::default());
        self.employ();
        while self.world.now().since(begin) < lasts {
            let (next, pause) = self.next(&rates);
            self.pass(pause)?;
            self.attend();
            self.operate()?;
            match next {
                Next::Mishap(mishap) => self.disturb(mishap)?,
                Next::Load(load) => self.use_it(load)?,
            }
        }
        self.chaos.clients = None;
        self.chaos.operator = None;
        self.end_faults()?;
        self.calm()?;
        self.lose_a_voter()
    }

    /// What happens next, and after how long: as often as the rates say, at irregular times.
    fn next(&mut self, rates: &Rates) -> (Next, Duration) {
        let all: Vec<(Next, u32)> = rates
            .all()
            .map(|(mishap, rate)| (Next::Mishap(mishap), rate))
            .chain(LOAD.into_iter().map(|(load, rate)| (Next::Load(load), rate)))
            .collect();
        let total: u32 = all.iter().map(|(_, rate)| rate).sum();
        let pause = self.rng.duration_below(MINUTE * 2 / total);
        let mut left = self.rng.below(u64::from(total));
        for (next, rate) in all {
            if left < u64::from(rate) {
                return (next, pause);
            }
            left -= u64::from(rate);
        }
        unreachable!("the draw was below the sum")
    }

    /// What ends by itself: lies. And what may happen at any time: somebody copies a disk.
    fn attend(&mut self) {
        let now = self.world.now();
        let truthful: Vec<Slot> = self.chaos.liars.iter().filter(|(_, until)| **until <= now).map(|(slot, _)| *slot).collect();
        for slot in truthful {
            self.world.lie(slot, false);
            self.chaos.liars.remove(&slot);
        }
        if self.rng.below(4) == 0 {
            self.copy_a_disk();
        }
    }

    /// The faults stop: links are whole, disks have room, and whoever is not to stay away is started again.
    fn end_faults(&mut self) -> Result<(), Violation> {
        self.world.heal();
        self.world.calm_links();
        let slots: Vec<Slot> = self.slots(|_| true);
        for &slot in &slots {
            self.world.lie(slot, false);
            self.world.recover(slot);
            self.world.fill_disk(slot, false);
        }
        // What was proposed last may take effect until then.
        self.pass(self.settings().control.proposal_timeout * 2)?;
        for slot in slots {
            let node = self.world.node(slot);
            let spare = node.part == Part::Host && slot.0.is_multiple_of(3);
            if node.process.is_none() && spare {
                self.chaos.away.insert(slot);
            }
            self.start_again(slot)?;
        }
        Ok(())
    }

    /// L2 for voters: one is killed for good, and another takes its place, where there is one to take it.
    fn lose_a_voter(&mut self) -> Result<(), Violation> {
        let wishes = wishes(self.world.nodes().iter());
        let abstains = |node: &SimNode| node.id().is_some_and(|id| wishes.get(&id) == Some(&VoterWish::Abstain));
        let voters = self.slots(|node| node.part == Part::Voter && !abstains(node));
        if voters.len() <= self.settings().control.voters || self.rng.below(2) == 0 {
            return Ok(());
        }
        let Some(&slot) = self.rng.sample(&voters, 1).first() else { return Ok(()) };
        self.world.kill(slot);
        self.chaos.away.insert(slot);
        self.calm()
    }

    /// The places that fit.
    pub(super) fn slots(&self, fits: impl Fn(&SimNode) -> bool) -> Vec<Slot> {
        self.world.nodes().iter().filter(|node| fits(node)).map(|node| node.slot).collect()
    }

    /// Up to `most` of the places that fit, at least one where there is one.
    pub(super) fn some(&mut self, most: u64, fits: impl Fn(&SimNode) -> bool) -> Vec<Slot> {
        let fitting = self.slots(fits);
        let count = 1 + self.rng.below(most) as usize;
        self.rng.sample(&fitting, count)
    }

    pub(super) fn settings(&self) -> &Settings {
        self.world.settings()
    }
}
