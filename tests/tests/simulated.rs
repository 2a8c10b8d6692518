//! Every scenario in virtual time: several seeds, with and without faults of the network.

use hivemind_lite::sim::profile::Faults;
use hivemind_tests::simulated::{Simulated, SimulatedOptions};
use hivemind_tests::{every_body, scenarios};

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
    };
}

every_body!(simulated);
