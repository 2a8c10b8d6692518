//! Each checker finds a bug of its own kind: protocol code with one bug on purpose runs through storms until one is found.

mod storm;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hivemind_core::planted::Planted;
use hivemind_core::settings::Settings;
use hivemind_lite::sim::checkers::Invariant;

use storm::Storm;

/// A bug must be found within so many seeds.
const SEEDS: u64 = 200;

/// The seed that found a bug first, and what the checker said. `None`: a panic, which a bug may end in as well.
fn hunt(bug: Planted) -> (u64, Option<Invariant>, String) {
    for seed in 0..SEEDS {
        let mut storm = Storm::new(seed, Settings { planted: Some(bug), ..storm::brief() });
        match catch_unwind(AssertUnwindSafe(|| storm.run())) {
            Ok(Ok(())) => {}
            Ok(Err(violation)) => return (seed, Some(violation.invariant), violation.to_string()),
            Err(_) => return (seed, None, "a panic".to_owned()),
        }
    }
    panic!("{bug:?} was not found within {SEEDS} seeds");
}

fn is_found_by(bug: Planted, expected: Invariant) {
    let (seed, invariant, what) = hunt(bug);
    println!("{bug:?}: seed {seed}: {what}");
    assert_eq!(invariant, Some(expected), "{bug:?} at seed {seed}: {what}");
}

#[test]
fn a_view_that_skips_an_event_is_found() {
    is_found_by(Planted::ViewSkipsEvent, Invariant::S1);
}

#[test]
fn an_apply_that_reads_a_clock_is_found() {
    is_found_by(Planted::ApplyReadsClock, Invariant::S2);
}

#[test]
fn an_event_that_is_skipped_is_found() {
    is_found_by(Planted::EventSkipped, Invariant::S3);
}

#[test]
fn an_older_config_that_is_taken_is_found() {
    is_found_by(Planted::OlderConfigTaken, Invariant::S4);
}

#[test]
fn a_host_that_swim_alone_drops_is_found() {
    is_found_by(Planted::SwimDecides, Invariant::S5);
}

#[test]
fn a_frame_from_below_the_floor_that_is_taken_is_found() {
    is_found_by(Planted::FenceOpen, Invariant::S6);
}

#[test]
fn a_stale_linearizable_read_is_found() {
    is_found_by(Planted::StaleRead, Invariant::S7);
}

#[test]
fn an_acknowledgement_before_the_disks_is_found() {
    is_found_by(Planted::AcknowledgedEarly, Invariant::S8);
}

#[test]
fn a_pull_that_is_never_retried_is_found() {
    is_found_by(Planted::PullNeverRetried, Invariant::L1);
}

#[test]
fn configs_that_are_never_repaired_is_found() {
    is_found_by(Planted::ConfigsNeverRepaired, Invariant::L1);
}

#[test]
fn a_leave_on_the_word_of_one_is_found() {
    is_found_by(Planted::OneObserverSuffices, Invariant::L2);
}

#[test]
fn a_crashed_member_that_never_leaves_is_found() {
    is_found_by(Planted::NobodyLeaves, Invariant::L2);
}
