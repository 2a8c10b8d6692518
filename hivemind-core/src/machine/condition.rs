//! Whether the control plane lives, as far as this node can tell, and what that makes of its view.

use super::{Machine, Phase};
use crate::time::Time;
use crate::timers::Timer;
use crate::view::Condition;
use crate::wire::frame::Beat;

/// The leader's signs of life, as they reach this node.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beat: Beat,
    heard: Time,
}

impl Pulse {
    pub(super) fn beat(&self) -> Beat {
        self.beat
    }

    /// The node becomes a member: the count of silence starts here.
    pub(super) fn begin(&mut self, now: Time) {
        self.heard = now;
    }

    /// A sign of life, perhaps an old one. True where it was news.
    pub(super) fn hear(&mut self, beat: Beat, now: Time) -> bool {
        let news = beat > self.beat;
        if news {
            self.beat = beat;
            self.heard = now;
        }
        news
    }

    fn silence(&self, now: Time) -> std::time::Duration {
        now.since(self.heard)
    }
}

impl Machine {
    /// Judges the condition anew.
    pub(super) fn judge(&mut self) {
        let degraded = match &self.control {
            Some(control) => control.is_degraded(self.now.time, &self.settings.control),
            None => self.pulse.silence(self.now.time) > self.settings.control.degraded_after,
        };
        let condition =
            Condition { degraded: degraded && self.phase == Phase::Member, stale: self.phase != Phase::Member, incomplete: !self.complete };
        if condition != self.condition {
            self.condition = condition;
            self.changed.condition = true;
        }
    }

    /// Sets the timer of the next judgement. There is one at a time, however often the node becomes a member.
    pub(super) fn judge_later(&mut self) {
        self.judged_next = self.now.time + self.settings.control.beat;
        self.timers.set(self.judged_next, Timer::Judge);
    }

    /// A sign of life came, in some frame or from the own part of the control plane.
    pub(super) fn hear_beat(&mut self, beat: Beat) {
        if self.pulse.hear(beat, self.now.time) && self.condition.degraded {
            self.judge();
        }
    }
}
