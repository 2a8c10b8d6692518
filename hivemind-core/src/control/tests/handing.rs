//! Leadership that an operator hands over: done where another leads, refused with a reason else.

use std::time::Duration;

use super::net::{Net, V1, V2, V3, V4};
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::command::{Command, Outcome, Refusal};

fn lead(heir: NodeId) -> Command {
    Command::Lead { heir: Some(heir) }
}

fn of(count: u64) -> Net {
    let mut settings = Settings::default();
    settings.control.voters = 3;
    Net::of(1, count, settings)
}

#[test]
fn a_named_voter_leads_whoever_is_asked() {
    let mut net = of(3);
    for (asked, heir) in [(V1, V3), (V1, V2), (V3, V1), (V1, V2)] {
        let outcome = net.decide(asked, lead(heir));
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        assert_eq!(net.leader(), Some(heir));
        net.run(Duration::from_secs(1));
        assert_eq!(net.leader(), Some(heir), "it stays");
    }
}

#[test]
fn without_a_name_another_one_that_has_the_log_leads() {
    let mut net = of(3);
    net.crash(V2);
    net.run(Duration::from_secs(5));
    let outcome = net.decide(V1, Command::Lead { heir: None });
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(net.leader(), Some(V3));
}

#[test]
fn who_can_not_lead_is_refused_and_the_leader_goes_on() {
    let mut net = of(4);
    let unknown = NodeId::new(1, 99);
    assert_eq!(net.decide(V2, lead(V1)), Outcome::Refused(Refusal::LeadsAlready { node: V1 }));
    assert_eq!(net.decide(V2, lead(V4)), Outcome::Refused(Refusal::NotVoting { node: V4 }));
    assert_eq!(net.decide(V2, lead(unknown)), Outcome::Refused(Refusal::NotAMember { node: unknown }));
    net.decide(V1, Command::Restarting { node: V2, grace: Duration::from_secs(30) });
    assert_eq!(net.decide(V1, lead(V2)), Outcome::Refused(Refusal::Restarting { node: V2 }));
    net.crash(V3);
    net.run(Duration::from_secs(5));
    assert_eq!(net.decide(V1, lead(V3)), Outcome::Refused(Refusal::Lags { node: V3 }));
    assert_eq!(net.decide(V1, Command::Lead { heir: None }), Outcome::Refused(Refusal::NoHeir));
    assert_eq!(net.leader(), Some(V1));
}

#[test]
fn one_that_dies_as_it_is_named_is_waited_for_and_then_refused() {
    let mut net = of(3);
    net.crash(V3);
    assert_eq!(net.decide(V2, lead(V3)), Outcome::Refused(Refusal::NotTakenOver { node: V3 }));
    assert_eq!(net.leader(), Some(V1));
    let outcome = net.decide(V1, Command::Restarting { node: V3, grace: Duration::from_secs(9) });
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

#[test]
fn a_leader_that_is_alone_has_no_heir() {
    let mut net = Net::new(1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.decide(V1, Command::Lead { heir: None }), Outcome::Refused(Refusal::NoHeir));
}

#[test]
fn without_a_leader_there_is_nobody_to_hand_over() {
    let mut net = of(3);
    net.crash(V1);
    net.crash(V2);
    net.run(Duration::from_secs(8));
    let id = net.propose(V3, lead(V3));
    net.run(Duration::from_secs(8));
    assert_eq!(net.outcome(id), Some(&Outcome::Refused(Refusal::Degraded)));
}
