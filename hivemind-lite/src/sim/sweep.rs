//! Many runs: one world per thread, as many at once as the machine has cores.
//!
//! A run depends on its options alone, so that it comes out the same whatever runs beside it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::iter::Enumerate;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::scenario::{Outcome, RunOptions, run};

/// The outcomes of all `runs`, in their order.
pub fn sweep(runs: impl Iterator<Item = RunOptions> + Send) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let Ok(()) = sweep_with(
        runs,
        |options| run(options, &mut |_| {}),
        |outcome| {
            outcomes.push(outcome);
            Ok::<(), Infallible>(())
        },
    );
    outcomes
}

/// Calls `play` with each of `runs`, on several threads, and `take` with what comes of it, on this one: in the order of `runs`, each
/// as soon as all before it were taken.
///
/// # Errors
/// The first error of `take`: no further run begins after it, and those that have begun are waited for.
pub fn sweep_with<T: Send, E>(
    runs: impl Iterator<Item = RunOptions> + Send,
    play: impl Fn(RunOptions) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let runs = Mutex::new(runs.enumerate());
    let (done, arrivals) = sync_channel(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (runs, play, done) = (&runs, &play, done.clone());
            scope.spawn(move || {
                while let Some((number, options)) = next(runs) {
                    if done.send((number, play(options))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let (mut expected, mut early) = (0, BTreeMap::new());
        for (number, result) in arrivals {
            early.insert(number, result);
            while let Some(result) = early.remove(&expected) {
                expected += 1;
                take(result)?;
            }
        }
        Ok(())
    })
}

fn next<I: Iterator>(runs: &Mutex<Enumerate<I>>) -> Option<(usize, I::Item)> {
    runs.lock().unwrap_or_else(PoisonError::into_inner).next()
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::profile::Faults;
    use super::super::scenario::Scenario;
    use super::*;

    fn seed(seed: u64) -> RunOptions {
        RunOptions { nodes: RunOptions::MIN_NODES, seed, duration: None, scenario: Scenario::Idle, faults: Faults::None }
    }

    #[test]
    fn results_come_in_the_order_of_the_runs_whoever_is_done_first() {
        let (others, changed) = (Mutex::new(0), Condvar::new());
        // With a thread for each other run, the first one ends last.
        let others_at_once = thread::available_parallelism().map_or(1, usize::from) - 1;
        let play = |options: RunOptions| {
            let mut done = others.lock().expect("no thread panics");
            if options.seed == 0 {
                drop(changed.wait_while(done, |done| *done < others_at_once).expect("no thread panics"));
            } else {
                *done += 1;
                changed.notify_all();
            }
            options.seed
        };
        let mut taken = Vec::new();
        let Ok(()) = sweep_with((0..20).map(seed), play, |seed| {
            taken.push(seed);
            Ok::<(), Infallible>(())
        });
        assert_eq!(taken, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn after_an_error_no_further_run_begins() {
        let begun = AtomicU64::new(0);
        let play = |_| begun.fetch_add(1, Ordering::Relaxed);
        let mut taken = 0;
        let end = sweep_with((0..).map(seed), play, |_| {
            taken += 1;
            if taken == 3 { Err("nobody reads it") } else { Ok(()) }
        });
        assert_eq!((end, taken), (Err("nobody reads it"), 3));
    }
}
