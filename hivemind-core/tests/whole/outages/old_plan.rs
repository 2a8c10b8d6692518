//! An old plan applied over a newer one, then its clean-up. Amazon DynamoDB, 19 and 20 October 2025 ("Summary of the Amazon
//! DynamoDB Service Disruption in the Northern Virginia (US-EAST-1) Region", aws.amazon.com/message/101925).
//!
//! There, one of several enactors of DNS plans was delayed for long. It had checked that its plan was newer than the one in
//! force *before* it began, and then wrote it over a newer one; meanwhile another enactor, done with the newer plan, deleted
//! plans that were many generations old, the one that had just come into force among them. All addresses of the endpoint were
//! gone, and no automation could put them back.
//!
//! Here, a version is compared where it is applied, in the same step (S4, `configs/store.rs`), and nothing is ever deleted for
//! being old: what is in force goes only by its host's newer config or by a committed leave of just that membership (S5).

use hivemind_core::ids::NodeName;
use hivemind_core::wire::frame::Frame;
use hivemind_core::wire::message::{Configs, Message};

use super::super::net::{Kept, Net};
use super::{cluster, seconds};

/// All offers of configs that are on their way while `happens`.
fn offers(net: &mut Net, happens: impl FnOnce(&mut Net)) -> Vec<Kept> {
    net.kept = Some(Vec::new());
    happens(net);
    let kept = net.kept.take().expect("it was wanted");
    let carries = |kept: &Kept| {
        let message = Frame::decode(&kept.bytes, kept.channel).expect("machines send frames").message;
        matches!(message, Message::Configs(Configs::Offer { .. } | Configs::Batch { .. }))
    };
    kept.into_iter().filter(carries).collect()
}

#[test]
fn a_plan_that_was_on_its_way_for_long_never_overwrites_a_newer_one() {
    let mut net = cluster();
    // The second consumer gets nothing of the first plan in time.
    net.cut("c2", true);
    let old = offers(&mut net, |net| {
        net.publish("h1", 10, "old plan");
        net.run(seconds(1));
    });
    assert!(!old.is_empty(), "the old plan was on its way");
    net.publish("h1", 11, "newer plan");
    net.run(seconds(1));
    net.cut("c2", false);
    net.watch(seconds(10), |net| assert_eq!(net.text("c1", "h1").as_deref(), Some("newer plan")));
    assert_eq!(net.text("c2", "h1").as_deref(), Some("newer plan"));
    // Now it arrives, everywhere, from whoever carried it, twice.
    for late in old.iter().chain(&old) {
        for to in ["c1", "c2", "h2"] {
            net.replay(&Kept { to: to.into(), ..late.clone() });
            assert_ne!(net.text(to, "h1").as_deref(), Some("old plan"), "{to}");
        }
    }
    net.watch(seconds(10), |net| {
        assert!(["c1", "c2"].iter().all(|consumer| net.text(consumer, "h1").as_deref() == Some("newer plan")));
    });
}

#[test]
fn the_clean_up_of_an_old_membership_does_not_take_what_is_in_force() {
    let mut net = cluster();
    let former = net.node("h1");
    let host = NodeName::new("h1").expect("a name");
    let old = offers(&mut net, |net| {
        net.publish("h1", 10, "old plan");
        net.run(seconds(1));
    });
    // It falls silent, is cleaned up by a committed leave, and comes back as a new member with a newer plan.
    net.kept = Some(Vec::new());
    net.cut("h1", true);
    net.run(seconds(15));
    assert_eq!(net.text("c1", "h1"), None, "its membership ended");
    net.cut("h1", false);
    net.run(seconds(10));
    net.publish("h1", 11, "newer plan");
    net.run(seconds(3));
    assert_ne!(net.node("h1"), former);
    let clean_up = net.kept.take().expect("it was wanted");
    // The clean-up, everything that was said meanwhile, and the old plan under its old membership arrive once more, late.
    for late in clean_up.iter().chain(&old).filter(|late| late.to.starts_with('c')) {
        net.replay(late);
        let view = net.machine(&late.to).view().expect("a member has a view");
        assert!(view.config_of(&host).is_some_and(|config| config.config.node != former), "{} has the newer plan", late.to);
    }
    net.watch(seconds(10), |net| {
        assert!(["c1", "c2"].iter().all(|consumer| net.text(consumer, "h1").as_deref() == Some("newer plan")));
    });
    assert!(net.machine("c1").view().expect("a member").configs.len() == 2, "and nothing of the old membership is left");
}

#[test]
fn a_host_on_an_old_disk_goes_above_what_others_hold_before_it_is_believed() {
    let mut net = cluster();
    let old = net.disk("h1");
    for request in 10..20 {
        net.publish("h1", request, &format!("plan {request}"));
        net.run(seconds(1));
    }
    let newest = net.machine("h1").status().own_seq;
    // Its machine is put back to the state of a backup.
    net.kill("h1");
    net.put_disk("h1", old);
    net.restart("h1");
    net.run(seconds(10));
    net.publish("h1", 30, "after the backup");
    net.run(seconds(10));
    assert!(net.machine("h1").status().own_seq > newest);
    for consumer in ["c1", "c2"] {
        assert_eq!(net.text(consumer, "h1").as_deref(), Some("after the backup"), "{consumer}");
    }
}
