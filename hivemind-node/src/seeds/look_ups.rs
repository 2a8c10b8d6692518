//! Looking up the names among the seeds, as long as the node seeks its cluster.

use std::net::SocketAddr;
use std::time::Duration;

use hivemind_core::ids::NodeName;
use hivemind_core::machine::Phase;

use super::{Seed, asked};
use crate::node::NodeHandle;

/// Names are looked up again after this, doubled each time, …
const PAUSE: Duration = Duration::from_secs(2);
/// … and at most after this.
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// One seed, and what was found of it.
struct Known {
    seed: Seed,
    /// Where it was last found.
    addresses: Vec<SocketAddr>,
    /// Its name was not resolved the last time, and that was said.
    is_lost: bool,
}

/// Looks the names among the seeds of a node up, and tells its machine what they stand for.
pub(crate) struct LookUps {
    name: NodeName,
    known: Vec<Known>,
    handle: NodeHandle,
}

impl LookUps {
    /// For the node `name`, whose machine knows the addresses among these already.
    pub(crate) fn new(name: NodeName, seeds: Vec<Seed>, handle: NodeHandle) -> Self {
        let known = seeds.into_iter().map(|seed| Known { addresses: seed.address().into_iter().collect(), seed, is_lost: false });
        LookUps { name, known: known.collect(), handle }
    }

    /// Runs until the node stops.
    pub(crate) async fn run(mut self) {
        let handle = self.handle.clone();
        tokio::select! {
            _ = handle.stopped() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        let mut pause = PAUSE;
        loop {
            if !self.seeks() {
                pause = PAUSE;
                if self.handle.status_where(|status| is_seeking(status.machine.phase)).await.is_none() {
                    return;
                }
            }
            self.look().await;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    fn seeks(&self) -> bool {
        is_seeking(self.handle.status().machine.phase)
    }

    /// One look at all names at once. What is found is told as it comes, so that one name does not hold the others up.
    async fn look(&mut self) {
        let (numbers, names): (Vec<usize>, Vec<Seed>) = self
            .known
            .iter()
            .enumerate()
            .filter(|(_, known)| known.seed.address().is_none())
            .map(|(number, known)| (number, known.seed.clone()))
            .unzip();
        let mut looking = asked(&names);
        while let Some(joined) = looking.join_next().await {
            let (place, found) = joined.expect("a look-up does not panic, and is never cancelled");
            let known = &mut self.known[numbers[place]];
            match found {
                Ok(addresses) => {
                    known.is_lost = false;
                    if known.addresses != addresses {
                        known.addresses = addresses;
                        self.tell().await;
                    }
                }
                // A member needs no seed. Where the name led before may still be right.
                Err(error) if is_seeking(self.handle.status().machine.phase) && !known.is_lost => {
                    known.is_lost = true;
                    tracing::warn!(
                        node = %self.name,
                        "the name of the seed {} is not resolved: {error}; the other seeds are used, and it is looked up again", known.seed
                    );
                }
                Err(_) => {}
            }
        }
    }

    async fn tell(&self) {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in self.known.iter().flat_map(|known| &known.addresses) {
            if !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        self.handle.learn_seeds(addresses).await;
    }
}

/// Whether a node looks for a member to speak with.
fn is_seeking(phase: Phase) -> bool {
    match phase {
        Phase::Joining | Phase::Resuming | Phase::Resyncing => true,
        Phase::Starting | Phase::Member | Phase::Stopped => false,
    }
}
