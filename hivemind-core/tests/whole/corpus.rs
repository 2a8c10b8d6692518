//! Real frames, a few of every kind of message, as the seeds of mutation: `testdata/corpus/frames.txt`, a line each: the
//! kind, how it travels, the bytes. `REWRITE=1` takes them anew from a run of some machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::{NeighborhoodId, NodeId, PublicKey, RequestId};
use hivemind_core::machine::Input;
use hivemind_core::wire::codec;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::config::LeafHashes;
use hivemind_core::wire::frame::{Channel, Frame};
use hivemind_core::wire::member::Acquaintance;
use hivemind_core::wire::message::{Admission, Configs, Control, Events, Membership, Message, SnapshotPart, SnapshotWant};

use super::enrollment::{create, credential, enroll};
use super::net::{Net, Part};

/// Frames of one kind that are kept: of different lengths, so that they differ in what they hold.
const KEPT: usize = 4;
/// No longer frame is kept: mutations are to hit its structure, not its bulk.
const LONGEST: usize = 2_048;

/// All kinds of message.
pub(crate) const KINDS: [&str; 37] = [
    "admission.granted",
    "admission.join",
    "admission.later",
    "admission.part",
    "admission.refused",
    "admission.resume",
    "admission.resumed",
    "configs.advert",
    "configs.alike",
    "configs.batch",
    "configs.busy",
    "configs.compare",
    "configs.differ",
    "configs.offer",
    "configs.seq-ask",
    "configs.stored",
    "configs.versions",
    "configs.want",
    "control.evidence",
    "control.forward",
    "control.outcome",
    "control.probe",
    "control.raft",
    "control.read-index",
    "control.read-indexed",
    "control.snapshot",
    "events.announce",
    "events.collected",
    "events.pull",
    "events.push",
    "events.range",
    "events.resync",
    "events.snapshot",
    "membership.evidence",
    "membership.far",
    "membership.ping-pong",
    "membership.swim",
];

/// The kind of a message. Exhaustive, so that a new one must be in the corpus.
pub(crate) fn kind_of(message: &Message) -> &'static str {
    match message {
        Message::Admission(Admission::Granted { .. }) => "admission.granted",
        Message::Admission(Admission::Join(_)) => "admission.join",
        Message::Admission(Admission::Part { .. } | Admission::PartAsk { .. }) => "admission.part",
        Message::Admission(Admission::Later { .. } | Admission::Lapsed { .. } | Admission::Elsewhere { .. }) => "admission.later",
        Message::Admission(Admission::Refused { .. }) => "admission.refused",
        Message::Admission(Admission::Resume { .. }) => "admission.resume",
        Message::Admission(Admission::Resumed { .. }) => "admission.resumed",
        Message::Configs(Configs::Advert { .. }) => "configs.advert",
        Message::Configs(Configs::Alike { .. }) => "configs.alike",
        Message::Configs(Configs::Batch { .. }) => "configs.batch",
        Message::Configs(Configs::Busy) => "configs.busy",
        Message::Configs(Configs::Compare { .. }) => "configs.compare",
        Message::Configs(Configs::Differ { .. }) => "configs.differ",
        Message::Configs(Configs::Offer { .. }) => "configs.offer",
        Message::Configs(Configs::SeqAsk) => "configs.seq-ask",
        Message::Configs(Configs::Stored { .. }) => "configs.stored",
        Message::Configs(Configs::Versions { .. }) => "configs.versions",
        Message::Configs(Configs::Want { .. }) => "configs.want",
        Message::Control(Control::Evidence { .. }) => "control.evidence",
        Message::Control(Control::Forward(_)) => "control.forward",
        Message::Control(Control::Outcome { .. }) => "control.outcome",
        Message::Control(Control::Probe { .. }) => "control.probe",
        Message::Control(Control::Raft(_)) => "control.raft",
        Message::Control(Control::ReadIndex { .. }) => "control.read-index",
        Message::Control(Control::ReadIndexed { .. }) => "control.read-indexed",
        Message::Events(Events::Announce | Events::AskAnother) => "events.announce",
        Message::Control(Control::SnapshotPart(_) | Control::SnapshotWant(_)) => "control.snapshot",
        Message::Events(Events::Collected { .. }) => "events.collected",
        Message::Events(Events::Pull { .. }) => "events.pull",
        Message::Events(Events::Push(_)) => "events.push",
        Message::Events(Events::Range(_)) => "events.range",
        Message::Events(Events::Resync) => "events.resync",
        Message::Events(Events::Snapshot(_)) => "events.snapshot",
        Message::Membership(Membership::Evidence { .. }) => "membership.evidence",
        Message::Membership(Membership::Sample { .. } | Membership::Keepalive { .. }) => "membership.far",
        Message::Membership(Membership::Ping { .. } | Membership::Pong { .. }) => "membership.ping-pong",
        Message::Membership(Membership::Swim { .. }) => "membership.swim",
    }
}

/// A frame of the corpus.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) channel: Channel,
    pub(crate) bytes: Bytes,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus/frames.txt")
}

/// The committed frames.
pub(crate) fn read() -> Vec<Sample> {
    if std::env::var_os("REWRITE").is_some() {
        return choose(lively_run());
    }
    let text = std::fs::read_to_string(path()).expect("the corpus is committed");
    text.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Sample {
    let words: Vec<&str> = line.split(' ').collect();
    let [_, channel, hex] = words[..] else { panic!("kind, channel, bytes: {line}") };
    let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(octet).collect();
    let channels = [Channel::Datagram, Channel::Ordered, Channel::Bulk];
    let channel = channels.into_iter().find(|one| format!("{one:?}") == channel).expect("a channel");
    Sample { channel, bytes: bytes.into() }
}

/// The first ones of each kind that differ in length.
fn choose(sent: Vec<(Channel, Bytes)>) -> Vec<Sample> {
    let mut chosen: BTreeMap<&'static str, BTreeMap<usize, Sample>> = BTreeMap::new();
    for (channel, bytes) in sent.into_iter().filter(|(_, bytes)| bytes.len() <= LONGEST) {
        let frame = Frame::decode(&bytes, channel).expect("machines send frames");
        let of_kind = chosen.entry(kind_of(&frame.message)).or_default();
        if of_kind.len() < KEPT {
            of_kind.entry(bytes.len()).or_insert(Sample { channel, bytes });
        }
    }
    chosen.into_values().flat_map(BTreeMap::into_values).collect()
}

/// Some machines, to whom everything happens that makes them say something.
fn lively_run() -> Vec<(Channel, Bytes)> {
    let seconds = Duration::from_secs;
    let mut net = Net::new();
    net.settings.events.tail_bytes = 400;
    net.settings.events.voter_tail_bytes = 400;
    net.tap = Some(Vec::new());
    net.birth("v1", Part::Voter);
    for (name, part) in [("v2", Part::Voter), ("v3", Part::Voter), ("c1", Part::Consumer), ("c2", Part::Consumer), ("h1", Part::Host)] {
        net.start(name, part, &["v1"]);
        net.run(seconds(2));
    }
    for (request, command) in [(40, create("t", 2)), (41, enroll("t", "h2", Part::Host)), (42, credential())] {
        net.propose("v1", request, command);
    }
    net.publish("h1", 1, "one");
    net.hand("h1", Input::Read { request: RequestId(2) });
    net.run(seconds(1));
    // Who joins through one that is itself no member is put off; who wants another's name is refused.
    net.start("nobody", Part::Host, &["v1"]);
    net.kill("nobody");
    net.start("waiting", Part::Host, &["nobody"]);
    net.start("late", Part::Host, &["waiting"]);
    net.start("h1-other", Part::Host, &["v1"]);
    net.run(seconds(2));
    // Two stores differ, and only one of the two can tell the other.
    net.cut("c2", true);
    net.publish("h1", 3, "two");
    net.run(Duration::from_millis(300));
    net.kill("h1");
    net.cut("c2", false);
    net.run(seconds(8));
    net.restart("h1");
    net.run(seconds(2));
    // One misses more events than anyone keeps.
    net.cut("c2", true);
    let node = net.node("h1");
    for request in 10..30 {
        net.propose("h1", request, Command::Restarting { node, grace: seconds(30) });
        net.run(Duration::from_millis(50));
    }
    net.run(seconds(1));
    net.cut("c2", false);
    net.run(seconds(4));
    for name in ["v3", "c1"] {
        net.kill(name);
        net.run(seconds(5));
        net.restart(name);
        net.run(seconds(2));
    }
    let mut sent = net.tap.take().expect("it was wanted");
    sent.extend(large_digest(&sent));
    sent.extend(among_voters(&sent));
    sent.extend(large_stores(&sent));
    sent
}

/// What consumers say only where their stores are large, or many of them compare at once.
fn large_stores(sent: &[(Channel, Bytes)]) -> Vec<(Channel, Bytes)> {
    let (channel, bytes) = sent.last().expect("the machines have spoken");
    let header = Frame::decode(bytes, *channel).expect("machines send frames").header;
    let hashes = |width: u32, bucket| LeafHashes { bucket, hashes: (0..width).map(|hash| hash.wrapping_mul(0x9E37_79B9)).collect() };
    let messages = [
        (Channel::Datagram, Configs::Busy),
        (Channel::Bulk, Configs::Differ { buckets: vec![hashes(8, 7)], rest: false }),
        (Channel::Bulk, Configs::Differ { buckets: vec![hashes(1, 1), hashes(16, 9), hashes(32, 63)], rest: true }),
    ];
    let frame = |(channel, message)| (channel, Frame { header, message: Message::Configs(message) }.encode());
    messages.map(frame).to_vec()
}

/// What is said where a digest is too large for one frame: none of these machines knows that many members.
fn large_digest(sent: &[(Channel, Bytes)]) -> Vec<(Channel, Bytes)> {
    let granted = sent.iter().filter_map(|(channel, bytes)| Frame::decode(bytes, *channel).ok()).find_map(|frame| match frame.message {
        Message::Admission(Admission::Granted { digest, .. }) => Some((frame.header, digest)),
        _ => None,
    });
    let (header, digest) = granted.expect("somebody joined");
    let (position, bytes) = (digest.facts.position(), Bytes::from(codec::encode(&digest)));
    let total = bytes.len() as u32;
    let half = bytes.len() / 2;
    let said = [
        Admission::Part { position, total, offset: 0, bytes: bytes.slice(..half) },
        Admission::PartAsk { position, offset: half as u32 },
        Admission::Part { position, total, offset: half as u32, bytes: bytes.slice(half..) },
    ];
    let said = said.into_iter().map(|message| (Channel::Bulk, Message::Admission(message)));
    said.chain(several_neighborhoods()).map(|(channel, message)| (channel, Frame { header, message }.encode())).collect()
}

/// What is said where there is more than one neighborhood: these machines are too few.
fn several_neighborhoods() -> [(Channel, Message); 2] {
    let node = NodeId::new(1, 77);
    let neighborhood = NeighborhoodId(3);
    let far = Acquaintance { node, key: PublicKey([7; 32]), addresses: vec![SocketAddr::from(([127, 0, 0, 1], 6550))], neighborhood };
    let sample = Membership::Sample { members: vec![far], reply_wanted: true };
    [sample, Membership::Keepalive { neighborhood }].map(|message| (Channel::Datagram, Message::Membership(message)))
}

/// What voters say where a snapshot is too large for one frame, and where a member is suspected by too few.
fn among_voters(sent: &[(Channel, Bytes)]) -> Vec<(Channel, Bytes)> {
    let offered = sent.iter().filter_map(|(channel, bytes)| Frame::decode(bytes, *channel).ok()).find_map(|frame| match frame.message {
        Message::Control(Control::SnapshotPart(part)) => Some((frame.header, part)),
        _ => None,
    });
    let (header, first) = offered.expect("somebody became a voter");
    let half = first.bytes.len() / 2;
    let rest = SnapshotPart { head: Bytes::new(), offset: half as u64, bytes: first.bytes.slice(half..), ..first.clone() };
    let said = [
        Control::SnapshotPart(SnapshotPart { bytes: first.bytes.slice(..half), ..first.clone() }),
        Control::SnapshotWant(SnapshotWant { digest: first.digest, offset: half as u64 }),
        Control::SnapshotPart(rest),
        Control::Probe { suspect: header.from },
    ];
    said.into_iter().map(|message| (Channel::Bulk, Frame { header, message: Message::Control(message) }.encode())).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the corpus is rewritten on demand")]
fn the_corpus_has_every_kind_of_message() {
    let samples = read();
    let kind = |sample: &Sample| kind_of(&Frame::decode(&sample.bytes, sample.channel).expect("a frame of this version").message);
    let mut kinds: Vec<&str> = samples.iter().map(kind).collect();
    kinds.dedup();
    assert_eq!(kinds, KINDS);
    if std::env::var_os("REWRITE").is_some() {
        let hex = |bytes: &[u8]| bytes.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let line = |sample: &Sample| format!("{} {:?} {}\n", kind(sample), sample.channel, hex(&sample.bytes));
        std::fs::create_dir_all(path().parent().expect("in a folder")).expect("the folder is writable");
        std::fs::write(path(), samples.iter().map(line).collect::<String>()).expect("the corpus is writable");
    }
}
