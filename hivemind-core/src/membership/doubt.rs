//! A doubt about one node: this node's own probing of it, outside foca.
//!
//! foca's *down* is one node's opinion that gossip multiplied. Only what fails here, first-hand, counts.

use std::time::Duration;

use crate::settings::MembershipSettings;
use crate::time::Time;

/// After so many announcements to a node that answers, foca's knowledge of it is given up.
const ANNOUNCEMENTS: u32 = 8;

/// How a doubt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is being pinged.
    Asking,
    /// It answers, while foca holds it for down still.
    Answering,
    /// It did not answer: evidence.
    Failed,
}

/// What is to be done now. A ping goes out with each, so that an answer is never far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Only the ping.
    Ping,
    /// It has failed now.
    Fail,
    /// It fails on; evidence is repeated for the n-th time.
    Repeat(u32),
    /// foca should ask it to show itself.
    Announce,
    /// foca's knowledge of it is wrong in a way that its own word can not mend: start anew.
    Readmit,
}

/// A doubt about one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    stage: Stage,
    /// Pings since the node was last heard.
    unanswered: u32,
    /// Repetitions of evidence, or announcements, in this stage.
    count: u32,
    /// Which of the timers of this doubt counts.
    round: u64,
    due: Time,
}

impl Doubt {
    /// A doubt whose first ping goes out at `due`.
    pub(super) fn new(round: u64, due: Time) -> Self {
        Doubt { stage: Stage::Asking, unanswered: 0, count: 0, round, due }
    }

    /// How it stands.
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Which of its timers counts; also the token of its pings.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The node was heard, while foca holds it for down still.
    pub(super) fn heard(&mut self) {
        self.unanswered = 0;
        if self.stage != Stage::Answering {
            self.stage = Stage::Answering;
            self.count = 0;
        }
    }

    /// Goes on under another timer.
    pub(super) fn restart(&mut self, round: u64, due: Time) {
        self.round = round;
        self.due = due;
    }

    /// The timer is due: what is to be done, and when is the next time?
    pub(super) fn step(&mut self, now: Time, settings: &MembershipSettings) -> (Step, Duration) {
        // Who wakes up late has not read yet what came meanwhile: that is no silence of others.
        let overslept = now.since(self.due) >= settings.confirm_interval;
        if overslept && self.stage != Stage::Failed {
            self.unanswered = 0;
        }
        let step = match self.stage {
            Stage::Asking | Stage::Answering if self.unanswered >= settings.confirm_pings => {
                self.stage = Stage::Failed;
                self.count = 0;
                Step::Fail
            }
            Stage::Asking => Step::Ping,
            Stage::Answering => {
                self.count += 1;
                if self.count > ANNOUNCEMENTS { Step::Readmit } else { Step::Announce }
            }
            Stage::Failed if overslept => Step::Ping,
            Stage::Failed => {
                self.count += 1;
                Step::Repeat(self.count)
            }
        };
        self.unanswered = self.unanswered.saturating_add(1);
        let wait = match self.stage {
            Stage::Asking | Stage::Answering => settings.confirm_interval,
            Stage::Failed => settings.evidence_interval,
        };
        self.due = now + wait;
        (step, wait)
    }
}
