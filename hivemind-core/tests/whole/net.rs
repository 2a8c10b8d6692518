//! Some machines on a virtual clock, joined by a network without loss: what travels takes a millisecond, what is written
//! half of one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::context::Report;
use hivemind_core::ids::{ClusterId, Digest256, Index, NodeId, NodeName, PublicKey, RequestId, SectionKind, Seq, Ticket};
use hivemind_core::keys::{Keys, Signature, hash};
use hivemind_core::machine::{Birth, Destination, Effect, HaltReason, Input, Machine, Phase, Reply, Startup};
use hivemind_core::role::{InstalledRole, Role, RoleSpec};
use hivemind_core::settings::Settings;
use hivemind_core::storage::Write;
use hivemind_core::time::{Now, Time, Timestamp};
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::Event;
use hivemind_core::wire::frame::Channel;

use super::describe;
use super::disk::Disk;

pub(crate) const CLUSTER: ClusterId = ClusterId(0xC1);
pub(crate) const TAG: u64 = 0x7A6;
const LATENCY: Duration = Duration::from_millis(1);
const SYNC: Duration = Duration::from_micros(500);

/// Signatures that prove nothing, but differ by key and content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestKeys(pub(crate) PublicKey);

impl TestKeys {
    pub(crate) fn of(name: &str) -> Self {
        TestKeys(PublicKey(hash(&[b"key of ", name.as_bytes()]).0))
    }
}

impl Keys for TestKeys {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&hash(&[&self.0.0, &digest.0]).0);
        Signature(whole)
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        TestKeys(*key).sign(digest) == *signature
    }
}

pub(crate) fn kind(name: &str) -> SectionKind {
    SectionKind::new(name).expect("the kinds in tests are valid")
}

fn spec(name: &str, publishes: &[&str], consumes: &[&str]) -> RoleSpec {
    let kinds = |names: &[&str]| names.iter().map(|name| kind(name)).collect();
    RoleSpec { name: kind(name), requires: vec![], bootstraps_from: vec![], publishes: kinds(publishes), consumes: kinds(consumes) }
}

/// Publishes the kind `host`.
struct Host;

impl Role for Host {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        spec("host", &["host"], &[])
    }

    fn desired(&self, _: &View, _: &Changed, _: Option<&()>) {}
}

/// Wants to know which version of which host is in force.
struct Consumer;

impl Role for Consumer {
    type Desired = BTreeMap<NodeName, Seq>;

    fn spec(&self) -> RoleSpec {
        spec("consumer", &[], &["host"])
    }

    fn desired(&self, view: &View, _: &Changed, _: Option<&Self::Desired>) -> Self::Desired {
        view.hosts().map(|(member, config)| (member.name.clone(), config.config.seq)).collect()
    }
}

/// What a fragile role can not stand in any host's config.
pub(crate) const POISON: &str = "poison";

/// As [`Consumer`], but it falls over a config that says [`POISON`].
struct Fragile;

impl Role for Fragile {
    type Desired = BTreeMap<NodeName, Seq>;

    fn spec(&self) -> RoleSpec {
        spec("fragile", &[], &["host"])
    }

    fn desired(&self, view: &View, _: &Changed, _: Option<&Self::Desired>) -> Self::Desired {
        let versions = view.hosts().map(|(member, config)| {
            assert!(config.config.sections.iter().all(|section| section.body != POISON), "{} poisons its consumers", member.name);
            (member.name.clone(), config.config.seq)
        });
        versions.collect()
    }
}

/// What a node is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Voter,
    Host,
    Consumer,
    /// A consumer with two roles, of which the first is fragile.
    Fragile,
}

impl Part {
    pub(crate) fn named(word: &str) -> Part {
        match word {
            "voter" => Part::Voter,
            "host" => Part::Host,
            "consumer" => Part::Consumer,
            other => panic!("a node is a voter, a host or a consumer, not {other}"),
        }
    }
}

/// A place where a node runs, and its disk.
pub(crate) struct Place {
    pub(crate) keys: TestKeys,
    pub(crate) address: SocketAddr,
    pub(crate) machine: Option<Machine>,
    pub(crate) replies: BTreeMap<RequestId, Reply>,
    /// Why its process stopped by itself.
    pub(crate) halted: Option<HaltReason>,
    /// What it reported, but for dropped frames.
    pub(crate) reports: Vec<Report>,
    /// What each of its roles wants, as far as it is a map of versions.
    pub(crate) wants: BTreeMap<usize, BTreeMap<NodeName, Seq>>,
    part: Part,
    seeds: Vec<SocketAddr>,
    awaits_seeds: bool,
    disk: Disk,
    starts: u64,
    is_cut: bool,
}

/// A frame on its way, to be sent once more.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) channel: Channel,
    pub(crate) bytes: Bytes,
}

enum Happening {
    Frame { from: String, to: String, channel: Channel, bytes: Bytes },
    Stored { at: String, start: u64, ticket: Ticket, writes: Vec<Write> },
}

/// The machines and what is between them.
pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) settings: Settings,
    /// What happened, a line each, where it is wanted.
    pub(crate) lines: Option<Vec<String>>,
    /// Every frame that was sent, where it is wanted.
    pub(crate) tap: Option<Vec<(Channel, Bytes)>>,
    /// Every frame with its way, where it is wanted; cut or not.
    pub(crate) kept: Option<Vec<Kept>>,
    /// Every membership that any node saw begin: no id is given twice.
    pub(crate) memberships: BTreeMap<NodeId, (PublicKey, Index)>,
    /// Links that are cut in one direction.
    cut_ways: BTreeSet<(String, String)>,
    /// By receiver and key of the sender: from which place it came last.
    connections: BTreeMap<(String, PublicKey), String>,
    coming: BTreeMap<(Time, u64), Happening>,
    count: u64,
}

impl Net {
    pub(crate) fn new() -> Self {
        Net {
            now: Time::from_origin(Duration::from_secs(1)),
            places: BTreeMap::new(),
            settings: Settings::default(),
            lines: None,
            tap: None,
            kept: None,
            memberships: BTreeMap::new(),
            cut_ways: BTreeSet::new(),
            connections: BTreeMap::new(),
            coming: BTreeMap::new(),
            count: 0,
        }
    }

    /// The cluster's first node.
    pub(crate) fn birth(&mut self, name: &str, part: Part) {
        self.add(name, part, &[]);
        self.boot(name, Some(Birth { cluster: CLUSTER, tag: TAG }));
    }

    /// A node that joins through others.
    pub(crate) fn start(&mut self, name: &str, part: Part, via: &[&str]) {
        self.add(name, part, via);
        self.boot(name, None);
    }

    /// A node that knows no other yet, and waits to be told of one.
    pub(crate) fn start_waiting(&mut self, name: &str, part: Part) {
        self.add(name, part, &[]);
        self.place(name).awaits_seeds = true;
        self.boot(name, None);
    }

    /// Tells a node where to ask from now on.
    pub(crate) fn learn_seeds(&mut self, name: &str, addresses: Vec<SocketAddr>) {
        self.hand(name, Input::Seeds { addresses });
    }

    fn add(&mut self, name: &str, part: Part, via: &[&str]) {
        let address = SocketAddr::from(([10, 0, 0, u8::try_from(self.places.len() + 1).expect("few nodes")], 6550));
        let seeds = via.iter().map(|seed| self.places[*seed].address).collect();
        let place = Place {
            keys: TestKeys::of(name),
            address,
            machine: None,
            replies: BTreeMap::new(),
            halted: None,
            reports: Vec::new(),
            wants: BTreeMap::new(),
            part,
            seeds,
            awaits_seeds: false,
            disk: Disk::default(),
            starts: 0,
            is_cut: false,
        };
        self.places.insert(name.into(), place);
    }

    /// Its process ends without a word.
    pub(crate) fn kill(&mut self, name: &str) {
        self.place(name).machine = None;
    }

    /// Its Raft log is gone, as after a mishap with its folder.
    pub(crate) fn lose_log(&mut self, name: &str) {
        self.place(name).disk.lose_log();
    }

    /// Its whole disk is gone.
    pub(crate) fn lose_disk(&mut self, name: &str) {
        self.place(name).disk = Disk::default();
    }

    /// What its disk holds now, to be put back later or elsewhere.
    pub(crate) fn disk(&self, name: &str) -> Disk {
        self.places[name].disk.clone()
    }

    /// Puts a disk in place of its own.
    pub(crate) fn put_disk(&mut self, name: &str, disk: Disk) {
        self.place(name).disk = disk;
    }

    /// Starts a node on a disk that was another place's, under that one's key.
    pub(crate) fn start_on(&mut self, name: &str, part: Part, original: &str, disk: Disk) {
        self.add(name, part, &[]);
        let (keys, seeds) = (self.places[original].keys, self.places[original].seeds.clone());
        let place = self.place(name);
        (place.keys, place.seeds, place.disk) = (keys, seeds, disk);
        self.boot(name, None);
    }

    /// Nothing gets from one to the other; the way back is as it was.
    pub(crate) fn cut_way(&mut self, from: &str, to: &str, is_cut: bool) {
        let way = (from.to_owned(), to.to_owned());
        if is_cut {
            self.cut_ways.insert(way);
        } else {
            self.cut_ways.remove(&way);
        }
    }

    /// Lets a frame arrive once more, now.
    pub(crate) fn replay(&mut self, kept: &Kept) {
        let (peer, source) = (self.places[&kept.from].keys.0, self.places[&kept.from].address);
        self.hand(&kept.to, Input::Received { peer, source, channel: kept.channel, bytes: kept.bytes.clone() });
    }

    /// Starts again with what its disk holds.
    pub(crate) fn restart(&mut self, name: &str) {
        self.boot(name, None);
    }

    /// Nothing reaches it and nothing leaves it.
    pub(crate) fn cut(&mut self, name: &str, is_cut: bool) {
        self.place(name).is_cut = is_cut;
    }

    fn place(&mut self, name: &str) -> &mut Place {
        self.places.get_mut(name).unwrap_or_else(|| panic!("no node {name}"))
    }

    fn boot(&mut self, name: &str, birth: Option<Birth>) {
        let (now, settings) = (self.wall(), self.settings.clone());
        let place = self.place(name);
        place.starts += 1;
        let roles = match place.part {
            Part::Voter => vec![],
            Part::Host => vec![InstalledRole::new(Host)],
            Part::Consumer => vec![InstalledRole::new(Consumer)],
            Part::Fragile => vec![InstalledRole::new(Fragile), InstalledRole::new(Consumer)],
        };
        // Two places may want one name: what is before the first hyphen is it.
        let own_name = name.split('-').next().expect("a name has a beginning");
        let seed = hash(&[name.as_bytes(), &place.starts.to_be_bytes()]).prefix();
        let startup = Startup {
            name: NodeName::new(own_name).expect("the names in tests are valid"),
            addresses: vec![place.address],
            roles,
            voter_eligible: place.part == Part::Voter,
            seeds: place.seeds.clone(),
            awaits_seeds: place.awaits_seeds,
            birth,
            recovered: place.disk.recover(),
            settings,
            keys: Arc::new(place.keys),
            seed,
        };
        place.machine = Some(Machine::new(startup, now).expect("a machine starts"));
        self.carry_out(name);
    }

    fn wall(&self) -> Now {
        let since = u64::try_from(self.now.since_origin().as_millis()).expect("a short run");
        Now { time: self.now, wall: Timestamp(1_000_000 + since) }
    }

    /// Lets something happen to a node, and carries out what follows.
    pub(crate) fn hand(&mut self, name: &str, input: Input) {
        let now = self.wall();
        if let Some(machine) = &mut self.place(name).machine {
            machine.handle(input, now);
            self.carry_out(name);
        }
    }

    fn carry_out(&mut self, name: &str) {
        while let Some(effect) = self.place(name).machine.as_mut().and_then(Machine::poll_effect) {
            if let Some(line) = self.lines.is_some().then(|| describe::effect(&effect)).flatten() {
                self.note(format!("{name}: {line}"));
            }
            match effect {
                Effect::Store { ticket, writes } => {
                    let start = self.place(name).starts;
                    self.later(SYNC, Happening::Stored { at: name.into(), start, ticket, writes });
                }
                Effect::Send { to, channel, bytes } => self.send(name, &to, channel, bytes),
                Effect::Reply { request, reply } => drop(self.place(name).replies.insert(request, reply)),
                Effect::Halt(reason) => {
                    self.place(name).machine = None;
                    self.place(name).halted = Some(reason);
                }
                Effect::Applied { event, .. } => self.applied(&event),
                Effect::Desired { role, desired } => {
                    if let Some(wants) = desired.downcast_ref::<BTreeMap<NodeName, Seq>>() {
                        self.place(name).wants.insert(role, wants.clone());
                    }
                }
                Effect::Report(Report::Dropped { .. }) | Effect::View { .. } => {}
                Effect::Report(report) => self.place(name).reports.push(report),
            }
        }
    }

    fn applied(&mut self, event: &Event) {
        if let Event::Joined { member, .. } = event {
            let known = *self.memberships.entry(member.node).or_insert((member.key, member.joined));
            assert_eq!(known, (member.key, member.joined), "{} was given twice", member.node);
        }
    }

    fn send(&mut self, from: &str, to: &Destination, channel: Channel, bytes: Bytes) {
        if let Some(tap) = &mut self.tap {
            tap.push((channel, bytes.clone()));
        }
        let Some(to) = self.target(from, to) else { return };
        if let Some(line) = self.lines.is_some().then(|| describe::frame(&bytes, channel)).flatten() {
            self.note(format!("{from} -> {to} {line}"));
        }
        if let Some(kept) = &mut self.kept {
            kept.push(Kept { from: from.to_owned(), to: to.clone(), channel, bytes: bytes.clone() });
        }
        let way = (from.to_owned(), to.clone());
        if !self.places[from].is_cut && !self.places[&to].is_cut && !self.cut_ways.contains(&way) {
            self.later(LATENCY, Happening::Frame { from: from.into(), to, channel, bytes });
        }
    }

    /// Whom a frame is for. Where a disk was copied two have one key: then it is the one at an address that is meant, or the
    /// one that was heard from last.
    fn target(&self, from: &str, to: &Destination) -> Option<String> {
        let Some(key) = to.key else {
            return self.places.iter().find(|(_, place)| to.addresses.contains(&place.address)).map(|(name, _)| name.clone());
        };
        let own: Vec<&String> = self.places.iter().filter(|(_, place)| place.keys.0 == key).map(|(name, _)| name).collect();
        if let [only] = own[..] {
            return Some(only.clone());
        }
        let addressed = to.addresses.iter().find_map(|address| own.iter().find(|name| self.places[**name].address == *address));
        addressed.map(|name| (*name).clone()).or_else(|| self.connections.get(&(from.to_owned(), key)).cloned())
    }

    fn later(&mut self, delay: Duration, happening: Happening) {
        self.coming.insert((self.now + delay, self.count), happening);
        self.count += 1;
    }

    fn note(&mut self, line: String) {
        let millis = self.now.since_origin().as_micros();
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{}.{:04} {line}", millis / 1_000_000, millis % 1_000_000 / 100));
        }
    }

    fn next_timeout(&self) -> Option<(Time, String)> {
        let due = |(name, place): (&String, &Place)| place.machine.as_ref()?.poll_timeout().map(|due| (due, name.clone()));
        self.places.iter().filter_map(due).min()
    }

    /// Lets time pass. How often a machine had to be woken.
    pub(crate) fn run(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        let mut woken = 0;
        loop {
            let timeout = self.next_timeout();
            let happening = self.coming.keys().next().map(|(at, _)| *at);
            let Some(at) = timeout.iter().map(|(at, _)| *at).chain(happening).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            if happening == Some(at) {
                let (_, happening) = self.coming.pop_first().expect("there is a first one");
                self.happen(happening);
            } else if let Some((_, name)) = timeout {
                woken += 1;
                self.hand(&name, Input::Timeout);
            }
        }
        self.now = end;
        woken
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Frame { from, to, channel, bytes } => {
                let (peer, source) = (self.places[&from].keys.0, self.places[&from].address);
                self.connections.insert((to.clone(), peer), from);
                self.hand(&to, Input::Received { peer, source, channel, bytes });
            }
            Happening::Stored { at, start, ticket, writes } => {
                if self.place(&at).starts == start {
                    writes.into_iter().for_each(|write| self.place(&at).disk.write(write));
                    self.hand(&at, Input::Stored { ticket });
                }
            }
        }
    }

    pub(crate) fn publish(&mut self, name: &str, request: u64, body: &str) {
        let section = Section { kind: kind("host"), body: Bytes::copy_from_slice(body.as_bytes()) };
        self.hand(name, Input::Publish { request: RequestId(request), sections: vec![section] });
    }

    pub(crate) fn propose(&mut self, name: &str, request: u64, command: Command) {
        self.hand(name, Input::Propose { request: RequestId(request), command });
    }

    /// What became of a proposal.
    pub(crate) fn outcome(&self, name: &str, request: u64) -> Option<&Outcome> {
        match self.places[name].replies.get(&RequestId(request))? {
            Reply::Proposed(outcome) => Some(outcome),
            other => panic!("a proposal is answered by its outcome, not {other:?}"),
        }
    }

    pub(crate) fn machine(&self, name: &str) -> &Machine {
        self.places[name].machine.as_ref().unwrap_or_else(|| panic!("{name} runs"))
    }

    pub(crate) fn node(&self, name: &str) -> NodeId {
        self.machine(name).status().node
    }

    /// What a node has of a host: the text that is in force.
    pub(crate) fn text(&self, at: &str, host: &str) -> Option<String> {
        let view = self.places[at].machine.as_ref()?.view()?;
        let config = view.config_of(&NodeName::new(host).expect("the names in tests are valid"))?;
        config.config.sections.first().map(|section| String::from_utf8_lossy(&section.body).into_owned())
    }

    /// Lets time pass, looking on.
    pub(crate) fn watch(&mut self, time: Duration, mut look: impl FnMut(&Net)) {
        let end = self.now + time;
        while self.now < end {
            self.run(Duration::from_millis(5));
            look(self);
        }
    }

    pub(crate) fn phase(&self, name: &str) -> Option<Phase> {
        self.places[name].machine.as_ref().map(|machine| machine.status().phase)
    }
}
