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
    /// Which chain of judgements counts.
    round: u64,
    /// Since the silence began: when this node asked last whether it still is a member.
    asked: Option<Time>,
}

impl Pulse {
    pub(super) fn beat(&self) -> Beat {
        self.beat
    }

    /// The node becomes a member: the count of silence starts here.
    pub(super) fn begin(&mut self, now: Time) {
        self.heard = now;
        self.round += 1;
    }

    pub(super) fn round(&self) -> u64 {
        self.round
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
    /// Times the next judgement of a chain, unless another chain has begun.
    pub(super) fn judge_on(&mut self, round: u64) {
        if round == self.pulse.round {
            self.ask_when_lost();
            self.timers.set(self.now.time + self.settings.control.beat, Timer::Judge { round });
        }
    }

    /// One that hears no sign of life any more may be the only one: those who know that its membership ended, or that a copy of
    /// its disk took its place, may have nothing else to say to it. So it asks, as one that restarted does.
    fn ask_when_lost(&mut self) {
        if !self.is_lost() {
            self.pulse.asked = None;
            return;
        }
        let pause = self.settings.control.degraded_after;
        if self.pulse.asked.is_none_or(|asked| self.now.time.since(asked) >= pause) {
            self.pulse.asked = Some(self.now.time);
            self.ask_to_resume();
        }
    }

    /// Judges the condition anew.
    pub(super) fn judge(&mut self) {
        let degraded = match self.control.as_ref().filter(|control| control.has_part()) {
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

    /// A sign of life came, in some frame or from the own part of the control plane.
    pub(super) fn hear_beat(&mut self, beat: Beat) {
        if self.pulse.hear(beat, self.now.time) && self.condition.degraded {
            self.judge();
        }
    }
}
