use super::*;
use crate::fixture::{cluster, joined};
use crate::wire::frame::Channel;

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
    old.member(&around(&facts), &mut at_old.ctx());
    old.exchanges.forget(id(5));
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

#[test]
fn configs_that_their_hosts_did_not_sign_make_no_consumer_complete() {
    let facts = cluster(4, 5);
    let (mut configs, mut surround) = (Configs::new(None, Seq(0), 8), Surround::new(5));
    configs.member(&around(&facts), &mut surround.ctx());
    let forged = (1..=4).map(|host| {
        let genuine = config(host, 1, b"x");
        HeldConfig { config: SignedConfig::new(genuine.config.config, &CheapKeys::of(2)), ..genuine }
    });
    let forged: Vec<HeldConfig> = forged.filter(|forged| forged.member != id(2)).collect();
    configs.handle_message(id(2), ConfigsMessage::Batch { configs: forged, missing: vec![id(2)] }, &around(&facts), &mut surround.ctx());
    let outputs: Vec<Output> = std::iter::from_fn(|| configs.poll_output()).collect();
    assert!(!outputs.contains(&Output::Completeness { complete: true }), "{outputs:?}");
    for host in [1, 3, 4] {
        let answer = ConfigsMessage::Batch { configs: vec![config(host, 1, b"x")], missing: vec![] };
        configs.handle_message(id(host), answer, &around(&facts), &mut surround.ctx());
    }
    assert_eq!(std::iter::from_fn(|| configs.poll_output()).last(), Some(Output::Completeness { complete: true }));
}
