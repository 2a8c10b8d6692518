//! A member that lies about others' fate: nobody stops, joins anew, throws its Raft log away or follows it into a made-up
//! world on its word alone.

use std::time::Duration;

use hivemind_core::facts::{Facts, NeighborhoodLimits};
use hivemind_core::ids::{Digest256, Epoch, Index, NeighborhoodId, NodeId, ProposalId};
use hivemind_core::keys::Keys;
use hivemind_core::machine::{Input, Phase};
use hivemind_core::time::Timestamp;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::event::{Checkpoint, Event, LeaveReason, LogEvent, VoterPart};
use hivemind_core::wire::frame::{Beat, Channel, Frame, Header};
use hivemind_core::wire::message::{Admission, Control, Digest, Events, Membership, Message, ResumeAnswer};

use super::net::{CLUSTER, Net, Part};

const VOTERS: [&str; 3] = ["v1", "v2", "v3"];
const HONEST: [&str; 5] = ["v1", "v2", "v3", "c1", "h1"];

struct Liar {
    net: Net,
    header: Header,
}

impl Liar {
    fn among_honest_ones() -> Liar {
        let mut net = Net::new();
        net.birth("v1", Part::Voter);
        for (name, part) in [("v2", Part::Voter), ("v3", Part::Voter), ("c1", Part::Consumer), ("h1", Part::Host), ("mallory", Part::Host)]
        {
            net.start(name, part, &["v1"]);
            net.run(Duration::from_secs(2));
        }
        net.kept = Some(Vec::new());
        net.run(Duration::from_secs(2));
        let kept = net.kept.take().expect("it was wanted");
        let said = kept.iter().rfind(|kept| kept.from == "mallory").expect("it speaks like any member");
        let header = Frame::decode(&said.bytes, said.channel).expect("machines send frames").header;
        Liar { net, header }
    }

    /// All history so far is collected.
    fn collect_history(&mut self) {
        let floor = self.net.machine("v1").status().position.expect("a member").index;
        self.net.propose("v1", 30, Command::AdvanceEpoch { floor });
    }

    fn say(&mut self, to: &str, header: Header, message: Message) {
        let (peer, source) = (self.net.places["mallory"].keys.0, self.net.places["mallory"].address);
        let bytes = Frame { header, message }.encode();
        self.net.hand(to, Input::Received { peer, source, channel: Channel::Ordered, bytes });
    }

    /// Says of everybody to itself what becomes of it, again and again, from ahead of all.
    fn tell_all(&mut self, answer: ResumeAnswer, epoch: u32) {
        for _ in 0..60 {
            for name in HONEST {
                let node = self.net.node(name);
                let mut header = Header { index: Index(u64::MAX / 2), ..self.header };
                header.epoch.number = header.epoch.number.max(epoch);
                self.say(name, header, Message::Admission(Admission::Resumed { node, answer }));
            }
            self.net.run(Duration::from_millis(500));
        }
    }

    fn ids(&self) -> Vec<NodeId> {
        HONEST.iter().map(|name| self.net.node(name)).collect()
    }

    fn assert_nobody_moved(&self, before: &[NodeId]) {
        for name in HONEST {
            assert_eq!(self.net.phase(name), Some(Phase::Member), "{name}: {:?}", self.net.places[name].halted);
        }
        assert_eq!(self.ids(), before, "nobody joined anew");
        assert!(VOTERS.iter().all(|name| self.net.machine(name).status().voter == VoterPart::Voter));
        let moved = |name: &&str| self.net.places[*name].reports.iter().any(|report| format!("{report:?}").contains("Resyncing"));
        assert!(!HONEST.iter().any(moved), "nobody threw its view away");
    }
}

/// Nobody moves, whatever `answer` one member gives everybody about itself.
fn nobody_moves_on(answer: ResumeAnswer, epoch: u32) {
    let mut liar = Liar::among_honest_ones();
    let before = liar.ids();
    liar.tell_all(answer, epoch);
    liar.assert_nobody_moved(&before);
}

#[test]
fn one_member_can_not_stop_others_by_calling_them_copies() {
    nobody_moves_on(ResumeAnswer::Duplicate, 0);
}

#[test]
fn one_member_can_not_make_others_join_anew_or_voters_forget_their_log() {
    nobody_moves_on(ResumeAnswer::Gone, 0);
}

#[test]
fn one_member_can_not_make_others_throw_their_view_away() {
    nobody_moves_on(ResumeAnswer::Fenced, 1_000);
}

/// A world in which the liar is the only voter, and `node` a member at a position far ahead.
fn made_up(net: &Net, node: NodeId, number: u32) -> Digest {
    let facts = &net.machine("v1").view().expect("a member has a view").facts;
    let first = facts.member(net.node("mallory")).expect("a member").as_ref().clone();
    let epoch = Epoch { number, ..facts.epoch() };
    let mut world = Facts::birth(CLUSTER, epoch, NeighborhoodLimits::default(), first);
    let victim = facts.member(node).expect("a member").as_ref().clone();
    let joined = Event::Joined { member: victim, neighborhood: NeighborhoodId(0), supersedes: None, listed: vec![] };
    world.apply(&LogEvent::new(Index(1), &joined)).expect("it folds");
    while world.position().index < Index(60) {
        let index = world.position().index.next();
        world.apply(&LogEvent::new(index, &Event::Restarting { node, until: Timestamp(1) })).expect("it folds");
    }
    let facts = world.slice_for(node).expect("its slice");
    let (position, voter) = (facts.position(), net.node("mallory"));
    let digest = Checkpoint::digest(CLUSTER, position.epoch, position.index, &position.chain, voter);
    let signature = net.places["mallory"].keys.sign(&digest);
    let checkpoint = Checkpoint { cluster: CLUSTER, epoch: position.epoch, index: position.index, chain: position.chain, voter, signature };
    Digest { facts, checkpoint }
}

#[test]
fn a_resync_takes_no_world_that_no_known_voter_signed() {
    let mut liar = Liar::among_honest_ones();
    let node = liar.net.node("h1");
    // It is away while history is collected, and comes back where only the liar reaches it.
    liar.net.propose("h1", 7, Command::Restarting { node, grace: Duration::from_secs(600) });
    liar.net.run(Duration::from_secs(1));
    liar.net.kill("h1");
    liar.net.run(Duration::from_secs(1));
    let other = liar.net.node("c1");
    for request in 0..4 {
        liar.net.propose("v1", 20 + request, Command::Restarting { node: other, grace: Duration::from_secs(1) });
        liar.net.run(Duration::from_secs(1));
    }
    liar.collect_history();
    liar.net.run(Duration::from_secs(1));
    ["v1", "v2", "v3", "c1"].iter().for_each(|name| liar.net.cut_way(name, "h1", true));
    liar.net.restart("h1");
    liar.net.run(Duration::from_millis(200));
    let digest = made_up(&liar.net, node, 2);
    let header = Header { index: digest.facts.position().index, epoch: digest.facts.epoch(), ..liar.header };
    for _ in 0..20 {
        liar.say("h1", header, Message::Admission(Admission::Resumed { node, answer: ResumeAnswer::Fenced }));
        liar.say("h1", header, Message::Events(Events::Snapshot(Box::new(digest.clone()))));
        liar.net.run(Duration::from_millis(500));
        let view = liar.net.machine("h1").view().expect("it serves its last view");
        assert_ne!(view.facts.position().chain, digest.facts.position().chain, "it lives in a made-up world");
    }
    ["v1", "v2", "v3", "c1"].iter().for_each(|name| liar.net.cut_way(name, "h1", false));
    liar.net.run(Duration::from_secs(10));
    assert_eq!((liar.net.phase("h1"), liar.net.node("h1")), (Some(Phase::Member), node));
    let position = |name: &str| liar.net.machine(name).status().position;
    assert_eq!(position("h1"), position("v1"), "it is where the others are");
}

#[test]
fn one_that_is_asked_first_can_not_turn_a_joiner_away() {
    let mut liar = Liar::among_honest_ones();
    liar.net.kept = Some(Vec::new());
    liar.net.start("h2", Part::Host, &["mallory", "v1", "v2"]);
    for answer in 0..40 {
        liar.net.run(Duration::from_micros(700));
        let wishes: Vec<u64> = liar.net.kept.iter().flatten().filter(|kept| kept.from == "h2").filter_map(nonce).collect();
        let Some(&nonce) = wishes.last() else { continue };
        let lies = [Admission::Refused { nonce, refusal: Refusal::Revoked }, Admission::Lapsed { nonce }];
        liar.say("h2", liar.header, Message::Admission(lies[answer % 2].clone()));
        if answer == 2 {
            // A single word of it is enough nowhere; that it repeats itself so fast is not what honest ones do.
            break;
        }
    }
    liar.net.run(Duration::from_secs(3));
    assert_eq!(liar.net.phase("h2"), Some(Phase::Member), "{:?}", liar.net.places["h2"].halted);
}

fn nonce(kept: &super::net::Kept) -> Option<u64> {
    match Frame::decode(&kept.bytes, kept.channel).ok()?.message {
        Message::Admission(Admission::Join(join)) => Some(join.request.nonce),
        _ => None,
    }
}

#[test]
fn a_forged_sign_of_life_is_over_soon_after_it_was_told() {
    let mut liar = Liar::among_honest_ones();
    let degraded = |net: &Net| HONEST.iter().filter(|name| net.machine(name).status().condition.degraded).count();
    for name in HONEST {
        let header = Header { beat: Beat { term: u64::MAX, count: u64::MAX }, ..liar.header };
        liar.say(name, header, Message::Membership(Membership::Ping { token: 1 }));
    }
    let bound = liar.net.settings.control.degraded_after * 2 + Duration::from_secs(4);
    liar.net.run(bound);
    liar.net.watch(Duration::from_secs(30), |net| assert_eq!(degraded(net), 0, "the leader lives, and all know it"));
    assert!(HONEST.iter().all(|name| liar.net.machine(name).status().term < 100), "nobody repeats the lie");
    // And what is true is still told: without a quorum, all say so.
    ["v2", "v3"].iter().for_each(|name| liar.net.kill(name));
    liar.net.run(Duration::from_secs(20));
    for name in ["v1", "c1", "h1"] {
        assert!(liar.net.machine(name).status().condition.degraded, "{name}");
    }
}

#[test]
fn one_that_is_really_gone_believes_so_when_voters_say_it() {
    let mut liar = Liar::among_honest_ones();
    let former = liar.net.node("h1");
    liar.net.cut("h1", true);
    liar.net.run(Duration::from_secs(20));
    liar.collect_history();
    liar.net.run(Duration::from_secs(2));
    liar.net.cut("h1", false);
    liar.net.run(Duration::from_secs(10));
    assert_eq!(liar.net.phase("h1"), Some(Phase::Member));
    assert!(liar.net.node("h1") > former, "it joined anew, though no event could tell it");
    assert_ne!(liar.net.machine("h1").status().position.map(|position| position.chain), Some(Digest256::default()));
}

#[test]
fn one_that_is_gone_believes_so_in_the_end_when_no_voter_that_it_knew_is_left() {
    let mut liar = Liar::among_honest_ones();
    let former = liar.net.node("h1");
    for name in ["h2", "h3"] {
        liar.net.start(name, Part::Host, &["v1"]);
    }
    liar.net.run(Duration::from_secs(5));
    // It hears neither the event that ended its membership nor, from then on, a voter. The others pass on that a leader lives.
    ["v1", "v2", "v3"].iter().for_each(|name| liar.net.cut_way(name, "h1", true));
    liar.net.cut("h1", true);
    liar.net.propose("v1", 77, Command::Leave { node: former, reason: LeaveReason::Failed { observers: Vec::new() } });
    liar.net.run(Duration::from_secs(1));
    liar.net.start("h4", Part::Host, &["v1"]);
    liar.net.run(Duration::from_secs(3));
    liar.collect_history();
    liar.net.run(Duration::from_secs(1));
    liar.net.cut("h1", false);
    liar.net.run(Duration::from_secs(20));
    assert_eq!((liar.net.phase("h1"), liar.net.node("h1")), (Some(Phase::Member), former), "a few words are not enough");
    liar.net.run(Duration::from_secs(25));
    assert!(liar.net.node("h1") > former, "it joined anew");
}

/// Who had a part in the group keeps its log, and knows the voters by its view alone.
#[test]
fn one_member_can_not_answer_in_the_name_of_voters_one_that_votes_no_more() {
    let mut liar = Liar::among_honest_ones();
    let former = liar.net.node("v3");
    liar.net.propose("v1", 30, Command::VoterRemove { node: former });
    liar.net.run(Duration::from_secs(5));
    assert_eq!(liar.net.machine("v3").status().voter, VoterPart::None);
    let position = liar.net.machine("v3").status().position.expect("a member");
    let (header, before) = (liar.header, liar.net.machine("v3").status().junk);
    for counter in 0..100 {
        let id = ProposalId { node: former, boot: header.boot, counter };
        liar.say("v3", header, Message::Control(Control::Outcome { id, outcome: Outcome::Committed { position } }));
        liar.say("v3", header, Message::Control(Control::ReadIndexed { id, index: Some(position.index), applied: 0 }));
    }
    liar.say("v3", header, Message::Events(Events::Announce));
    assert_eq!(liar.net.machine("v3").status().junk - before, 200, "all of these, and nothing else that it says");
}
