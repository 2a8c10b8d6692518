//! Every scenario in virtual time: several seeds, with and without faults of the network.

use hivemind_lite::sim::profile::Faults;
use hivemind_tests::scenarios;
use hivemind_tests::simulated::{Simulated, SimulatedOptions};

/// How many runs each scenario has per profile. A failure names its seed:
/// `cargo run -p hivemind-tests --bin scenario -- NAME SEED FAULTS` repeats it.
const SEEDS: u64 = 25;

macro_rules! simulated {
    ($($body:ident),* $(,)?) => {
        $(
            #[test]
            fn $body() {
                for faults in [Faults::None, Faults::Lan] {
                    for seed in 1..=SEEDS {
                        scenarios::$body::<Simulated>(SimulatedOptions::new(seed, faults));
                    }
                }
            }
        )*

        #[test]
        fn every_body_is_played() {
            let played = [$(stringify!($body)),*];
            assert_eq!(scenarios::all::<Simulated>().iter().map(|(name, _)| *name).collect::<Vec<_>>(), played);
        }
    };
}

simulated![
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
