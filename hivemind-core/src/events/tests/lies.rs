//! What liars and those who ask too much can do to one node.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::log::{batch_of, follower, joins, leader, nobody, range_after};
use crate::context::{Context, Recipient, Report};
use crate::events::*;
use crate::fixture::{CheapKeys, Surround, id, joined};
use crate::ids::{BootNonce, Digest256, PublicKey};
use crate::keys::{Keys, Signature};

/// Counts how often a signature is checked.
struct Counting {
    keys: CheapKeys,
    checked: AtomicUsize,
}

impl Keys for Counting {
    fn public(&self) -> PublicKey {
        self.keys.public()
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        self.keys.sign(digest)
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        self.checked.fetch_add(1, Ordering::Relaxed);
        self.keys.verify(key, digest, signature)
    }
}

/// How many signatures are checked while `message` is taken.
fn checked(log: &mut EventLog, around: &mut Surround, message: Events) -> usize {
    let keys = Counting { keys: around.keys, checked: AtomicUsize::new(0) };
    let mut ctx = Context {
        now: around.now,
        node: around.node,
        boot: BootNonce::new(1, 0),
        settings: &around.settings,
        keys: &keys,
        rng: &mut around.rng,
        out: &mut around.out,
        timers: &mut around.timers,
    };
    log.handle_message(id(1), message, &nobody(), &mut ctx);
    keys.checked.into_inner()
}

#[test]
fn one_signature_proves_a_batch_and_what_is_known_costs_none() {
    let (mut leads, mut at_leader) = leader(&joins(2, 30));
    let (mut log, mut around) = follower();
    let batch = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    let mut many = batch.clone();
    let first = leads.farewell(Index(0), &at_leader.ctx()).expect("it is held").checkpoints;
    many.checkpoints = [first.clone(), first, batch.checkpoints.clone()].concat();
    assert_eq!(checked(&mut log, &mut around, Events::Push(many)), 1, "of many checkpoints the last is enough");
    assert_eq!(log.position(), leads.position());
    assert_eq!(checked(&mut log, &mut around, Events::Push(batch)), 0);
}

#[test]
fn whoever_sent_a_forgery_is_not_looked_at_for_a_while() {
    let (mut leads, mut at_leader) = leader(&joins(2, 5));
    let (mut log, mut around) = follower();
    let good = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    let mut forged = good.clone();
    forged.checkpoints[0].signature = Signature([7; 64]);
    assert_eq!(checked(&mut log, &mut around, Events::Push(forged.clone())), 1);
    assert_eq!(checked(&mut log, &mut around, Events::Push(forged)), 0, "the second one is not looked at");
    log.handle_message(id(1), Events::Push(good.clone()), &nobody(), &mut around.ctx());
    assert_eq!(log.position().index, Index(0));
    around.now.time = around.now.time + around.settings.events.distrust;
    log.handle_message(id(1), Events::Push(good), &nobody(), &mut around.ctx());
    assert_eq!(log.position(), leads.position(), "and that ends by itself");
}

#[test]
fn a_crowd_of_made_up_members_does_not_keep_a_neighbor_from_being_asked() {
    let (mut log, mut around) = follower();
    let known = crate::fixture::cluster(5, 5);
    log.replace(known, &around.ctx());
    for stranger in 1_100..1_400 {
        log.observe(id(stranger), Index(u64::MAX), 0, &mut around.ctx());
    }
    log.observe(id(4), Index(9), 0, &mut around.ctx());
    for stranger in 1_400..1_700 {
        log.observe(id(stranger), Index(u64::MAX), 0, &mut around.ctx());
    }
    let neighbors = [id(3), id(4), id(5)];
    let peers = Peers { neighbors: &neighbors, ..nobody() };
    let due = around.timers.next_due().expect("a pull is timed");
    around.now.time = due;
    let timer = around.timers.take_due(due).expect("it is due");
    log.handle_timer(timer, &peers, &mut around.ctx());
    let sent = around.sent();
    assert!(matches!(&sent[..], [out] if out.to == Recipient::Node(id(4))), "{sent:?}");
}

#[test]
fn who_is_no_member_does_not_keep_others_asking_the_voters() {
    let (mut log, mut around) = follower();
    log.replace(crate::fixture::cluster(6, 6), &around.ctx());
    let mut asked = 0;
    for made_up in 1_000..2_000 {
        around.now.time = around.now.time + Duration::from_millis(10);
        log.observe(id(made_up), Index(u64::MAX), 0, &mut around.ctx());
        while let Some(timer) = around.timers.take_due(around.now.time) {
            log.handle_timer(timer, &nobody(), &mut around.ctx());
        }
        for out in around.sent() {
            assert_eq!(out.to, Recipient::Node(id(1)), "the voter, since a newcomer can not be asked");
            asked += 1;
            log.handle_message(id(1), Events::Range(EventBatch::default()), &nobody(), &mut around.ctx());
        }
    }
    assert!((1..6).contains(&asked), "{asked} times in ten seconds");
}

/// What `asker` is answered to a pull from `after`.
fn pulled(log: &mut EventLog, around: &mut Surround, asker: u64, after: Position) -> Vec<Events> {
    log.handle_message(id(asker), Events::Pull { after }, &nobody(), &mut around.ctx());
    let answers = around.sent().into_iter().map(|out| match out.message {
        Message::Events(answer) => answer,
        other => panic!("a pull is answered by events, not {other:?}"),
    });
    answers.collect()
}

#[test]
fn a_member_that_pulls_without_end_gets_its_share_and_no_more() {
    let (mut leads, mut around) = leader(&joins(2, 60));
    let beginning = follower().0.position();
    around.settings.events.peer_answer_bytes = 40_000;
    around.sent();
    let answered = (0..1_000).filter(|_| !pulled(&mut leads, &mut around, 2, beginning).is_empty()).count();
    assert!((2..20).contains(&answered), "{answered} answers");
    let reports = around.out.reports.drain(..).filter(|report| matches!(report, Report::Limit(_))).count();
    assert_eq!(reports, 1, "and that is said once");
    assert!(!pulled(&mut leads, &mut around, 3, beginning).is_empty(), "another is served");
    around.now.time = around.now.time + Duration::from_secs(1);
    assert!(!pulled(&mut leads, &mut around, 2, beginning).is_empty(), "its share grows again");
}

#[test]
fn where_all_ask_at_once_they_are_sent_to_others() {
    let (mut leads, mut around) = leader(&joins(2, 60));
    let beginning = follower().0.position();
    around.settings.events.answer_bytes = 100_000;
    around.sent();
    let answers: Vec<Events> = (2..200).flat_map(|asker| pulled(&mut leads, &mut around, asker, beginning)).collect();
    assert_eq!(answers.len(), 198, "each is told something");
    assert_eq!(answers.last(), Some(&Events::AskAnother));
    assert!(!leads.may_serve(id(300), 1, &around.ctx()), "the limit is one for all that is served");
}

#[test]
fn who_is_sent_to_others_asks_them() {
    let (mut log, mut around) = follower();
    log.replace(crate::fixture::cluster(6, 6), &around.ctx());
    for neighbor in [4, 5] {
        log.observe(id(neighbor), Index(9), 0, &mut around.ctx());
    }
    let mut asked = Vec::new();
    while let Some(due) = around.timers.next_due() {
        around.now.time = due;
        while let Some(timer) = around.timers.take_due(due) {
            log.handle_timer(timer, &nobody(), &mut around.ctx());
        }
        for out in around.sent() {
            let Recipient::Node(to) = out.to else { panic!("{out:?}") };
            asked.push(to);
            log.handle_message(to, Events::AskAnother, &nobody(), &mut around.ctx());
        }
    }
    asked.sort_unstable();
    assert_eq!(asked, [id(1), id(4), id(5)], "both, and then the voter");
}

#[test]
fn a_voters_word_for_what_does_not_fold_makes_a_node_resync() {
    let (mut log, mut around) = follower();
    let event = LogEvent::new(Index(1), &Event::Restarted { node: id(1) });
    let before = log.position();
    let chain = event.chain_after(&before.chain);
    let digest = Checkpoint::digest(log.facts().cluster(), before.epoch, Index(1), &chain, id(1));
    let checkpoint = Checkpoint {
        cluster: log.facts().cluster(),
        epoch: before.epoch,
        index: Index(1),
        chain,
        voter: id(1),
        signature: CheapKeys::of(1).sign(&digest),
    };
    let batch = EventBatch { events: vec![event], checkpoints: vec![checkpoint] };
    log.handle_message(id(1), Events::Push(batch), &nobody(), &mut around.ctx());
    assert!(matches!(log.poll_output(), Some(Output::Damaged)));
    assert_eq!(log.position(), before);
}

#[test]
fn an_invented_event_behind_a_true_one_leaves_the_true_one() {
    let (mut leads, mut at_leader) = leader(&joins(2, 3));
    let (mut log, mut around) = follower();
    let mut batch = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    batch.events.push(LogEvent::new(Index(3), &joined(40, false, 3)));
    let mut forged = batch.checkpoints[0].clone();
    forged.index = Index(3);
    forged.voter = id(2);
    batch.checkpoints.push(forged);
    log.handle_message(id(3), Events::Push(batch), &nobody(), &mut around.ctx());
    assert_eq!(log.position(), leads.position(), "what a voter vouches for is true whoever brings it");
}
