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

/// One test per bug, so that they run side by side: the bug, the invariant whose checker finds it, and which its consequences may
/// break before.
macro_rules! bugs {
    ($($claim:ident: $bug:ident => $invariant:ident $(, after $consequence:ident)?;)+) => {
        $(
            #[test]
            fn $claim() {
                is_found_by(Planted::$bug, Invariant::$invariant, &[$(Invariant::$consequence)?]);
            }
        )+
    };
}

bugs! {
    a_view_that_skips_an_event_is_found: ViewSkipsEvent => S1;
    // Who applied another event acknowledges a position that nobody else has.
    an_apply_that_reads_a_clock_is_found: ApplyReadsClock => S2, after S8;
    an_event_that_is_skipped_is_found: EventSkipped => S3;
    // Two consumers that each take the other's version may never agree.
    an_older_config_that_is_taken_is_found: OlderConfigTaken => S4, after L1;
    a_host_that_swim_alone_drops_is_found: SwimDecides => S5;
    a_frame_from_below_the_floor_that_is_taken_is_found: FenceOpen => S6;
    a_stale_linearizable_read_is_found: StaleRead => S7;
    an_acknowledgement_before_the_disks_is_found: AcknowledgedEarly => S8;
    configs_that_are_never_repaired_is_found: ConfigsNeverRepaired => L1;
    a_leave_on_the_word_of_one_is_found: OneObserverSuffices => L2;
    a_crashed_member_that_never_leaves_is_found: NobodyLeaves => L2;
}
