use super::*;
use crate::context::Report;
use crate::fixture::cluster;

/// A host with two consumers and two neighbors around it.
fn host() -> (Configs, Surround, Facts) {
    let facts = cluster(3, 5);
    (Configs::new(None, Seq(0), 8), Surround::new(2), facts)
}

fn section(body: &'static [u8]) -> Section {
    Section { kind: kind("host"), body: bytes::Bytes::from_static(body) }
}

/// Makes the host a member of what it has `around` it, with a first config that is durable and offered.
fn publish_first(configs: &mut Configs, around: &Surroundings<'_>, surround: &mut Surround) {
    configs.member(around, &mut surround.ctx());
    configs.publish(&[section(b"a")], &mut surround.ctx());
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(around, &mut surround.ctx());
}

#[test]
fn nothing_is_offered_before_it_is_durable_and_seqs_are_reserved_with_it() {
    let (mut configs, mut surround, facts) = host();
    configs.member(&around(&facts), &mut surround.ctx());
    assert_eq!(configs.publish(&[section(b"a")], &mut surround.ctx()), Published::Storing(Seq(1)));
    assert_eq!(offers(&mut surround), vec![]);
    let persist: Vec<Output> = std::iter::from_fn(|| configs.poll_output()).collect();
    assert!(matches!(&persist[..], [Output::Persist { version: Seq(1), reserve: Some(Seq(257)), .. }]), "{persist:?}");
    assert!(configs.handle_stored(Seq(1)));
    configs.enforce_own(&around(&facts), &mut surround.ctx());
    let mut offered = offers(&mut surround);
    offered.sort();
    assert_eq!(offered, vec![id(1), id(3), id(4), id(5)], "two consumers and two neighbors");
    assert_eq!(configs.publish(&[section(b"a")], &mut surround.ctx()), Published::Unchanged(Seq(1)));
}

#[test]
fn a_restart_goes_above_every_seq_that_may_have_been_used() {
    let (mut configs, mut surround, facts) = host();
    configs.publish(&[section(b"a")], &mut surround.ctx());
    let Some(Output::Persist { write: Write::Own(own), reserve: Some(reserved), .. }) = configs.poll_output() else {
        panic!("it is stored")
    };
    let mut restarted = Configs::new(own, reserved, 8);
    restarted.member(&around(&facts), &mut surround.ctx());
    assert_eq!(restarted.publish(&[section(b"b")], &mut surround.ctx()), Published::Storing(Seq(reserved.0 + 1)));
}

#[test]
fn a_host_that_sees_its_own_version_above_its_own_jumps_above_it() {
    let (mut configs, mut surround, facts) = host();
    publish_first(&mut configs, &around(&facts), &mut surround);
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
    publish_first(&mut configs, &around(&facts), &mut surround);
    let mut claimed = config(2, u64::MAX, b"claimed");
    let stored = ConfigsMessage::Stored { member: id(2), version: Some(claimed.config.config.digest()) };
    configs.handle_message(id(4), stored, &around(&facts), &mut surround.ctx());
    claimed.config = SignedConfig::new(claimed.config.config, &CheapKeys::of(4));
    configs.handle_message(id(4), ConfigsMessage::Offer { entry: claimed, root: NodeId::NONE }, &around(&facts), &mut surround.ctx());
    assert_eq!(configs.own_seq(), Seq(1));
    assert!(surround.out.reports.iter().all(|report| *report != Report::SeqJumped), "{:?}", surround.out.reports);
}

#[test]
fn what_became_durable_while_the_host_was_no_member_is_offered_until_it_is_held() {
    let (mut configs, mut surround, facts) = host();
    configs.publish(&[section(b"x")], &mut surround.ctx());
    configs.member(&around(&facts), &mut surround.ctx());
    assert!(offers(&mut surround).is_empty(), "it is not durable yet");
    assert!(configs.handle_stored(Seq(1)));
    configs.member(&around(&facts), &mut surround.ctx());
    assert!(!offers(&mut surround).is_empty());
    surround.now.time = surround.now.time + surround.settings.configs.offer_retry;
    configs.handle_offer_timer(configs.offer_round, &around(&facts), &mut surround.ctx());
    assert!(!offers(&mut surround).is_empty(), "nobody has it");
}

#[test]
fn who_does_not_answer_is_offered_it_again() {
    let (mut configs, mut surround, facts) = host();
    publish_first(&mut configs, &around(&facts), &mut surround);
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
    assert_eq!(offers(&mut surround), vec![], "there is time yet");
    surround.now.time = surround.now.time + surround.settings.configs.offer_retry;
    configs.handle_offer_timer(1, &around(&facts), &mut surround.ctx());
    assert_eq!(offers(&mut surround), vec![id(5)]);
}

#[test]
fn consumers_that_were_out_of_reach_are_offered_it_when_they_return() {
    let (mut configs, mut surround, facts) = host();
    let cut_off = OrdSet::from_iter([id(1), id(3), id(4), id(5)]);
    let alone = Surroundings { facts: &facts, unreachable: &cut_off };
    publish_first(&mut configs, &alone, &mut surround);
    for _ in 0..3 {
        configs.handle_offer_timer(1, &alone, &mut surround.ctx());
        assert_eq!(offers(&mut surround), vec![]);
    }
    let timed = std::iter::from_fn(|| surround.timers.take_due(crate::time::Time::from_origin(std::time::Duration::from_secs(60))));
    assert!(timed.filter(|timer| matches!(timer, Timer::Offer { .. })).count() >= 4, "the chain of offers goes on");
    configs.handle_offer_timer(1, &around(&facts), &mut surround.ctx());
    assert_eq!(offers(&mut surround).len(), 4);
}
