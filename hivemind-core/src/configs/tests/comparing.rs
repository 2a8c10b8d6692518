use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::configs::summary::{Common, Summary};
use crate::context::{Junk, Report};
use crate::fixture::cluster;
use crate::ids::{Digest256, Index};
use crate::wire::codec;
use crate::wire::config::{ConfigDigest, HeldVersion, LeafHashes, Leaves};

/// A consumer among two, of four hosts.
fn consumer() -> (Configs, Surround, Facts) {
    let facts = cluster(4, 6);
    let (mut configs, mut surround) = (Configs::new(None, Seq(0), 8), Surround::new(5));
    configs.member(&around(&facts), &mut surround.ctx());
    surround.sent();
    (configs, surround, facts)
}

#[test]
fn a_list_that_no_consumer_sends_is_not_worked_through() {
    let (mut configs, mut surround, facts) = consumer();
    let held = HeldVersion { member: id(2), former: None, seq: Seq(1), hash: 7 };
    let versions = |leaves, count| ConfigsMessage::Versions { leaves, held: vec![held; count], complete: true, rest: false };
    let leaves = |bucket, width_log2, at| Leaves { bucket, width_log2, at };
    let hashes = |bucket, count| LeafHashes { bucket, hashes: vec![1; count] };
    let hostile = [
        ConfigsMessage::Compare { index: Index(0), buckets: vec![0; 65] },
        ConfigsMessage::Want { nodes: vec![id(2); 2_049] },
        versions(vec![], 40_000),
        versions(vec![leaves(64, 0, vec![0])], 0),
        versions(vec![leaves(3, 9, vec![0])], 0),
        versions(vec![leaves(3, 1, vec![0, 1, 0])], 0),
        versions(vec![leaves(3, 0, vec![0]), leaves(3, 0, vec![0])], 0),
        ConfigsMessage::Differ { buckets: vec![hashes(64, 1)], rest: false },
        ConfigsMessage::Differ { buckets: vec![hashes(3, 3)], rest: false },
        ConfigsMessage::Differ { buckets: vec![hashes(3, 0)], rest: false },
        ConfigsMessage::Differ { buckets: vec![hashes(3, 512)], rest: false },
        ConfigsMessage::Differ { buckets: vec![hashes(3, 1), hashes(3, 1)], rest: false },
    ];
    for message in hostile {
        surround.sent();
        surround.out.reports.clear();
        let what = format!("{message:?}");
        configs.handle_message(id(6), message, &around(&facts), &mut surround.ctx());
        assert!(surround.sent().is_empty(), "{what}");
        let reported = surround.out.reports.pop_front();
        assert!(matches!(reported, Some(Report::Dropped { why: Junk::Invalid(_), .. })), "{what}: {reported:?}");
    }
}

#[test]
fn who_is_behind_asks_and_who_is_ahead_answers() {
    let (mut configs, mut surround, facts) = consumer();
    let own = facts.position().index;
    configs.exchanges.forget(id(6));
    let compare = |index| ConfigsMessage::Compare { index, buckets: vec![9; 64] };
    configs.handle_message(id(6), compare(own.next()), &around(&facts), &mut surround.ctx());
    let asked = surround.sent();
    let [out] = &asked[..] else { panic!("one answer: {asked:?}") };
    assert_eq!(out.message, Message::Configs(ConfigsMessage::Compare { index: own, buckets: vec![] }), "it is behind");
    configs.exchanges.forget(id(6));
    configs.handle_message(id(6), compare(own), &around(&facts), &mut surround.ctx());
    assert!(matches!(&surround.sent()[..], [out] if matches!(out.message, Message::Configs(ConfigsMessage::Versions { .. }))));
}

#[test]
fn one_that_claims_to_have_all_that_is_new_does_not_keep_it_from_being_asked_of_others() {
    let (mut configs, mut surround, facts) = consumer();
    configs.take(config(1, 1, b"x"), None, &around(&facts), &mut surround.ctx());
    let news = config(1, 2, b"y");
    let claim = |seq| ConfigsMessage::Stored { member: id(1), version: Some(config(1, seq, b"z").config.config.digest()) };
    let wants = |surround: &mut Surround| {
        let wants = surround.sent().into_iter().filter(|out| matches!(out.message, Message::Configs(ConfigsMessage::Want { .. })));
        wants.map(|out| out.to).collect::<Vec<_>>()
    };
    surround.sent();
    configs.handle_message(id(3), claim(u64::MAX), &around(&facts), &mut surround.ctx());
    assert_eq!(wants(&mut surround), [Recipient::Node(id(3))]);
    surround.now.time = surround.now.time + surround.settings.configs.offer_retry * 5;
    configs.handle_compare_timer(configs.compare_round, &around(&facts), &mut surround.ctx());
    surround.sent();
    configs.handle_message(id(3), claim(u64::MAX), &around(&facts), &mut surround.ctx());
    let stored = ConfigsMessage::Stored { member: id(1), version: Some(news.config.config.digest()) };
    configs.handle_message(id(6), stored, &around(&facts), &mut surround.ctx());
    assert_eq!(wants(&mut surround), [Recipient::Node(id(3)), Recipient::Node(id(6))]);
    configs.handle_message(id(6), ConfigsMessage::Batch { configs: vec![news], missing: vec![] }, &around(&facts), &mut surround.ctx());
    assert_eq!(configs.held().get(&id(1)).map(|held| held.config.seq), Some(Seq(2)));
}

#[test]
fn a_member_that_the_other_can_not_know_is_left_out() {
    let (mut configs, mut surround, facts) = consumer();
    configs.exchanges.forget(id(6));
    for host in 1..=4 {
        configs.take(config(host, 1, b"x"), None, &around(&facts), &mut surround.ctx());
    }
    surround.sent();
    // At index 1 there were the members 1 and 2.
    let compare = ConfigsMessage::Compare { index: Index(1), buckets: vec![] };
    configs.handle_message(id(6), compare, &around(&facts), &mut surround.ctx());
    let answer = surround.sent();
    let [Message::Configs(ConfigsMessage::Versions { held, .. })] = &answer.iter().map(|out| out.message.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("what it holds: {answer:?}")
    };
    assert_eq!(held.iter().map(|held| held.member).collect::<Vec<_>>(), [id(1), id(2)]);
}

#[test]
fn one_that_is_asked_by_many_compares_with_one_at_a_time() {
    let facts = cluster(4, 12);
    let (mut configs, mut surround) = (Configs::new(None, Seq(0), 8), Surround::new(5));
    configs.member(&around(&facts), &mut surround.ctx());
    surround.sent();
    configs.bootstrap = Bootstrap::Complete;
    (6..=12).for_each(|fellow| configs.exchanges.forget(id(fellow)));
    let index = facts.position().index;
    let mut answers = Vec::new();
    for fellow in 7..=12 {
        let compare = ConfigsMessage::Compare { index, buckets: (0..64).collect() };
        configs.handle_message(id(fellow), compare, &around(&facts), &mut surround.ctx());
        let Some(Message::Configs(answer)) = surround.sent().pop().map(|out| out.message) else { panic!("an answer") };
        answers.push(answer);
        let held = HeldVersion { member: id(2), former: None, seq: Seq(1), hash: 7 };
        let versions = ConfigsMessage::Versions { leaves: vec![], held: vec![held], complete: true, rest: false };
        configs.handle_message(id(fellow), versions, &around(&facts), &mut surround.ctx());
        surround.sent();
    }
    let busy = answers.iter().filter(|answer| **answer == ConfigsMessage::Busy).count();
    assert!(matches!(answers[0], ConfigsMessage::Versions { .. }) && busy == 5, "{answers:?}");
}

/// By host: the version that a store holds.
type Held = std::collections::BTreeMap<u64, (u64, u8)>;

fn digest(counter: u64, (seq, hash): (u64, u8)) -> ConfigDigest {
    ConfigDigest { node: id(counter), seq: Seq(seq), hash: Digest256([hash; 32]) }
}

fn summary(held: &Held) -> Summary {
    let mut summary = Summary::default();
    for counter in 0..4_000 {
        summary.consume(id(counter), held.get(&counter).map(|&version| digest(counter, version)).as_ref());
    }
    summary
}

fn order(summary: &Summary, counter: u64) -> Option<(NodeId, Seq, u64)> {
    summary.version(id(counter)).map(HeldVersion::order)
}

/// What two stores say to each other until they are equal, by the functions that the exchange is made of: how many
/// versions each lacked, and how many bytes the lists took.
fn settle(one: &Held, other: &Held) -> (usize, usize) {
    let (mut mine, mut theirs) = (one.clone(), other.clone());
    let (mut moved, mut bytes) = (0, 0);
    for _ in 0..100 {
        let (asker, asked) = (summary(&mine), summary(&theirs));
        let [asker, asked] = [&asker, &asked].map(|summary| Common { summary, admits: None });
        let hashes = asker.hashes();
        let (differing, _) = asked.differing(&hashes, 2_048);
        bytes += codec::encode(&hashes).len() + codec::encode(&differing).len();
        if differing.is_empty() {
            assert_eq!(mine, theirs, "equal hashes are equal stores");
            return (moved, bytes);
        }
        let leaves = asker.differing_leaves(&differing).expect("these are what the protocol sends");
        let (left, right) = (asker.versions(&leaves), asked.versions(&leaves));
        bytes += codec::encode(&leaves).len() + codec::encode(&left).len();
        let before = moved;
        let named: BTreeSet<NodeId> = left.iter().chain(&right).map(|held| held.member).collect();
        for counter in (0..4_000).filter(|&counter| named.contains(&id(counter))) {
            let (at_asker, at_asked) = (order(asker.summary, counter), order(asked.summary, counter));
            if at_asker < at_asked {
                mine.insert(counter, theirs[&counter]);
            } else if at_asker > at_asked {
                theirs.insert(counter, mine[&counter]);
            }
            if at_asker != at_asked {
                moved += 1;
                bytes += codec::encode(&HeldVersion { member: id(counter), former: None, seq: Seq(9), hash: u64::MAX }).len();
            }
        }
        assert!(moved > before, "every round brings them closer");
    }
    panic!("a hundred rounds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two stores hold, comparing ends with both holding the newest of each.
    #[test]
    fn any_two_stores_end_equal(
        mine in proptest::collection::btree_map(0_u64..400, (0_u64..4, any::<u8>()), 0..200),
        theirs in proptest::collection::btree_map(0_u64..400, (0_u64..4, any::<u8>()), 0..200),
    ) {
        let (moved, _) = settle(&mine, &theirs);
        let differ = (0..400).filter(|counter| mine.get(counter) != theirs.get(counter)).count();
        prop_assert_eq!(moved, differ, "what is equal is not sent");
    }

    /// Most is equal: the lists cost by what is not, and not by what is held.
    #[test]
    fn the_cost_of_a_difference_follows_the_difference(
        held in 1_000_u64..4_000,
        changed in proptest::collection::btree_set(0_u64..1_000, 60..400),
    ) {
        let mine: Held = (0..held).map(|counter| (counter, (1, 1))).collect();
        let mut theirs = mine.clone();
        for counter in &changed {
            theirs.insert(*counter, (2, 2));
        }
        let (moved, bytes) = settle(&mine, &theirs);
        prop_assert_eq!(moved, changed.len());
        // A small config takes about 250 bytes, so that the whole stays below three times that.
        prop_assert!(bytes < 500 * changed.len(), "{} bytes for {} of {}", bytes, changed.len(), held);
    }

    /// A summary that was kept up change by change equals one that is made of what is held in the end.
    #[test]
    fn a_summary_that_is_kept_up_equals_one_made_anew(changes in proptest::collection::vec((0_u64..40, 0_u64..5, any::<u8>()), 0..200)) {
        let (mut kept, mut plain) = (Summary::default(), Held::new());
        (0..4_000).for_each(|counter| kept.consume(id(counter), None));
        for (counter, seq, hash) in changes {
            if seq == 0 {
                kept.release(id(counter));
                kept.consume(id(counter), None);
                plain.remove(&counter);
            } else {
                kept.hold(id(counter), &digest(counter, (seq, hash)));
                plain.insert(counter, (seq, hash));
            }
        }
        let made = summary(&plain);
        let [kept, made] = [&kept, &made].map(|summary| Common { summary, admits: None });
        prop_assert_eq!(kept.hashes(), made.hashes());
        prop_assert_eq!(kept.summary.lacking(), made.summary.lacking());
    }
}
