//! Every scenario over real sockets, and those that only a real disk has.

use hivemind_core::machine::HaltReason;
use hivemind_tests::real::{Real, brisk};
use hivemind_tests::{NodeSpec, Part, Stage, bounds, name, scenarios};

macro_rules! real {
    ($($body:ident),* $(,)?) => {
        $(
            #[test]
            fn $body() {
                scenarios::$body::<Real>(brisk());
            }
        )*

        #[test]
        fn every_body_is_played() {
            let played = [$(stringify!($body)),*];
            assert_eq!(scenarios::all::<Real>().iter().map(|(name, _)| *name).collect::<Vec<_>>(), played);
        }
    };
}

real![
    a_change_reaches_every_consumer,
    a_host_that_is_back_before_its_leave_keeps_its_id,
    a_killed_host_leaves_and_comes_back_under_a_new_id,
    a_killed_leader_is_replaced_and_votes_again_when_it_is_back,
    a_later_consumer_gets_everything_from_its_fellows,
    a_name_in_use_by_another_key_is_refused_and_nothing_else_happens,
    a_node_joins_through_a_member_that_does_not_vote,
    a_node_that_is_evicted_stays_out,
    a_node_that_leaves_is_gone_for_all,
    a_node_that_others_let_leave_stays_away,
    a_node_that_restarts_with_its_data_goes_on_as_the_same_member,
    a_stale_config_never_overwrites_a_newer_one,
    the_first_consumer_gets_everything_from_the_hosts,
    who_is_below_the_floor_resyncs_and_keeps_its_id,
    who_was_cut_off_below_the_floor_resyncs_and_keeps_its_id,
    without_a_quorum_all_say_so_and_everything_but_membership_goes_on,
];

#[test]
fn of_two_nodes_with_one_id_one_stops_and_names_it() {
    let node = |text: &str, part| NodeSpec { name: name(text), part, sections: Vec::new() };
    let cast = vec![node("voter1", Part::Voter), node("web1", Part::Host), node("dns1", Part::Consumer)];
    let mut stage = Real::open(brisk(), cast);
    let bound = bounds::join(stage.settings());
    stage.wait_until("all are members", bound, |views| views.len() == 3 && views.values().all(|view| view.facts.members().len() == 3));
    let id = stage.id("web1");
    assert_eq!(stage.clone_disk("web1"), HaltReason::Duplicate { node: id });
}
