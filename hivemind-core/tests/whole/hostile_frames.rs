//! Damaged frames, at the decoder and at live machines: nothing panics, nothing grows, and afterwards the cluster works.

use std::time::Duration;

use hivemind_core::ids::{BootNonce, Digest256, Index, NodeId, NodeName, Position, ProposalId};
use hivemind_core::keys::{Keys, Purpose};
use hivemind_core::machine::{Input, Phase};
use hivemind_core::rng::Rng;
use hivemind_core::time::Timestamp;
use hivemind_core::wire::codec;
use hivemind_core::wire::command::{Command, Outcome, Proposal};
use hivemind_core::wire::event::{LeaveReason, VoterPart};
use hivemind_core::wire::frame::{Channel, Frame, Header, VERSION};
use hivemind_core::wire::member::{JoinRequest, SignedJoin};
use hivemind_core::wire::message::{Admission, Control, Events, Membership, Message, ResumeAnswer};
use protobuf::{Message as _, ProtobufEnum as _};

use super::corpus::{self, Sample};
use super::mutate::mutate;
use super::net::{Net, Part, TestKeys};

const DECODED: usize = 800_000;
const BATCHES: usize = 800;
const BATCH: usize = 250;

#[test]
fn a_damaged_frame_is_an_error_or_a_frame() {
    let samples = corpus::read();
    let mut rng = Rng::new(0xDEC0DE);
    let mut survivors = 0;
    for round in 0..DECODED {
        let sample = &samples[round % samples.len()];
        let mut bytes = sample.bytes.to_vec();
        mutate(&mut bytes, &samples, &mut rng);
        if let Ok(frame) = Frame::decode(&bytes, Channel::Bulk) {
            survivors += 1;
            assert_eq!(Frame::decode(&frame.encode(), Channel::Bulk), Ok(frame));
        }
    }
    assert!(survivors > DECODED / 50, "{survivors}: too few reach anyone");
    assert!(survivors < DECODED * 9 / 10, "{survivors}: too few are damaged");
}

/// Three voters, a consumer, a host, one that waits to join, one that waits to resume; and a member that is hostile.
struct Attack {
    net: Net,
    samples: Vec<Sample>,
    rng: Rng,
    /// What the hostile member's own frames say of it.
    header: Header,
}

const VOTERS: [&str; 3] = ["v1", "v2", "v3"];
const MEMBERS: [&str; 5] = ["v1", "v2", "v3", "c1", "h1"];

impl Attack {
    fn begin(seed: u64) -> Attack {
        let mut net = Net::new();
        net.birth("v1", Part::Voter);
        for (name, part) in [
            ("v2", Part::Voter),
            ("v3", Part::Voter),
            ("c1", Part::Consumer),
            ("h1", Part::Host),
            ("mallory", Part::Host),
            ("resuming", Part::Host),
        ] {
            net.start(name, part, &["v1"]);
            net.run(Duration::from_secs(2));
        }
        net.publish("h1", 1, "before");
        net.start("nobody", Part::Host, &["v1"]);
        net.kill("nobody");
        net.start("joining", Part::Host, &["nobody"]);
        net.cut("resuming", true);
        net.kill("resuming");
        net.restart("resuming");
        net.tap = Some(Vec::new());
        net.run(Duration::from_secs(1));
        let phases: Vec<Option<Phase>> = ["mallory", "joining", "resuming"].iter().map(|name| net.phase(name)).collect();
        assert_eq!(phases, [Some(Phase::Member), Some(Phase::Joining), Some(Phase::Resuming)]);
        assert!(VOTERS.iter().all(|name| net.machine(name).status().voter == VoterPart::Voter));
        let mut attack = Attack { header: any_header(&mut net), net, samples: corpus::read(), rng: Rng::new(seed) };
        attack.look();
        attack
    }

    /// Keeps the hostile member's header up to date, from what it says itself.
    fn look(&mut self) {
        let mallory = self.net.node("mallory");
        let said = self.net.tap.replace(Vec::new()).unwrap_or_default();
        let headers = said.iter().filter_map(|(channel, bytes)| Frame::decode(bytes, *channel).ok()).map(|frame| frame.header);
        if let Some(header) = headers.filter(|header| header.from == mallory).last() {
            self.header = header;
        }
    }

    /// A damaged frame of the hostile member's, the header whole in half of the cases.
    fn frame(&mut self, wanted: impl Fn(&Message) -> bool) -> (Channel, Vec<u8>) {
        let sample = loop {
            let sample = &self.samples[self.rng.below(self.samples.len() as u64) as usize];
            if Frame::decode(&sample.bytes, sample.channel).is_ok_and(|frame| wanted(&frame.message)) {
                break sample;
            }
        };
        let frame = Frame::decode(&sample.bytes, sample.channel).expect("it did just now");
        let mut head = vec![VERSION];
        head.extend(codec::encode(&self.header));
        let mut body = codec::encode(&frame.message);
        if self.rng.below(2) == 0 {
            mutate(&mut body, &self.samples, &mut self.rng);
            head.extend(body);
        } else {
            head.extend(body);
            mutate(&mut head, &self.samples, &mut self.rng);
        }
        (sample.channel, head)
    }

    fn send(&mut self, to: &str, channel: Channel, bytes: Vec<u8>) {
        // Now and then from one that has a certificate of the cluster and is no member.
        let place = &self.net.places["mallory"];
        let source = place.address;
        let peer = if self.rng.below(10) == 0 { TestKeys::of("stranger").0 } else { place.keys.0 };
        self.net.hand(to, Input::Received { peer, source, channel, bytes: bytes.into() });
    }

    fn batch(&mut self, targets: &[&str], wanted: impl Fn(&Message) -> bool + Copy, excused: impl Fn(&Frame) -> bool) {
        for _ in 0..BATCH {
            let to = targets[self.rng.below(targets.len() as u64) as usize];
            let (channel, bytes) = self.frame(wanted);
            if !Frame::decode(&bytes, channel).is_ok_and(|frame| excused(&frame)) {
                self.send(to, channel, bytes);
            }
        }
        self.net.run(Duration::from_millis(5));
        self.look();
    }
}

fn any_header(net: &mut Net) -> Header {
    let (channel, bytes) = net.tap.as_ref().and_then(|said| said.first()).expect("members speak");
    Frame::decode(bytes, *channel).expect("machines send frames").header
}

/// What a member has the right to say, and what has an effect that is meant: to put others out, and to tell that a
/// membership has ended.
fn is_rightful(frame: &Frame, own: &Header) -> bool {
    let decides = match &frame.message {
        Message::Admission(Admission::Resumed { answer: ResumeAnswer::Duplicate | ResumeAnswer::Gone, .. } | Admission::Refused { .. }) => {
            true
        }
        Message::Control(Control::Forward(proposal)) => matches!(proposal.command, Command::Leave { node, .. } if node == own.from),
        // Raft trusts those who take part in it; the other test is about these.
        Message::Control(Control::Raft(_)) => true,
        Message::Admission(_) | Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_) => false,
    };
    decides || is_of_another_start(frame, own)
}

/// A copy of its own disk: others would stop one of the two, and the attack were over.
fn is_of_another_start(frame: &Frame, own: &Header) -> bool {
    frame.header.from == own.from && frame.header.boot != own.boot
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system says how large the process is");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("among others, this");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

#[test]
fn a_cluster_that_a_member_sent_damaged_frames_still_works() {
    let mut attack = Attack::begin(1);
    let ordinary = attack.net.run(Duration::from_secs(5));
    let before = resident_kib();
    let targets = ["v1", "v2", "v3", "c1", "h1", "joining", "resuming"];
    for _ in 0..BATCHES {
        let own = attack.header;
        attack.batch(&targets, |_| true, |frame| is_rightful(frame, &own));
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 128 << 10, "{grown} KiB more after {BATCHES} times {BATCH} frames");

    let net = &mut attack.net;
    net.tap = None;
    net.run(Duration::from_secs(20));
    for name in MEMBERS {
        assert_eq!(net.phase(name), Some(Phase::Member), "{name}");
        assert!(net.machine(name).status().junk > 1_000, "{name} was hit");
    }
    for (request, name) in MEMBERS.iter().enumerate() {
        let node = net.node(name);
        net.propose(name, 100 + request as u64, Command::Restarting { node, grace: Duration::from_secs(1) });
    }
    net.publish("h1", 99, "after");
    net.run(Duration::from_secs(3));
    for (request, name) in MEMBERS.iter().enumerate() {
        let outcome = net.outcome(name, 100 + request as u64);
        assert!(matches!(outcome, Some(Outcome::Committed { .. })), "{name}: {outcome:?}");
    }
    let positions: Vec<_> = MEMBERS.iter().map(|name| net.machine(name).status().position).collect();
    assert!(positions.iter().all(|position| *position == positions[0]), "{positions:?}");
    let view = net.machine("c1").view().expect("a member has a view");
    let body = view.configs[&net.node("h1")].config.sections[0].body.clone();
    assert_eq!(body, "after", "a consumer has what was published since");
    let afterwards = net.run(Duration::from_secs(5));
    assert!(afterwards < ordinary * 3 / 2, "woken {ordinary} times in five seconds before, {afterwards} after: timers pile up");
}

/// A message of Raft's that a voter could send, with some of its fields as they could not be.
fn raft_message(attack: &mut Attack, by: &str, to: &str) -> Vec<u8> {
    let last = attack.net.machine(to).status();
    let rng = &mut attack.rng;
    let raft_of = |sample: &Sample| match Frame::decode(&sample.bytes, sample.channel).expect("of the corpus").message {
        Message::Control(Control::Raft(bytes)) => raft::eraftpb::Message::parse_from_bytes(&bytes).ok(),
        Message::Admission(_) | Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_) => None,
    };
    let known: Vec<raft::eraftpb::Message> = attack.samples.iter().filter_map(raft_of).collect();
    let mut message = known[rng.below(known.len() as u64) as usize].clone();
    let kinds = raft::eraftpb::MessageType::values();
    if rng.below(2) == 0 {
        message.set_msg_type(kinds[rng.below(kinds.len() as u64) as usize]);
    }
    let mut odd = |number: u64| match rng.below(6) {
        0 => number + 1,
        1 => number.saturating_sub(rng.below(4)),
        2 => rng.below(40),
        _ => number,
    };
    message.term = odd(last.term);
    message.index = odd(message.index);
    message.log_term = odd(message.log_term);
    message.commit = odd(message.commit);
    message.reject_hint = odd(message.reject_hint);
    message.reject ^= odd(0) == 1;
    message.to = attack.net.node(to).as_u64();
    message.from = attack.net.node(by).as_u64();
    message.write_to_bytes().expect("memory takes what is written")
}

/// A voter that forges Raft's messages can lead the group astray, as Raft trusts those who take part in it; but it may
/// make nobody panic.
#[test]
fn nobody_panics_at_what_a_voter_makes_of_raft() {
    for seed in 0..12 {
        let mut attack = Attack::begin(seed);
        for round in 0..4_000 {
            let to = VOTERS[1 + round % 2];
            let mut bytes = raft_message(&mut attack, "v1", to);
            if attack.rng.below(3) == 0 {
                mutate(&mut bytes, &attack.samples, &mut attack.rng);
            }
            let header = Header { from: attack.net.node("v1"), boot: BootNonce(u64::MAX), ..attack.header };
            let frame = Frame { header, message: Message::Control(Control::Raft(bytes.into())) };
            let (peer, source) = (attack.net.places["v1"].keys.0, attack.net.places["v1"].address);
            attack.net.hand(to, Input::Received { peer, source, channel: Channel::Ordered, bytes: frame.encode() });
            if round % 100 == 0 {
                attack.net.run(Duration::from_millis(20));
            }
        }
        let junk = VOTERS[1..].iter().map(|name| attack.net.machine(name).status().junk).sum::<u64>();
        assert!((500..3_500).contains(&junk), "{junk} of 4000 were dropped: the others reached raft-rs");
    }
}

#[test]
fn one_that_names_the_last_index_of_all_makes_nobody_stumble() {
    let mut attack = Attack::begin(1);
    let index = Index(u64::MAX);
    let mut header = Header { index, ..attack.header };
    header.epoch.number = 0;
    let position = Position { epoch: header.epoch, index, chain: Digest256([7; 32]) };
    let claims = [
        Message::Admission(Admission::Resume { position }),
        Message::Events(Events::Pull { after: position }),
        Message::Events(Events::Collected { floor: index }),
        Message::Membership(Membership::Ping { token: u64::MAX }),
    ];
    for message in claims {
        let bytes = Frame { header, message }.encode().to_vec();
        for name in MEMBERS {
            attack.send(name, Channel::Ordered, bytes.clone());
        }
        attack.net.run(Duration::from_secs(2));
    }
    assert!(MEMBERS.iter().all(|name| attack.net.phase(name) == Some(Phase::Member)));
}

#[test]
fn a_key_wishes_to_join_once_at_a_time() {
    let mut attack = Attack::begin(1);
    let keys = TestKeys::of("stranger");
    let before = attack.net.machine("c1").status().position.expect("a member").index;
    for nonce in 0..500 {
        let request = JoinRequest {
            nonce,
            name: NodeName::new("stranger").unwrap(),
            key: keys.0,
            addresses: vec![],
            roles: vec![],
            voter_eligible: false,
            features: Default::default(),
            previous: None,
        };
        let signature = keys.sign(&Purpose::Join.digest(&codec::encode(&request)));
        let message = Message::Admission(Admission::Join(Box::new(SignedJoin { request, signature })));
        let header = Header { cluster: None, from: NodeId::NONE, ..attack.header };
        let source = attack.net.places["nobody"].address;
        let bytes = Frame { header, message }.encode();
        attack.net.hand("c1", Input::Received { peer: keys.0, source, channel: Channel::Ordered, bytes });
    }
    attack.net.run(Duration::from_secs(1));
    let after = attack.net.machine("c1").status().position.expect("a member").index;
    assert_eq!(after, before.next(), "one join, and no other that takes its place");
}

#[test]
fn only_a_voter_says_what_became_of_a_proposal() {
    let mut attack = Attack::begin(1);
    for name in VOTERS {
        attack.net.cut(name, true);
    }
    let node = attack.net.node("h1");
    attack.net.propose("h1", 7, Command::Leave { node, reason: LeaveReason::Asked });
    let said = attack.net.tap.take().expect("it is wanted");
    let forwarded = said.iter().filter_map(|(channel, bytes)| Frame::decode(bytes, *channel).ok()).find_map(|frame| match frame.message {
        Message::Control(Control::Forward(proposal)) => Some(proposal.id),
        _ => None,
    });
    let id = forwarded.expect("a host proposes through a voter");
    let position = attack.net.machine("h1").status().position.expect("a member");
    let lie = Message::Control(Control::Outcome { id, outcome: Outcome::Committed { position } });
    let bytes = Frame { header: attack.header, message: lie }.encode();
    let (peer, source) = (attack.net.places["mallory"].keys.0, attack.net.places["mallory"].address);
    attack.net.hand("h1", Input::Received { peer, source, channel: Channel::Ordered, bytes });
    assert_eq!(attack.net.outcome("h1", 7), None);
    assert_eq!(attack.net.phase("h1"), Some(Phase::Member), "it has not left");
}

/// It joined while this node was cut off from all others, and must not bear witness against it.
#[test]
fn a_member_that_is_not_known_yet_hears_that_a_node_lives() {
    let mut attack = Attack::begin(1);
    let index = attack.net.machine("h1").status().position.expect("a member").index;
    let newcomer = NodeId::new(attack.header.from.generation(), 1000);
    let mut answers = |index| {
        attack.net.tap = Some(Vec::new());
        let message = Message::Membership(Membership::Ping { token: 77 });
        let bytes = Frame { header: Header { from: newcomer, index, ..attack.header }, message }.encode();
        let (peer, source) = (TestKeys::of("newcomer").0, attack.net.places["mallory"].address);
        attack.net.hand("h1", Input::Received { peer, source, channel: Channel::Datagram, bytes });
        let said = attack.net.tap.take().expect("it is wanted");
        let frames = said.iter().filter_map(|(channel, bytes)| Frame::decode(bytes, *channel).ok());
        frames.filter(|frame| frame.message == Message::Membership(Membership::Pong { token: 77 })).count()
    };
    assert_eq!(answers(index.next()), 1);
    assert_eq!(answers(index), 0, "it would know one who joined by then");
}

/// A mass restart finds it without its cache, while those who restarted with it probe each other.
#[test]
fn a_member_that_knows_nobody_yet_says_that_it_lives() {
    let mut attack = Attack::begin(1);
    attack.net.kill("h1");
    attack.net.cut("h1", true);
    let mut disk = attack.net.disk("h1");
    disk.lose_cache();
    attack.net.put_disk("h1", disk);
    attack.net.restart("h1");
    attack.net.run(Duration::from_secs(1));
    assert_eq!(attack.net.phase("h1"), Some(Phase::Resuming));
    attack.net.tap = Some(Vec::new());
    let bytes = Frame { header: attack.header, message: Message::Membership(Membership::Ping { token: 77 }) }.encode();
    let (peer, source) = (attack.net.places["mallory"].keys.0, attack.net.places["mallory"].address);
    attack.net.hand("h1", Input::Received { peer, source, channel: Channel::Datagram, bytes });
    let said = attack.net.tap.take().expect("it is wanted");
    let mut frames = said.iter().filter_map(|(channel, bytes)| Frame::decode(bytes, *channel).ok());
    assert!(frames.any(|frame| frame.message == Message::Membership(Membership::Pong { token: 77 })));
}

/// Its join is committed, and its grant on the way: it has no id yet, and others probe it.
#[test]
fn a_member_that_does_not_know_its_id_yet_is_heard_by_its_key() {
    let mut attack = Attack::begin(1);
    let mut junk = |who: &str| {
        let before = attack.net.machine("c1").status().junk;
        let message = Message::Membership(Membership::Pong { token: 77 });
        let bytes = Frame { header: Header { from: NodeId::NONE, cluster: None, ..attack.header }, message }.encode();
        let (peer, source) = (TestKeys::of(who).0, attack.net.places["mallory"].address);
        attack.net.hand("c1", Input::Received { peer, source, channel: Channel::Datagram, bytes });
        attack.net.machine("c1").status().junk - before
    };
    assert_eq!(junk("h1"), 0, "its key says who it is");
    assert_eq!(junk("nobody"), 1);
}

#[test]
fn one_clock_that_is_ahead_does_not_carry_the_time_of_commands_off() {
    let mut attack = Attack::begin(1);
    let id = ProposalId { node: attack.header.from, boot: attack.header.boot, counter: 1 << 40 };
    let (node, grace) = (attack.header.from, Duration::from_secs(30));
    let proposal = Proposal { id, time: Timestamp(u64::MAX), command: Command::Restarting { node, grace } };
    let bytes = Frame { header: attack.header, message: Message::Control(Control::Forward(proposal)) }.encode();
    let (peer, source) = (attack.net.places["mallory"].keys.0, attack.net.places["mallory"].address);
    attack.net.hand("v1", Input::Received { peer, source, channel: Channel::Ordered, bytes });
    // Who runs and knows nothing of it ends it soon.
    let mut until = None;
    attack.net.watch(Duration::from_secs(1), |net| {
        until = until.or_else(|| net.machine("h1").view()?.facts.restarting_until(node));
    });
    let until = until.expect("it was taken");
    assert!(until < Timestamp(2_000_000), "{until:?}: the grace would never end");
}
