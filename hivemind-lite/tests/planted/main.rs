//! Each checker finds a bug of its own kind: protocol code with one bug on purpose runs through storms until one is found.

mod storm;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hivemind_core::planted::Planted;
use hivemind_core::settings::Settings;
use hivemind_lite::sim::checkers::Invariant;

use storm::Storm;

/// A bug must be found within so many seeds.
const SEEDS: u64 = 200;

/// Hunts until the checker of `invariant` finds the bug. What a bug leads to may come first in some storms: what the checkers of
/// `consequences` find is passed over, and nothing else may be found.
fn is_found_by(bug: Planted, invariant: Invariant, consequences: &[Invariant]) {
    for seed in 0..SEEDS {
        let mut storm = Storm::new(seed, Settings { planted: Some(bug), ..storm::brief() });
        match catch_unwind(AssertUnwindSafe(|| storm.run())) {
            Ok(Ok(())) => {}
            Ok(Err(violation)) if violation.invariant == invariant => return,
            Ok(Err(violation)) => {
                let is_expected = consequences.contains(&violation.invariant);
                assert!(is_expected, "{bug:?} at seed {seed}: {violation}\n{}", storm.told(&violation));
            }
            Err(_) => panic!("{bug:?} at seed {seed}: a panic"),
        }
    }
    panic!("{bug:?} was not found within {SEEDS} seeds");
}

#[test]
fn a_view_that_skips_an_event_is_found() {
    is_found_by(Planted::ViewSkipsEvent, Invariant::S1, &[]);
}

#[test]
fn an_apply_that_reads_a_clock_is_found() {
    is_found_by(Planted::ApplyReadsClock, Invariant::S2, &[]);
}

#[test]
fn an_event_that_is_skipped_is_found() {
    is_found_by(Planted::EventSkipped, Invariant::S3, &[]);
}

#[test]
fn an_older_config_that_is_taken_is_found() {
    // Two consumers that each take the other's version may never agree.
    is_found_by(Planted::OlderConfigTaken, Invariant::S4, &[Invariant::L1]);
}

#[test]
fn a_host_that_swim_alone_drops_is_found() {
    is_found_by(Planted::SwimDecides, Invariant::S5, &[]);
}

#[test]
fn a_frame_from_below_the_floor_that_is_taken_is_found() {
    is_found_by(Planted::FenceOpen, Invariant::S6, &[]);
}

#[test]
fn a_stale_linearizable_read_is_found() {
    is_found_by(Planted::StaleRead, Invariant::S7, &[]);
}

#[test]
fn an_acknowledgement_before_the_disks_is_found() {
    is_found_by(Planted::AcknowledgedEarly, Invariant::S8, &[]);
}

#[test]
fn a_pull_that_is_never_retried_is_found() {
    // Who stays behind does not know those who probe it, does not answer them, and may be given up before the calm.
    is_found_by(Planted::PullNeverRetried, Invariant::L1, &[Invariant::L2]);
}

#[test]
fn configs_that_are_never_repaired_is_found() {
    is_found_by(Planted::ConfigsNeverRepaired, Invariant::L1, &[]);
}

#[test]
fn a_leave_on_the_word_of_one_is_found() {
    is_found_by(Planted::OneObserverSuffices, Invariant::L2, &[]);
}

#[test]
fn a_crashed_member_that_never_leaves_is_found() {
    is_found_by(Planted::NobodyLeaves, Invariant::L2, &[]);
}
