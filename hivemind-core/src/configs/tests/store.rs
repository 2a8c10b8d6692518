use super::*;
use crate::configs::store::{Store, Taken};
use crate::fixture::cluster;

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
    assert!(store.joined(id(10), None, false).is_some());
    assert!(store.joined(id(15), None, false).is_none(), "the buffer holds two");
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
    assert!(store.joined(id(900), None, false).is_none(), "four mebibytes are long full");
    assert_eq!(take(&mut store, config(10, 1, b"early"), &facts), Taken::Ahead);
    assert!(store.joined(id(10), None, false).is_some(), "the one that is nearest to its join has room");
    take(&mut store, config(11, 1, b"never"), &facts);
    store.joined(id(12), None, false);
    assert!(store.joined(id(11), None, false).is_none(), "who did not join in its turn never will");
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
    store.joined(id(30), Some(id(3)), false);
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
    assert!(store.keep(|member| facts.member(*member).is_some()).is_empty());
    assert!(store.left(id(2)));
    assert!(store.held().is_empty());
}
