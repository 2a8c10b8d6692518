use std::collections::BTreeMap;

use proptest::prelude::*;

use super::compare::{buckets, difference, differing};
use super::store::{Store, Taken};
use super::*;
use crate::fixture::{CheapKeys, Surround, cluster, id, joined, kind};
use crate::ids::Digest256;
use crate::wire::config::{ConfigDigest, HostConfig, Section};
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

fn config(counter: u64, seq: u64, body: &'static [u8]) -> HeldConfig {
    let section = Section { kind: kind("host"), body: bytes::Bytes::from_static(body) };
    let config = HostConfig { node: id(counter), seq: Seq(seq), sections: vec![section] };
    HeldConfig { member: id(counter), config: SignedConfig::new(config, &CheapKeys::of(counter)) }
}

fn take(store: &mut Store, held: HeldConfig, facts: &Facts) -> Taken {
    store.take(held, facts, &CheapKeys::of(1))
}

#[test]
fn a_stale_config_never_overwrites_a_newer_one() {
    let (mut store, facts) = (Store::new(8), cluster(4, 4));
    assert_eq!(take(&mut store, config(2, 5, b"new"), &facts), Taken::InForce { member: id(2), conflict: false });
    assert_eq!(take(&mut store, config(2, 4, b"old"), &facts), Taken::Old { conflict: false });
    assert_eq!(store.version(id(2)).map(|version| version.seq), Some(Seq(5)));
}

#[test]
fn of_one_seq_the_larger_hash_wins_in_either_order_and_is_reported() {
    let facts = cluster(4, 4);
    let (one, other) = (config(2, 5, b"one"), config(2, 5, b"other"));
    let winner = one.config.config.digest().max(other.config.config.digest());
    for (first, second) in [(one.clone(), other.clone()), (other, one)] {
        let mut store = Store::new(8);
        take(&mut store, first, &facts);
        let second = take(&mut store, second, &facts);
        assert!(matches!(second, Taken::InForce { conflict: true, .. } | Taken::Old { conflict: true }), "{second:?}");
        assert_eq!(store.version(id(2)), Some(&winner));
    }
}

#[test]
fn a_config_that_its_host_did_not_sign_is_not_taken() {
    let (mut store, facts) = (Store::new(8), cluster(4, 4));
    let mut forged = config(2, 5, b"forged");
    forged.config = SignedConfig::new(forged.config.config, &CheapKeys::of(3));
    assert!(matches!(take(&mut store, forged, &facts), Taken::Invalid(_)));
    assert!(store.held().is_empty());
}

#[test]
fn a_config_ahead_of_its_join_waits_in_a_bounded_buffer() {
    let (mut store, facts) = (Store::new(2), cluster(4, 4));
    for counter in 10..20 {
        assert_eq!(take(&mut store, config(counter, 1, b"early"), &facts), Taken::Ahead);
    }
    assert!(store.joined(id(10), None).is_some());
    assert!(store.joined(id(15), None).is_none(), "the buffer holds two");
}

#[test]
fn what_waits_for_a_join_that_never_comes_neither_grows_nor_blocks() {
    let (mut store, facts) = (Store::new(1_024), cluster(4, 4));
    let large = |counter: u64| {
        let section = Section { kind: kind("host"), body: vec![7; 60 << 10].into() };
        let config = HostConfig { node: id(counter), seq: Seq(1), sections: vec![section] };
        HeldConfig { member: id(counter), config: SignedConfig::new(config, &CheapKeys::of(counter)) }
    };
    for counter in 100..1_000 {
        take(&mut store, large(counter), &facts);
    }
    assert!(store.joined(id(900), None).is_none(), "four mebibytes are long full");
    assert_eq!(take(&mut store, config(10, 1, b"early"), &facts), Taken::Ahead);
    assert!(store.joined(id(10), None).is_some(), "the one that is nearest to its join has room");
    take(&mut store, config(11, 1, b"never"), &facts);
    store.joined(id(12), None);
    assert!(store.joined(id(11), None).is_none(), "who did not join in its turn never will");
    assert_eq!(take(&mut store, config(0, 1, b"gone"), &facts), Taken::Old { conflict: false });
}

#[test]
fn a_host_that_joined_again_keeps_its_config_until_its_first_new_one() {
    let (mut store, mut facts) = (Store::new(8), cluster(4, 4));
    take(&mut store, config(3, 9, b"before"), &facts);
    let mut again = crate::fixture::member(3, false, 4);
    again.node = id(30);
    let event = Event::Joined { member: again, neighborhood: Default::default(), supersedes: Some(id(3)), listed: vec![] };
    facts.apply(&crate::wire::event::LogEvent::new(facts.position().index.next(), &event)).expect("folds");
    store.joined(id(30), Some(id(3)));
    assert_eq!(store.held().get(&id(30)).map(|held| held.config.seq), Some(Seq(9)));
    let fresh = HostConfig { node: id(30), seq: Seq(1), sections: vec![] };
    let fresh = HeldConfig { member: id(30), config: SignedConfig::new(fresh, &CheapKeys::of(3)) };
    assert!(matches!(take(&mut store, fresh, &facts), Taken::InForce { .. }), "a later membership is above any seq of the earlier one");
    assert!(matches!(take(&mut store, HeldConfig { member: id(30), ..config(3, 10, b"late") }, &facts), Taken::Old { .. }));
}

#[test]
fn a_config_goes_only_with_its_membership() {
    let (mut store, facts) = (Store::new(8), cluster(4, 4));
    take(&mut store, config(2, 1, b"here"), &facts);
    assert!(store.keep_members(&facts).is_empty());
    assert!(store.left(id(2)));
    assert!(store.held().is_empty());
}

/// A host with two consumers and two neighbors around it.
fn host() -> (Configs, Surround, Facts) {
    let facts = cluster(3, 5);
    (Configs::new(None, Seq(0), 8), Surround::new(2), facts)
}

fn around(facts: &Facts) -> Surroundings<'_> {
    static NONE: std::sync::OnceLock<OrdSet<NodeId>> = std::sync::OnceLock::new();
    Surroundings { facts, unreachable: NONE.get_or_init(OrdSet::new) }
}

fn offers(surround: &mut Surround) -> Vec<NodeId> {
    let offers = surround.sent().into_iter().filter(|out| matches!(out.message, Message::Configs(ConfigsMessage::Offer(_))));
    offers.map(|out| if let crate::context::Recipient::Node(node) = out.to { node } else { panic!("offers go to members") }).collect()
}

#[test]
fn nothing_is_offered_before_it_is_durable_and_seqs_are_reserved_with_it() {
    let (mut configs, mut surround, facts) = host();
    configs.member(&around(&facts), &mut surround.ctx());
    let section = Section { kind: kind("host"), body: bytes::Bytes::from_static(b"a") };
    assert_eq!(configs.publish(std::slice::from_ref(&section), &mut surround.ctx()), Published::Storing(Seq(1)));
    assert_eq!(offers(&mut surround), vec![]);
    let persist: Vec<Output> = std::iter::from_fn(|| configs.poll_output()).collect();
    assert!(matches!(&persist[..], [Output::Persist { version: Seq(1), reserve: Some(Seq(257)), .. }]), "{persist:?}");
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(&around(&facts), &mut surround.ctx());
    let mut offered = offers(&mut surround);
    offered.sort();
    assert_eq!(offered, vec![id(1), id(3), id(4), id(5)], "two consumers and two neighbors");
    assert_eq!(configs.publish(&[section], &mut surround.ctx()), Published::Unchanged(Seq(1)));
}

#[test]
fn a_restart_goes_above_every_seq_that_may_have_been_used() {
    let (mut configs, mut surround, facts) = host();
    configs.publish(&[Section { kind: kind("host"), body: bytes::Bytes::from_static(b"a") }], &mut surround.ctx());
    let Some(Output::Persist { write: Write::Own(own), reserve: Some(reserved), .. }) = configs.poll_output() else {
        panic!("it is stored")
    };
    let mut restarted = Configs::new(own, reserved, 8);
    restarted.member(&around(&facts), &mut surround.ctx());
    let changed = Section { kind: kind("host"), body: bytes::Bytes::from_static(b"b") };
    assert_eq!(restarted.publish(&[changed], &mut surround.ctx()), Published::Storing(Seq(reserved.0 + 1)));
}

#[test]
fn a_host_that_sees_its_own_version_above_its_own_jumps_above_it() {
    let (mut configs, mut surround, facts) = host();
    configs.member(&around(&facts), &mut surround.ctx());
    configs.publish(&[Section { kind: kind("host"), body: bytes::Bytes::from_static(b"a") }], &mut surround.ctx());
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(&around(&facts), &mut surround.ctx());
    let forgotten = config(2, 50, b"forgotten");
    let stored = ConfigsMessage::Stored { member: id(2), version: Some(forgotten.config.config.digest()) };
    surround.sent();
    configs.handle_message(id(4), stored, &around(&facts), &mut surround.ctx());
    let asked = surround.sent();
    assert!(matches!(&asked[..], [out] if out.message == Message::Configs(ConfigsMessage::Want { nodes: vec![id(2)] })), "{asked:?}");
    let answer = ConfigsMessage::Batch { configs: vec![forgotten], missing: vec![] };
    configs.handle_message(id(4), answer, &around(&facts), &mut surround.ctx());
    let persisted: Vec<Output> = std::iter::from_fn(|| configs.poll_output()).collect();
    assert!(matches!(persisted.last(), Some(Output::Persist { version: Seq(51), .. })), "{persisted:?}");
    assert!(surround.out.reports.contains(&Report::SeqJumped));
}

#[test]
fn nobody_can_talk_a_host_into_giving_its_seqs_away() {
    let (mut configs, mut surround, facts) = host();
    configs.member(&around(&facts), &mut surround.ctx());
    configs.publish(&[Section { kind: kind("host"), body: bytes::Bytes::from_static(b"a") }], &mut surround.ctx());
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(&around(&facts), &mut surround.ctx());
    let mut claimed = config(2, u64::MAX, b"claimed");
    let stored = ConfigsMessage::Stored { member: id(2), version: Some(claimed.config.config.digest()) };
    configs.handle_message(id(4), stored, &around(&facts), &mut surround.ctx());
    claimed.config = SignedConfig::new(claimed.config.config, &CheapKeys::of(4));
    configs.handle_message(id(4), ConfigsMessage::Offer(claimed), &around(&facts), &mut surround.ctx());
    assert_eq!(configs.own_seq(), Seq(1));
    assert!(surround.out.reports.iter().all(|report| *report != Report::SeqJumped), "{:?}", surround.out.reports);
}

#[test]
fn a_list_that_no_consumer_sends_is_not_worked_through() {
    let (mut configs, mut surround, facts) = host();
    let digest = config(2, 1, b"a").config.config.digest();
    let hostile = [
        ConfigsMessage::Differ { buckets: vec![63; 65], held: vec![] },
        ConfigsMessage::Differ { buckets: vec![0], held: vec![(id(2), digest); 2_049] },
        ConfigsMessage::Fetch { kinds: vec![kind("host"); 257], after: NodeId::NONE },
    ];
    for message in hostile {
        surround.sent();
        configs.handle_message(id(4), message, &around(&facts), &mut surround.ctx());
        assert!(surround.sent().is_empty());
        let reported = surround.out.reports.pop_front();
        assert!(matches!(reported, Some(Report::Dropped { why: Junk::Invalid(_), .. })), "{reported:?}");
    }
}

#[test]
fn a_fellow_that_answers_in_circles_is_left() {
    let facts = cluster(2, 4);
    let mut surround = Surround::new(4);
    let mut configs = Configs::new(None, Seq(0), 8);
    configs.member(&around(&facts), &mut surround.ctx());
    surround.sent();
    let circle = ConfigsMessage::Fetched { configs: vec![], next: Some(NodeId::NONE), complete: false };
    configs.handle_message(id(3), circle, &around(&facts), &mut surround.ctx());
    let asked = surround.sent();
    assert!(asked.iter().all(|out| !matches!(out.message, Message::Configs(ConfigsMessage::Fetch { .. }))), "{asked:?}");
}

#[test]
fn what_became_durable_while_the_host_was_no_member_is_offered_until_it_is_held() {
    let (mut configs, mut surround, facts) = host();
    let section = Section { kind: kind("host"), body: bytes::Bytes::from_static(b"x") };
    configs.publish(&[section], &mut surround.ctx());
    configs.member(&around(&facts), &mut surround.ctx());
    assert!(offers(&mut surround).is_empty(), "it is not durable yet");
    assert!(configs.handle_stored(Seq(1)));
    configs.member(&around(&facts), &mut surround.ctx());
    assert!(!offers(&mut surround).is_empty());
    configs.handle_offer_timer(configs.offer_round, &around(&facts), &mut surround.ctx());
    assert!(!offers(&mut surround).is_empty(), "nobody has it");
}

#[test]
fn who_does_not_answer_is_offered_it_again() {
    let (mut configs, mut surround, facts) = host();
    configs.member(&around(&facts), &mut surround.ctx());
    configs.publish(&[Section { kind: kind("host"), body: bytes::Bytes::from_static(b"a") }], &mut surround.ctx());
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(&around(&facts), &mut surround.ctx());
    let own = configs.held().get(&id(2)).expect("in force here").config.digest();
    offers(&mut surround);
    for node in [1, 3, 4] {
        configs.handle_message(
            id(node),
            ConfigsMessage::Stored { member: id(2), version: Some(own) },
            &around(&facts),
            &mut surround.ctx(),
        );
    }
    configs.handle_offer_timer(1, &around(&facts), &mut surround.ctx());
    assert_eq!(offers(&mut surround), vec![id(5)]);
}

#[test]
fn consumers_that_were_out_of_reach_are_offered_it_when_they_return() {
    let (mut configs, mut surround, facts) = host();
    let cut_off = OrdSet::from_iter([id(1), id(3), id(4), id(5)]);
    let alone = Surroundings { facts: &facts, unreachable: &cut_off };
    configs.member(&alone, &mut surround.ctx());
    configs.publish(&[Section { kind: kind("host"), body: bytes::Bytes::from_static(b"a") }], &mut surround.ctx());
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(&alone, &mut surround.ctx());
    for _ in 0..3 {
        configs.handle_offer_timer(1, &alone, &mut surround.ctx());
        assert_eq!(offers(&mut surround), vec![]);
    }
    let timed = std::iter::from_fn(|| surround.timers.take_due(crate::time::Time::from_origin(std::time::Duration::from_secs(60))));
    assert!(timed.filter(|timer| matches!(timer, Timer::Offer { .. })).count() >= 4, "the chain of offers goes on");
    configs.handle_offer_timer(1, &around(&facts), &mut surround.ctx());
    assert_eq!(offers(&mut surround).len(), 4);
}

#[test]
fn the_first_consumer_asks_every_host_and_is_complete_when_each_answered() {
    let facts = cluster(4, 5);
    let (mut configs, mut surround) = (Configs::new(None, Seq(0), 8), Surround::new(5));
    configs.member(&around(&facts), &mut surround.ctx());
    let asked: Vec<_> =
        surround.sent().into_iter().filter(|out| matches!(out.message, Message::Configs(ConfigsMessage::Want { .. }))).collect();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|out| out.channel == Channel::Ordered));
    for host in 1..=4 {
        let configs_of = if host == 2 { vec![] } else { vec![config(host, 1, b"x")] };
        let missing = if host == 2 { vec![id(2)] } else { vec![] };
        configs.handle_message(id(host), ConfigsMessage::Batch { configs: configs_of, missing }, &around(&facts), &mut surround.ctx());
    }
    let outputs: Vec<Output> = std::iter::from_fn(|| configs.poll_output()).collect();
    assert_eq!(outputs.last(), Some(&Output::Completeness { complete: true }));
    assert_eq!(configs.held().len(), 3);
}

#[test]
fn a_later_consumer_asks_its_fellow_and_thats_it() {
    let facts = cluster(3, 5);
    let (mut old, mut at_old) = (Configs::new(None, Seq(0), 8), Surround::new(4));
    old.bootstrap = Bootstrap::Complete;
    for host in 1..=3 {
        old.take(config(host, 7, b"x"), None, &around(&facts), &mut at_old.ctx());
    }
    at_old.sent();
    let (mut new, mut at_new) = (Configs::new(None, Seq(0), 8), Surround::new(5));
    at_old.settings.configs.batch_bytes = 150;
    new.member(&around(&facts), &mut at_new.ctx());
    for _ in 0..8 {
        for out in at_new.sent() {
            let Message::Configs(message) = out.message else { panic!("configs speak of configs") };
            assert_eq!(out.to, crate::context::Recipient::Node(id(4)), "only the fellow is asked");
            old.handle_message(id(5), message, &around(&facts), &mut at_old.ctx());
        }
        for out in at_old.sent() {
            let Message::Configs(message) = out.message else { panic!("configs speak of configs") };
            new.handle_message(id(4), message, &around(&facts), &mut at_new.ctx());
        }
    }
    assert_eq!(new.bootstrap, Bootstrap::Complete);
    assert_eq!(new.held(), old.held());
}

#[test]
fn a_new_member_whose_config_came_first_gets_it_with_its_join() {
    let mut facts = cluster(3, 5);
    let (mut configs, mut surround) = (Configs::new(None, Seq(0), 8), Surround::new(4));
    configs.take(config(9, 1, b"early"), Some(id(5)), &around(&facts), &mut surround.ctx());
    let event = joined(9, false, 5);
    facts.apply(&crate::wire::event::LogEvent::new(facts.position().index.next(), &event)).expect("folds");
    configs.handle_event(&event, &around(&facts), &mut surround.ctx());
    assert_eq!(configs.poll_output(), Some(Output::Changed { member: id(9) }));
    assert!(configs.held().contains_key(&id(9)));
}

fn versions(entries: &BTreeMap<u64, (u64, u8)>) -> BTreeMap<NodeId, ConfigDigest> {
    let version = |(&counter, &(seq, hash)): (&u64, &(u64, u8))| {
        (id(counter), ConfigDigest { node: id(counter), seq: Seq(seq), hash: Digest256([hash; 32]) })
    };
    entries.iter().map(version).collect()
}

proptest! {
    /// Comparing buckets, then versions, finds exactly what a comparison of everything would.
    #[test]
    fn a_difference_is_found_whole_and_nothing_else(
        mine in proptest::collection::btree_map(0_u64..400, (0_u64..4, any::<u8>()), 0..120),
        theirs in proptest::collection::btree_map(0_u64..400, (0_u64..4, any::<u8>()), 0..120),
    ) {
        let (mine, theirs) = (versions(&mine), versions(&theirs));
        let differing = differing(&buckets(&mine, |_| true), &buckets(&theirs, |_| true));
        let sent: Vec<(NodeId, ConfigDigest)> = theirs.iter().map(|(node, version)| (*node, *version))
            .filter(|(node, _)| differing.contains(&compare::bucket_of(*node))).collect();
        let found = difference(&mine, &differing, &sent);
        let newer = |one: &BTreeMap<NodeId, ConfigDigest>, other: &BTreeMap<NodeId, ConfigDigest>| -> Vec<NodeId> {
            one.iter().filter(|(node, version)| other.get(*node).is_none_or(|known| known < *version)).map(|(node, _)| *node).collect()
        };
        prop_assert_eq!(found.want, newer(&theirs, &mine));
        prop_assert_eq!(found.give, newer(&mine, &theirs));
    }
}
