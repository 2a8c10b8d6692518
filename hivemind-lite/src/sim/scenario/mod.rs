//! What a run does: a cluster is formed, loaded in one of nine ways, and must be calm again at the end.

mod calm;
mod chaos;
mod crash;
mod custody;
mod disturb;
mod event;
mod halve;
mod idle;
mod join;
mod load;
mod operator;
mod part;
mod publish;
mod starve;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use clap::ValueEnum;
use hivemind_core::ids::NodeName;
use hivemind_core::rng::Rng;
use hivemind_core::settings::Settings;
use hivemind_core::time::Time;

use self::chaos::{Chaos, Mix};
use super::checkers::{Invariant, Violation};
use super::incidents::Incidents;
use super::network::Slot;
use super::node::Part;
use super::profile::Faults;
use super::roles;
use super::samples::{Samples, Series};
use super::traffic::Traffic;
use super::world::{Sources, World, WorldOptions};

/// So many samples are taken where no duration is asked for: enough that a 99th percentile is not the maximum.
pub const SAMPLES: usize = 200;
/// The world is looked at this often while something is waited for.
const SLICE: Duration = Duration::from_millis(20);
/// The nodes of a cluster that was formed before are switched on one after another, 2,000 in a second.
const SWITCH_ON_PAUSE: Duration = Duration::from_micros(500);
/// So long after all are there, a cluster that was switched on is left alone: voters tell those who have just come of the others.
const SETTLES: Duration = Duration::from_secs(10);
/// One that was formed by joins has more to tell, and is left alone for so long before it is called idle.
const FALLS_IDLE: Duration = Duration::from_secs(60);

/// The load of a run, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Nothing happens: what a cluster costs.
    Idle,
    /// Members come and go and say that they restart: how fast events spread.
    Event,
    /// Hosts crash: how fast they are gone from the answers. Under faults any process may also crash and restart in between.
    Crash,
    /// Nodes join: how fast they are members, caught up, and known.
    Join,
    /// Hosts change what they publish: how fast all consumers answer with it.
    Publish,
    /// A tenth of the hosts is starved and another loses a fifth of what it sends, while some of the others crash.
    Starve,
    /// Half of the nodes crash at once: how fast the others hear of the next event.
    Halve,
    /// Half of the consumers are parted from everybody while hosts publish: how fast they are equal again, and for how many bytes.
    Part,
    /// Everything that the faults allow goes wrong while members come, go and publish; then all faults stop. The seed draws
    /// the settings, the mix and, where none is asked for, the size.
    Chaos,
}

impl Scenario {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Idle => "idle",
            Scenario::Event => "event",
            Scenario::Crash => "crash",
            Scenario::Join => "join",
            Scenario::Publish => "publish",
            Scenario::Starve => "starve",
            Scenario::Halve => "halve",
            Scenario::Part => "part",
            Scenario::Chaos => "chaos",
        }
    }

    /// What decides how long the load lasts where no duration is asked for.
    fn measures(self) -> Option<Series> {
        match self {
            Scenario::Idle | Scenario::Chaos | Scenario::Starve | Scenario::Halve | Scenario::Part => None,
            Scenario::Event => Some(Series::EventKnown),
            Scenario::Crash => Some(Series::Gone),
            Scenario::Join => Some(Series::InViews),
            Scenario::Publish => Some(Series::Everywhere),
        }
    }

    /// How many nodes there are where none are asked for.
    pub fn nodes(self, seed: u64) -> u32 {
        if self == Scenario::Chaos { chaos::nodes(seed) } else { 48 }
    }
}

/// All that decides a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Nodes at birth: 3 voters (chaos: 3 to 7), about 4 % consumers (2 to 10), hosts.
    pub nodes: u32,
    /// Where all chance comes from.
    pub seed: u64,
    /// How long the load lasts, in virtual time; until there are [`SAMPLES`] where absent (idle: 60 s, chaos: 20 s, starve: an hour,
    /// halve: 3 times, part: 10 times).
    pub duration: Option<Duration>,
    /// The load.
    pub scenario: Scenario,
    /// The faults.
    pub faults: Faults,
}

impl RunOptions {
    /// The voters of a run.
    pub const VOTERS: u32 = 3;
    /// Up to so many nodes join one another at the beginning of a run; more have joined before it, and are switched on.
    pub const JOINING: u32 = 200;
    /// The fewest nodes of a run: 3 voters, 2 consumers, and 3 hosts, so that one starves, one loses and one crashes.
    pub const MIN_NODES: u32 = 8;

    /// How many consumers there are.
    pub fn consumers(&self) -> u32 {
        (self.nodes / 25).clamp(2, 10)
    }

    /// The command that repeats exactly this run.
    pub fn command(&self) -> String {
        let duration = self.duration.map_or_else(String::new, |duration| format!(" --duration {}", duration.as_secs()));
        let (scenario, faults) = (self.scenario.name(), self.faults.name());
        format!("hivemind-lite sim --nodes {} --seed {}{duration} --scenario {scenario} --faults {faults}", self.nodes, self.seed)
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What it was made from.
    pub options: RunOptions,
    /// The hash over everything that happened.
    pub trace: String,
    /// The members at the end.
    pub members: usize,
    /// The events committed.
    pub events: u64,
    /// The virtual time of the whole run.
    pub virtual_time: Duration,
    /// The part of it under load.
    pub load_time: Duration,
    /// The bytes that the leader sent under load, as on the wire; absent where it was not one leader from begin to end.
    pub leader_sent: Option<u64>,
    /// What was measured under load.
    pub samples: Samples,
    /// What was sent under load.
    pub traffic: Traffic,
    /// What it took to make parted consumers equal, each time.
    pub made: Vec<Made>,
    /// From whom newcomers had their events.
    pub sources: Sources,
    /// How many things happened.
    pub steps: u64,
    /// What happened to nodes and links, and what they made of it.
    pub incidents: Incidents,
    /// Frames that nodes dropped as junk.
    pub junk: u64,
    /// Where it failed: what was violated, and the last lines of the nodes in it.
    pub violation: Option<(Violation, Vec<String>)>,
}

/// What it took to make consumers equal that were parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The bytes of the configs that they lacked, over all of them.
    pub lacked: u64,
    /// The bytes of all that was sent about configs.
    pub sent: u64,
}

/// A run under way.
pub struct Run<'a> {
    options: RunOptions,
    world: World,
    rng: Rng,
    progress: &'a mut dyn FnMut(&World),
    /// Places of members that may vote.
    voters: u32,
    chaos: Chaos,
    load_time: Duration,
    leader_sent: Option<u64>,
    traffic: Traffic,
    made: Vec<Made>,
    next_host: u32,
}

/// Runs one seed from birth to the end. `progress` is called now and then; it must not change what happens.
pub fn run(options: RunOptions, progress: &mut dyn FnMut(&World)) -> Outcome {
    let profile = options.faults.profile();
    let Mix { settings, profile, voters } = if options.scenario == Scenario::Chaos {
        Mix::of(options.seed, profile)
    } else {
        Mix { settings: Settings::default(), profile, voters: RunOptions::VOTERS }
    };
    let mut run = Run {
        options,
        world: World::new(WorldOptions { seed: options.seed, profile, settings }, voters),
        rng: Rng::new(options.seed ^ 0x05CE_1A21),
        progress,
        voters,
        chaos: Chaos::default(),
        load_time: Duration::ZERO,
        leader_sent: None,
        traffic: Traffic::default(),
        made: Vec::new(),
        next_host: 1,
    };
    // A panic of a machine is a finding with a seed like any other.
    let ended = catch_unwind(AssertUnwindSafe(|| run.whole()));
    let ended = ended.unwrap_or_else(|payload| Err(run.panicked(payload.as_ref())));
    run.outcome(ended)
}

impl Run<'_> {
    fn whole(&mut self) -> Result<(), Violation> {
        self.form()?;
        let (begin, before) = (self.world.now(), self.world.traffic().clone());
        let leader = self.world.leader();
        let sent = leader.map_or(0, |leader| self.world.node(leader).sent);
        self.world.measure(true);
        let loaded = match self.options.scenario {
            Scenario::Idle => self.idle(),
            Scenario::Event => self.events(),
            Scenario::Crash => self.crashes(),
            Scenario::Join => self.joins(),
            Scenario::Publish => self.publishes(),
            Scenario::Starve => self.starves(),
            Scenario::Halve => self.halves(),
            Scenario::Part => self.parts(),
            Scenario::Chaos => self.chaos(),
        };
        self.world.measure(false);
        self.load_time = self.world.now().since(begin);
        self.traffic = self.world.traffic().since(&before);
        let still = leader.filter(|leader| self.world.leader() == Some(*leader));
        self.leader_sent = still.map(|leader| self.world.node(leader).sent - sent);
        loaded?;
        self.calm()
    }

    /// Births the cluster with its first voter, and starts the others within half a second. A large cluster is switched on
    /// instead: it was formed before.
    fn form(&mut self) -> Result<(), Violation> {
        let consumers = self.options.consumers();
        for number in 1..=self.options.nodes {
            let (name, part) = match number.checked_sub(self.voters) {
                None | Some(0) => (format!("voter{number}"), Part::Voter),
                Some(rest) if rest <= consumers => (format!("dns{rest}"), Part::Consumer),
                Some(_) => {
                    self.add_host();
                    continue;
                }
            };
            self.world.add(valid(&name), part, Vec::new());
        }
        if self.options.nodes > RunOptions::JOINING {
            return self.switch_on();
        }
        let slots: Vec<Slot> = self.world.nodes().iter().map(|node| node.slot).collect();
        for slot in slots {
            self.world.start(slot)?;
            let pause = match slot {
                Slot(0) => Duration::from_millis(200),
                Slot(_) => self.rng.duration_below(Duration::from_millis(1000) / self.options.nodes),
            };
            self.world.run_for(pause)?;
        }
        self.calm()?;
        match self.options.scenario {
            Scenario::Idle => self.pass(FALLS_IDLE),
            _ => Ok(()),
        }
    }

    /// Starts a cluster that was formed before: the voters at once, the others when these have a leader.
    fn switch_on(&mut self) -> Result<(), Violation> {
        self.world.form(self.voters);
        for slot in (0..self.options.nodes).map(Slot) {
            self.world.start(slot)?;
            if slot.0 + 1 == self.voters {
                self.pass(Duration::from_secs(5))?;
            } else if slot.0 >= self.voters {
                self.world.run_for(SWITCH_ON_PAUSE)?;
            }
        }
        self.calm()?;
        self.pass(SETTLES)
    }

    /// A place for a further host.
    fn add_host(&mut self) -> Slot {
        let number = self.next_host;
        self.next_host += 1;
        self.world.add(valid(&format!("host{number}")), Part::Host, roles::sections(number, 0))
    }

    /// Whether the load has lasted as long as it should.
    fn is_loaded(&self, begin: Time) -> bool {
        match (self.options.duration, self.options.scenario.measures()) {
            (Some(duration), _) => self.world.now().since(begin) >= duration,
            (None, Some(series)) => self.world.samples().count(series) >= SAMPLES,
            (None, None) => self.world.now().since(begin) >= Duration::from_secs(60),
        }
    }

    /// Whether a misfortune that is made again and again was made often enough: for as long as is asked for, else so many times.
    fn is_enough(&self, begin: Time, rounds: u32, times: u32) -> bool {
        self.options.duration.map_or(rounds >= times, |duration| self.world.now().since(begin) >= duration)
    }

    /// Lets the world go on.
    fn pass(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.world.now() + duration;
        while self.world.now() < end {
            let slice = if self.chaos.clients.is_some() { SLICE } else { SLICE * 5 };
            self.world.run_for(end.since(self.world.now()).min(slice))?;
            if let Some(clients) = &mut self.chaos.clients {
                clients.act(&mut self.world)?;
            }
            if let Some(custody) = &mut self.chaos.custody {
                custody.act(&mut self.world)?;
            }
            if let Some((goal, slot)) = self.world.watches().overdue(self.world.now()) {
                return Err(self.world.at(slot).violates(Invariant::L1, format!("it still has not come to {goal:?}")));
            }
            (self.progress)(&self.world);
        }
        Ok(())
    }

    /// Lets the world go on until something is so; false where it is not within `bound`.
    fn until(&mut self, bound: Duration, is_so: impl Fn(&World) -> bool) -> Result<bool, Violation> {
        let end = self.world.now() + bound;
        while !is_so(&self.world) {
            if self.world.now() >= end {
                return Ok(false);
            }
            self.pass(SLICE)?;
        }
        Ok(true)
    }

    /// A running, settled host, drawn at random.
    fn some_host(&mut self) -> Option<Slot> {
        let settled = |slot: Slot| self.world.node(slot).view().is_some() && self.world.is_member(slot);
        let hosts: Vec<Slot> = self.world.nodes().iter().filter(|node| node.part == Part::Host).map(|node| node.slot).collect();
        let hosts: Vec<Slot> = hosts.into_iter().filter(|slot| settled(*slot)).collect();
        self.rng.sample(&hosts, 1).first().copied()
    }

    fn panicked(&self, payload: &(dyn std::any::Any + Send)) -> Violation {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        self.world.at(self.world.acting()).violates(Invariant::Sound, format!("panic: {text}"))
    }

    fn outcome(self, ended: Result<(), Violation>) -> Outcome {
        let world = &self.world;
        let violation = ended.err().map(|violation| {
            let mut lines = violation.with.as_ref().map_or_else(Vec::new, |with| world.last_lines(with));
            lines.extend(world.last_lines(&violation.node));
            lines.extend(world.voters());
            (violation, lines)
        });
        Outcome {
            options: self.options,
            trace: world.trace().to_string(),
            members: world.members(),
            events: world.committed().0,
            virtual_time: world.now().since_origin(),
            load_time: self.load_time,
            leader_sent: self.leader_sent,
            samples: world.samples().clone(),
            traffic: self.traffic,
            made: self.made,
            sources: world.sources(),
            steps: world.steps(),
            incidents: *world.incidents(),
            junk: world.junk(),
            violation,
        }
    }
}

fn valid(name: &str) -> NodeName {
    NodeName::new(name).expect("the names made in this program are valid")
}
