//! One simulated node: its place in the world, its disk, and the process that runs there now.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hivemind_core::ids::{NodeId, NodeName, PublicKey};
use hivemind_core::keys::Keys;
use hivemind_core::machine::{Birth, HaltReason, Machine, StartError, Startup};
use hivemind_core::role::InstalledRole;
use hivemind_core::settings::Settings;
use hivemind_core::time::Time;
use hivemind_core::view::View;
use hivemind_core::wire::config::Section;
use hivemind_core::wire::frame::Header;
use hivemind_dns_processor::zone::Zone;

use super::clock::Clock;
use super::disk::Disk;
use super::keys::SimKeys;
use super::lies::Liar;
use super::network::Slot;
use super::pace::Pace;
use super::roles::{self, Names};
use super::trace::LastLines;

/// The port that nodes listen on.
const PEER_PORT: u16 = 6550;

/// What a node is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It may vote; it has no role.
    Voter,
    /// It answers for all hosts.
    Consumer,
    /// It publishes.
    Host,
}

/// A place in the world. It outlives processes and memberships.
pub struct SimNode {
    /// Its number.
    pub slot: Slot,
    /// Its name.
    pub name: NodeName,
    /// What it is there for.
    pub part: Part,
    /// Its key.
    pub keys: Arc<SimKeys>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it asks to join; `None`: at every voter.
    pub seeds: Option<Vec<SocketAddr>>,
    /// Its disk.
    pub disk: Disk,
    /// When the last write on its way is durable.
    pub disk_free: Time,
    /// What its disk held some time ago.
    pub old_disk: Option<Disk>,
    /// Its disk was put back to an earlier state: others may have seen later starts of it.
    pub rolled_back: bool,
    /// Its clocks.
    pub clock: Clock,
    /// How promptly it handles what comes.
    pub pace: Pace,
    /// Whether it lies, and how.
    pub liar: Option<Liar>,
    /// The header of the last frame that it sent.
    pub header: Option<Header>,
    /// How often a process started here.
    pub life: u32,
    /// What its host publishes: the "host file" of this machine.
    pub sections: Arc<Vec<Section>>,
    /// What runs.
    pub process: Option<Process>,
    /// Why the last process stopped by itself.
    pub halted: Option<HaltReason>,
    /// Since when its process has run without standing still; later than now while it does.
    pub undisturbed: Time,
    /// When it was killed, until its leave is committed.
    pub crashed: Option<Time>,
    /// The bytes that it sent, as on the wire.
    pub sent: u64,
    /// What happened here last.
    pub lines: LastLines,
}

/// A running process.
pub struct Process {
    /// The node itself.
    pub machine: Machine,
    /// When its next timeout is due, as the queue has it.
    pub wake: Option<Time>,
    /// Its view.
    pub view: Option<Arc<View>>,
    /// The membership that its disk spoke of when it started.
    pub before: Option<NodeId>,
    /// What is in force, where it is a consumer.
    pub names: Option<Names>,
    /// What its DNS answers from, where it is a consumer.
    pub zone: Option<Zone>,
    /// When it started.
    pub began: Time,
    /// When it started, until it is a member.
    pub joining: Option<Time>,
    /// When it started, until it has caught up.
    pub catching_up: Option<Time>,
}

/// What all nodes of a world are started with.
#[derive(Clone, Debug)]
pub struct Common {
    /// The seed of the world.
    pub seed: u64,
    /// How nodes are tuned.
    pub settings: Settings,
    /// What the cluster is called.
    pub birth: Birth,
    /// Where joiners ask.
    pub seeds: Vec<SocketAddr>,
}

impl SimNode {
    /// A place without a process. `number` is that of its key.
    pub fn new(slot: Slot, name: NodeName, part: Part, seed: u64) -> Self {
        SimNode {
            slot,
            name,
            part,
            keys: Arc::new(SimKeys::new(seed, u64::from(slot.0))),
            address: address(slot),
            seeds: None,
            disk: Disk::default(),
            disk_free: Time::ZERO,
            old_disk: None,
            rolled_back: false,
            clock: Clock::default(),
            pace: Pace::default(),
            liar: None,
            header: None,
            life: 0,
            sections: Arc::default(),
            process: None,
            halted: None,
            undisturbed: Time::ZERO,
            crashed: None,
            sent: 0,
            lines: LastLines::default(),
        }
    }

    /// Its key.
    pub fn key(&self) -> PublicKey {
        self.keys.public()
    }

    /// What it performs.
    pub fn roles(&self) -> Vec<InstalledRole> {
        match self.part {
            Part::Voter => Vec::new(),
            Part::Consumer => roles::consumer(),
            Part::Host => roles::host(self.sections.clone()),
        }
    }

    /// Starts a process on what the disk holds. That of slot 0 gives birth to the cluster where there is none yet: an
    /// operator does so once, and never again where a disk is found empty.
    ///
    /// # Errors
    /// As [`Machine::new`].
    pub fn start(&mut self, common: &Common, is_born: bool, now: Time) -> Result<(), StartError> {
        self.life += 1;
        self.halted = None;
        self.undisturbed = now;
        self.pace.begin();
        let startup = Startup {
            name: self.name.clone(),
            addresses: vec![self.address],
            roles: self.roles(),
            voter_eligible: self.part == Part::Voter,
            seeds: self.seeds.as_ref().unwrap_or(&common.seeds).iter().filter(|seed| **seed != self.address).copied().collect(),
            awaits_seeds: false,
            birth: (self.slot == Slot(0) && !is_born).then_some(common.birth),
            recovered: self.disk.recover(),
            settings: common.settings.clone(),
            keys: self.keys.clone(),
            seed: common.seed ^ (u64::from(self.slot.0) << 32) ^ u64::from(self.life),
        };
        let machine = Machine::new(startup, self.clock.at(now))?;
        let (since, before) = (Some(now), self.disk.identity().map(|identity| identity.node).filter(|node| !node.is_none()));
        let (names, zone) = (None, None);
        self.process =
            Some(Process { machine, wake: None, view: None, before, names, zone, began: now, joining: since, catching_up: since });
        Ok(())
    }

    /// Where it stands, for people.
    pub fn state(&self) -> String {
        let Some(process) = &self.process else { return format!("{} is dead: {:?}", self.name, self.halted) };
        let status = process.machine.status();
        let at = status.position.map(|position| position.to_string()).unwrap_or_default();
        let (name, node, phase, term) = (&self.name, status.node, status.phase, status.term);
        let part = format!("{:?} in term {term} with leader {:?}", status.voter, status.leader);
        let beat = self.header.map(|header| header.beat);
        format!("{name} is {node}, {phase:?} at {at}, {part}, {:?}, last sent {beat:?}", status.condition)
    }

    /// What its process sees.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.process.as_ref()?.view.as_ref()
    }

    /// Its membership, as far as its process knows.
    pub fn id(&self) -> Option<NodeId> {
        self.view().map(|view| view.node)
    }
}

/// Where the node in `slot` listens: no two share an address.
pub fn address(slot: Slot) -> SocketAddr {
    let [high, mid, low] = [(slot.0 + 1) >> 16, (slot.0 + 1) >> 8, slot.0 + 1].map(|part| (part & 0xFF) as u8);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, high, mid, low)), PEER_PORT)
}
