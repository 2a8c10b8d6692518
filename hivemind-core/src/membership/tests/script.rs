//! Protocol scripts: text files of commands with the full expected output.
//!
//! A block is a command line, `----`, and the output up to an empty line. `REWRITE=1` writes the output
//! as it is: review the difference. Commands: `net COUNT SEED` (starts them without a word), `add NODE`, `leave NODE`, `crash NODE`,
//! `start NODE`, `starve NODE MS`, `cut A B`, `mend`, `run MS` (each event as `time node what`),
//! `skip MS` (the same without the list), `unreachable`.

use std::fmt::Write;
use std::path::PathBuf;

use foca::{Message as Swim, State};

use super::net::{CREATED, HOOD, Net, id, ms};
use crate::membership::packet::{Packet, PeerCodec};
use crate::membership::peer::Peer;
use crate::wire::message::{Membership as Wire, Message};

#[test]
fn scripts_do_as_they_say() {
    for name in ["join", "crash", "refuted", "restart"] {
        run_script(name);
    }
}

#[expect(clippy::disallowed_methods, reason = "a script is rewritten on demand")]
fn run_script(name: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "testdata", "membership", &format!("{name}.txt")].iter().collect();
    let text = std::fs::read_to_string(&path).expect("the script is part of the repository");
    let mut net = Net::new(0, 0);
    let mut actual = String::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let (commands, _expected) = block.split_once("----").unwrap_or((block, ""));
        actual.push_str(commands.trim_end());
        actual.push_str("\n----\n");
        for command in commands.lines().filter(|line| !line.starts_with('#')) {
            actual.push_str(&execute(&mut net, command));
        }
        actual.push('\n');
    }
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, &actual).expect("the script can be rewritten");
    } else if actual != text {
        let differs = actual.lines().zip(text.lines()).enumerate().find(|(_, (a, b))| a != b);
        panic!("{} differs from what it says, first at {differs:?}; run with REWRITE=1 and review", path.display());
    }
}

fn execute(net: &mut Net, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    net.log = Some(Vec::new());
    match words[0] {
        "net" => {
            *net = Net::new(0, number(2));
            net.members = (1..=number(1)).map(id).collect();
            net.voters = net.members.iter().copied().take(3).collect();
            net.members.clone().into_iter().for_each(|node| net.start(node));
        }
        "add" => {
            net.members.insert(id(number(1)));
            let nodes: Vec<_> = net.nodes.keys().copied().collect();
            nodes.into_iter().for_each(|node| net.with(node, |membership, ctx| membership.peer_joined(id(number(1)), ctx)));
            net.start(id(number(1)));
        }
        "leave" => {
            net.members.remove(&id(number(1)));
            let members = net.members.clone();
            members.into_iter().for_each(|node| net.with(node, |membership, ctx| membership.member_left(id(number(1)), ctx)));
        }
        "crash" => net.crash(id(number(1))),
        "start" => net.start(id(number(1))),
        "starve" => net.starve(id(number(1)), ms(number(2))),
        "cut" => {
            net.cut.insert((id(number(1)), id(number(2))));
        }
        "mend" => net.cut.clear(),
        "run" => net.run(ms(number(1))),
        "skip" => {
            net.log = None;
            net.run(ms(number(1)));
        }
        "unreachable" => {
            let mut lines = String::new();
            for (node, at) in &net.nodes {
                writeln!(lines, "{} fails to reach {:?}", node.counter(), at.membership.unreachable()).expect("text takes it");
            }
            return lines;
        }
        other => panic!("no such command: {other}"),
    }
    net.log.take().unwrap_or_default().iter().map(|line| format!("{line}\n")).collect()
}

/// A message in a few words.
pub(super) fn show(message: &Message) -> String {
    match message {
        Message::Membership(Wire::Swim { packet, .. }) => {
            match Packet::decode(packet, PeerCodec { neighborhood: HOOD, created: CREATED }) {
                Ok(packet) => show_packet(&packet),
                Err(error) => format!("swim {error}"),
            }
        }
        Message::Membership(Wire::Ping { .. }) => "ping".into(),
        Message::Membership(Wire::Pong { .. }) => "pong".into(),
        Message::Membership(Wire::Sample { members, reply_wanted }) => {
            let told: Vec<String> = members.iter().map(|member| format!("{}@{}", member.node.counter(), member.neighborhood.0)).collect();
            format!("sample of {}{}", told.join(" "), if *reply_wanted { "?" } else { "" })
        }
        Message::Membership(Wire::Keepalive { neighborhood }) => format!("keepalive of {}", neighborhood.0),
        Message::Membership(Wire::Evidence { suspect }) => format!("evidence against {}", suspect.counter()),
        Message::Admission(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_) => "not of this subsystem".into(),
    }
}

fn show_packet(packet: &Packet) -> String {
    let what = match &packet.header.message {
        Swim::Ping(number) => format!("ping#{number}"),
        Swim::Ack(number) => format!("ack#{number}"),
        Swim::PingReq { target, .. } => format!("ping-request of {}", show_peer(target)),
        Swim::IndirectPing { origin, .. } => format!("ping for {}", show_peer(origin)),
        Swim::IndirectAck { target, .. } => format!("ack for {}", show_peer(target)),
        Swim::ForwardedAck { origin, .. } => format!("forwarded ack of {}", show_peer(origin)),
        Swim::Announce => "announce".into(),
        Swim::Feed => "feed".into(),
        Swim::Gossip => "gossip".into(),
        Swim::Broadcast => unreachable!("it does not decode"),
        Swim::TurnUndead => "you-are-down".into(),
    };
    let mut line = format!("swim {what} as {} to {}", show_peer(&packet.header.src), show_peer(&packet.header.dst));
    for update in &packet.updates {
        let state = match update.state() {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Down => "down",
        };
        write!(line, "; {} {state}@{}", show_peer(update.id()), update.incarnation()).expect("text takes it");
    }
    line
}

/// Node, start, renewal.
fn show_peer(peer: &Peer) -> String {
    format!("{}.{}.{}", peer.node.counter(), peer.boot.count(), peer.renewal)
}
