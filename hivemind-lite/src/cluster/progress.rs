//! How far the start has got.

use std::time::Duration;

use hivemind_core::machine::Phase;
use thiserror::Error;
use tokio::time::Instant;

use super::{Cluster, Keeper, is_wanted};
use crate::show::{Health, Kind, Life, NodePicture, Picture, count};

/// How often the start is looked at, also where nothing tells of a change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// After a look at the start, the rest is this many times as long: with hundreds of nodes every look costs, and they change all the time.
const REST: u32 = 20;

/// How far the start has got. Nodes that failed are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The nodes that are no members yet.
    pub joining: Vec<String>,
    /// The nodes that are.
    pub members: usize,
    /// How many of the voters vote.
    pub voting: usize,
    /// How many voters there are.
    pub voters: usize,
    /// Whether a quorum of the voters says that it is one, and knows its leader.
    pub led: bool,
    /// The DNS servers that do not answer for all hosts yet.
    pub incomplete: Vec<String>,
}

/// Why a start can not come to its end.
#[derive(Debug, Error)]
pub enum StartError {
    /// Without a quorum of voters there is no cluster.
    #[error("{failed} of {} did not start, so there can be no quorum; see the messages above", count(*voters, "voter"))]
    NoQuorum {
        /// How many failed.
        failed: usize,
        /// Of how many.
        voters: usize,
    },
}

impl Progress {
    /// Whether all that was asked for is there.
    pub fn is_done(&self) -> bool {
        self.joining.is_empty() && self.voting == self.voters && self.led && self.incomplete.is_empty()
    }

    /// The progress in one line.
    pub fn line(&self) -> String {
        let total = self.members + self.joining.len();
        let mut line = format!(
            "starting: {} of {} are members, {} of {} vote",
            self.members,
            count(total, "node"),
            self.voting,
            count(self.voters, "voter")
        );
        if self.joining.is_empty() && !self.incomplete.is_empty() {
            line.push_str(&format!(", waiting for {} to know all hosts", self.incomplete.join(", ")));
        }
        line
    }

    /// What is still waited for.
    pub fn missing(&self) -> String {
        if !self.joining.is_empty() {
            format!("{} to become members", self.joining.join(", "))
        } else if self.voting < self.voters {
            format!("{} more of {} to vote", self.voters - self.voting, count(self.voters, "voter"))
        } else if !self.led {
            "a quorum of the voters to agree on a leader".to_owned()
        } else {
            format!("{} to know all hosts", self.incomplete.join(", "))
        }
    }
}

impl Cluster {
    /// Waits until all nodes are members, the voters vote, and DNS answers for all hosts; tells of every
    /// step. A node that failed is not waited for, as long as there can be a quorum.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn ready(&self, mut tell: impl FnMut(&Progress)) -> Result<Progress, StartError> {
        let mut moved = self.shared.moved.subscribe();
        loop {
            moved.borrow_and_update();
            let began = Instant::now();
            let progress = self.progress()?;
            tell(&progress);
            if progress.is_done() {
                return Ok(progress);
            }
            tokio::time::sleep(began.elapsed() * REST).await;
            // The sender is in `self`: it can not be gone. Who leads may change without a view that does.
            let _ = tokio::time::timeout(LOOK_AGAIN, moved.changed()).await;
        }
    }

    /// How far the start has got.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn progress(&self) -> Result<Progress, StartError> {
        let keepers = self.keepers();
        let picture = self.picture();
        let runs = |node: &&NodePicture| is_wanted(&node.life) && !matches!(node.life, Life::Failed(_));
        let nodes: Vec<&NodePicture> = picture.nodes.iter().filter(runs).collect();
        let voters = nodes.iter().filter(|node| node.kind == Kind::Voter).count();
        if voters < self.voters / 2 + 1 {
            return Err(StartError::NoQuorum { failed: self.voters - voters, voters: self.voters });
        }
        let (members, joining): (Vec<&NodePicture>, Vec<&NodePicture>) =
            nodes.iter().partition(|node| node.status.as_ref().is_some_and(|status| status.phase == Phase::Member));
        let votes = |node: &&&NodePicture| {
            let facts = picture.best_view().map(|view| &view.facts);
            facts.is_some_and(|facts| facts.named(&node.name).is_some_and(|member| facts.is_voter(member.node)))
        };
        let servers =
            keepers.iter().filter(|keeper| keeper.plan.kind == Kind::Dns && nodes.iter().any(|node| node.name == keeper.plan.name));
        Ok(Progress {
            joining: joining.iter().map(|node| node.name.to_string()).collect(),
            members: members.len(),
            voting: nodes.iter().filter(|node| node.kind == Kind::Voter).filter(votes).count(),
            voters,
            led: Health::of(&picture) == Health::Ok,
            incomplete: servers.filter(|keeper| !answers_for_all(keeper, &picture)).map(|keeper| keeper.plan.name.to_string()).collect(),
        })
    }
}

/// Whether a DNS server knows what every running host published last, and has a zone of it in force.
fn answers_for_all(keeper: &Keeper, picture: &Picture) -> bool {
    let Some(view) = picture.node(&keeper.plan.name).and_then(|node| node.view.as_ref()) else { return false };
    let hosts: Vec<&NodePicture> = picture.nodes.iter().filter(|node| node.kind == Kind::Host && node.life == Life::Running).collect();
    let known = hosts.iter().all(|host| {
        let held = view.config_of(&host.name);
        host.published.zip(held).is_some_and(|((seq, _), held)| held.config.seq >= seq)
    });
    let served = keeper.served();
    known && served.complete && served.hosts >= hosts.len()
}
