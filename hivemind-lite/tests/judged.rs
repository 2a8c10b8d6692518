//! The checkers had something to judge: in storms without a planted bug nothing is violated, though what they look for was tried.

#[path = "planted/storm.rs"]
mod storm;

use storm::Storm;

/// The seeds that every build runs.
const SEEDS: u64 = 12;

#[test]
fn storms_are_clean_though_every_checker_had_something_to_judge() {
    let (mut forbidden, mut answered) = (0, 0);
    for seed in 0..SEEDS {
        let mut storm = Storm::new(seed, storm::brief());
        if let Err(violation) = storm.run() {
            panic!("seed {seed}: {violation}\n{}", storm.told(&violation));
        }
        forbidden += storm.world.forbidden();
        answered += storm.world.registers().answered();
    }
    assert!(forbidden > SEEDS, "only {forbidden} frames came from below the floor");
    assert!(answered > SEEDS * 100, "only {answered} requests of clients were answered");
}
