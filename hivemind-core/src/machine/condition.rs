//! Whether the control plane lives, as far as this node can tell, and what that makes of its view.

use std::time::Duration;

use super::{Machine, Phase};
use crate::ids::NodeId;
use crate::time::Time;
use crate::timers::Timer;
use crate::view::Condition;
use crate::wire::frame::Beat;

/// A count that rises so often, beat by beat, is the leader's and not an echo of what had been counted before.
const RISES: u32 = 4;

/// The leader's signs of life, as they reach this node.
///
/// Anyone can put a number into a header, and the largest one spreads: so one that is not followed by a larger one is *buried*
/// after a while. It is not repeated any more, and numbers below it count again once they rise. What a voter says counts by
/// itself, and voters hear only each other: theirs can not be drowned. A lie thus hides or feigns life for as long as it is
/// told, and is over soon after; it needs no restart.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beat: Beat,
    heard: Time,
    /// The largest that a voter said itself.
    voted: Beat,
    /// What was not followed by anything.
    buried: Option<Beat>,
    /// How often the count rose since, at the leader's pace, and when that was counted last.
    rises: u32,
    counted: Time,
    /// When it rose last, however fast.
    rose: Time,
    /// Which chain of judgements counts.
    round: u64,
    /// Since the silence began: when this node asked last whether it still is a member.
    asked: Option<Time>,
    /// When this node said last that it is back, and where; `None` once all know.
    returned: Option<Time>,
    /// Whether it has announced a restart since it was started.
    pub(super) announced: bool,
}

/// Who says that the leader lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teller {
    /// A voter, by its own key; or this node's own part of the control plane.
    Voter,
    /// Somebody who heard it.
    Other,
}

impl Pulse {
    pub(super) fn beat(&self) -> Beat {
        self.beat
    }

    /// When the last news came.
    pub(super) fn heard(&self) -> Time {
        self.heard
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
    pub(super) fn hear(&mut self, beat: Beat, teller: Teller, pace: Duration, now: Time) -> bool {
        let by_voter = teller == Teller::Voter && beat > self.voted;
        if by_voter {
            self.voted = beat;
        }
        let below = self.buried.is_some_and(|buried| beat <= buried);
        if self.buried == Some(beat) && !by_voter {
            return false;
        }
        if beat > self.beat {
            self.beat = beat;
            self.rose = now;
            if below && now.since(self.counted) >= pace / 2 {
                self.rises += 1;
                self.counted = now;
            }
        } else if !by_voter {
            return false;
        }
        let news = by_voter || !below || self.rises >= RISES;
        if news {
            self.heard = now;
        }
        news
    }

    /// What has not risen for so long is no life any more, and must not stand in the way of what comes.
    fn bury(&mut self, after: Duration, now: Time) {
        if self.beat > Beat::default() && now.since(self.rose) > after {
            self.buried = self.buried.max(Some(self.beat));
            self.beat = Beat::default();
            self.rises = 0;
        }
    }

    fn silence(&self, now: Time) -> Duration {
        now.since(self.heard)
    }
}

impl Machine {
    /// Times the next judgement of a chain, unless another chain has begun.
    pub(super) fn judge_on(&mut self, round: u64) {
        if round == self.pulse.round {
            self.ask_when_lost();
            self.return_again();
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

    /// Says that this node is back, and where.
    pub(super) fn return_now(&mut self) {
        self.pulse.returned = Some(self.now.time);
        self.announce_return();
    }

    /// What it said may never have reached a leader. And what it announced before it was started may be committed only now, as by a
    /// cluster that was stopped as a whole.
    fn return_again(&mut self) {
        if self.phase != Phase::Member {
            return;
        }
        let (is_restarting, has_moved, is_another) = self.unsaid();
        let is_said = !is_restarting && !has_moved && !is_another;
        match self.pulse.returned {
            Some(_) if is_said => self.pulse.returned = None,
            Some(said) if self.pending.is_for_itself() && self.now.time.since(said) < self.settings.control.proposal_timeout => {}
            Some(_) => self.return_now(),
            None if is_restarting => self.return_now(),
            None => {}
        }
    }

    /// Judges the condition anew.
    pub(super) fn judge(&mut self) {
        let degraded = match self.control.as_ref().filter(|control| control.has_part()) {
            Some(control) => control.is_degraded(self.now.time, &self.settings.control),
            None => {
                let patience = self.settings.control.degraded_after;
                self.pulse.bury(patience, self.now.time);
                self.pulse.silence(self.now.time) > patience
            }
        };
        let condition =
            Condition { degraded: degraded && self.phase == Phase::Member, stale: self.phase != Phase::Member, incomplete: !self.complete };
        if condition != self.condition {
            self.condition = condition;
            self.changed.condition = true;
        }
    }

    /// A sign of life came, in a frame of `from` or from the own part of the control plane.
    pub(super) fn hear_beat(&mut self, beat: Beat, from: Option<NodeId>) {
        let votes = |node| self.log.as_ref().is_some_and(|log| log.facts().is_voter(node));
        let teller = if from.is_none_or(votes) { Teller::Voter } else { Teller::Other };
        let has_part = self.control.as_ref().is_some_and(|control| control.has_part());
        if teller == Teller::Other && has_part {
            return;
        }
        let pace = self.settings.control.beat;
        if self.pulse.hear(beat, teller, pace, self.now.time) && self.condition.degraded {
            self.judge();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_millis(500);

    fn at(beats: u32) -> Time {
        Time::ZERO + PACE * beats
    }

    fn beat(term: u64, count: u64) -> Beat {
        Beat { term, count }
    }

    #[test]
    fn only_a_larger_beat_is_news() {
        let mut pulse = Pulse::default();
        assert!(pulse.hear(beat(1, 5), Teller::Other, PACE, at(1)));
        assert!(!pulse.hear(beat(1, 5), Teller::Other, PACE, at(2)) && !pulse.hear(beat(1, 4), Teller::Other, PACE, at(2)));
        assert!(pulse.hear(beat(2, 0), Teller::Other, PACE, at(3)));
        assert_eq!(pulse.silence(at(5)), PACE * 2);
    }

    #[test]
    fn a_forged_beat_stands_in_nobodys_way_once_it_is_buried() {
        let mut pulse = Pulse::default();
        pulse.hear(beat(3, 10), Teller::Other, PACE, at(1));
        assert!(pulse.hear(beat(u64::MAX, u64::MAX), Teller::Other, PACE, at(2)), "nobody can tell that it is a lie");
        assert!(!pulse.hear(beat(3, 11), Teller::Other, PACE, at(3)));
        pulse.bury(PACE * 16, at(18));
        assert_eq!(pulse.beat(), beat(u64::MAX, u64::MAX), "it has not stood for so long");
        pulse.bury(PACE * 16, at(19));
        assert_eq!(pulse.beat(), Beat::default(), "it is not repeated");
        assert!(!pulse.hear(beat(u64::MAX, u64::MAX), Teller::Other, PACE, at(19)), "nor taken from those who repeat it still");
        let news: Vec<bool> = (0..6).map(|step| pulse.hear(beat(3, 27 + step), Teller::Other, PACE, at(20 + step as u32))).collect();
        assert_eq!(news, [false, false, false, true, true, true], "what rises lives");
    }

    #[test]
    fn an_echo_of_what_was_counted_before_the_silence_is_no_life() {
        let mut pulse = Pulse::default();
        pulse.hear(beat(3, 100), Teller::Other, PACE, at(1));
        pulse.bury(PACE * 16, at(18));
        for echo in [90, 97, 98, 99, 100] {
            assert!(!pulse.hear(beat(3, echo), Teller::Other, PACE, at(20)), "{echo}");
        }
        assert!(pulse.hear(beat(3, 101), Teller::Other, PACE, at(21)), "but the next one is");
    }

    #[test]
    fn what_a_voter_says_counts_beside_any_lie() {
        let mut pulse = Pulse::default();
        pulse.hear(beat(9, 9), Teller::Other, PACE, at(1));
        assert!(pulse.hear(beat(3, 10), Teller::Voter, PACE, at(2)));
        assert!(!pulse.hear(beat(3, 10), Teller::Voter, PACE, at(3)), "once");
        assert_eq!(pulse.silence(at(3)), PACE);
    }
}
