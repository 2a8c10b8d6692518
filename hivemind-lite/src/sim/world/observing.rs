//! What the world sees of its nodes: the checkers judge it, watches measure it, the trace keeps it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::context::Report;
use hivemind_core::facts::Facts;
use hivemind_core::ids::Position;
use hivemind_core::machine::{Effect, Phase};
use hivemind_core::role::AnyDesired;
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::event::{Event, LeaveReason, LogEvent, VoterPart};
use hivemind_dns_processor::zone::Zone;

use super::super::checkers::{At, Invariant, Violation};
use super::super::incidents::Incident;
use super::super::network::Slot;
use super::super::node::Part;
use super::super::roles::Wish;
use super::super::samples::Series;
use super::super::trace::Did;
use super::super::watch::Goal;
use super::World;

/// For so long after its start a node is a newcomer.
const NEW: Duration = Duration::from_secs(10);

/// Where something was seen. A method would borrow the whole world, checkers included.
macro_rules! at {
    ($world:expr, $slot:expr) => {
        At { slot: $slot, name: &$world.nodes[$slot.at()].name, time: $world.now }
    };
}

impl World {
    /// Takes what a voter committed into the history, before anything is judged by it.
    pub(super) fn commit(&mut self, slot: Slot, effects: &[Effect]) -> Result<(), Violation> {
        if self.nodes[slot.at()].part != Part::Voter {
            return Ok(());
        }
        if !self.checkers.history.has_begun() {
            let first = effects.iter().find_map(|effect| match effect {
                Effect::View { view, .. } => Some(view),
                Effect::Store { .. }
                | Effect::Send { .. }
                | Effect::Reply { .. }
                | Effect::Applied { .. }
                | Effect::Desired { .. }
                | Effect::Report(_)
                | Effect::Halt(_) => None,
            });
            let Some(first) = first else { return Ok(()) };
            self.checkers.history.begin(first.facts.clone(), at!(self, slot));
        }
        for effect in effects {
            if let Effect::Applied { position, logged, event } = effect
                && self.checkers.history.commit(at!(self, slot), *position, logged)?
            {
                self.committed_first(slot, *position, event)?;
            }
        }
        Ok(())
    }

    /// An event was applied by a voter, the first to do so.
    fn committed_first(&mut self, slot: Slot, position: Position, event: &Event) -> Result<(), Violation> {
        if let Event::Left { node, reason: LeaveReason::Failed { observers }, .. } = event {
            let found = self.liveness(slot, *node, observers);
            let evicted = self.nodes.iter().find(|place| place.id() == Some(*node)).map(|place| place.name.clone());
            let judged = self.checkers.eviction.committed(at!(self, slot), event, found);
            judged.map_err(|violation| Violation { with: evicted, ..violation })?;
        }
        self.count_event(event);
        self.register_event(position, event);
        self.measure_event(position, event);
        self.checkers.tidy();
        Ok(())
    }

    fn count_event(&mut self, event: &Event) {
        let voting = self.checkers.history.last().map_or(0, |last| voting(&last.facts));
        match event {
            Event::Joined { .. } => self.incidents.count(Incident::Join),
            Event::Left { .. } => self.incidents.count(Incident::Leave),
            Event::Split { .. } => self.incidents.count(Incident::Split),
            Event::Merged { .. } => self.incidents.count(Incident::Merge),
            Event::EpochAdvanced { .. } => self.incidents.count(Incident::EpochAdvance),
            Event::Voter { part: VoterPart::Voter, .. } => {
                self.incidents.add(Incident::VoterReplacement, u64::from(self.complete_group));
                self.complete_group |= voting >= self.common.settings.control.voters;
            }
            Event::Voter { part: VoterPart::Learner | VoterPart::None, .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::Access(_)
            | Event::Authority(_)
            | Event::FeatureOn { .. }
            | Event::Features { .. } => {}
        }
    }

    fn measure_event(&mut self, position: Position, event: &Event) {
        let before = hivemind_core::ids::Index(position.index.0.saturating_sub(1));
        // One that joins again keeps its key.
        let key = if let Event::Joined { member, .. } = event {
            Some(member.key)
        } else {
            let former = self.checkers.history.at(before).zip(event.ended()).and_then(|(before, node)| before.facts.member(node));
            former.map(|member| member.key)
        };
        let subject = key.and_then(|key| self.keys.get(&key).copied());
        let crashed = match (event, subject) {
            (Event::Left { .. }, Some(subject)) => self.nodes[subject.at()].crashed.take(),
            (_, Some(_) | None) => None,
        };
        if !self.measuring {
            return;
        }
        if let Some(crashed) = crashed {
            self.watches.samples.add(Series::LeaveCommitted, self.now.since(crashed));
        }
        let live = self.nodes.iter().filter(|node| Some(node.slot) != subject && !self.network.is_isolated(node.slot));
        let behind = live.filter(|node| node.view().is_some_and(|view| view.facts.position().index < position.index));
        let remaining: BTreeSet<Slot> = behind.map(|node| node.slot).collect();
        self.watches.start(Goal::Event(position.index), Series::EventKnown, self.now, self.now, remaining.clone());
        let joining = subject.and_then(|subject| self.nodes[subject.at()].process.as_ref()?.joining);
        if let (Event::Joined { .. }, Some(since)) = (event, joining) {
            self.watches.start(Goal::Event(position.index), Series::InViews, since, self.now, remaining);
        }
    }

    pub(super) fn applied(&mut self, slot: Slot, position: Position, (event, logged): (&Event, &LogEvent)) -> Result<(), Violation> {
        self.trace.word(u64::from(slot.0) << 8 | 50);
        self.trace.word(position.chain.prefix());
        self.note(slot, Did::Applied(logged.index));
        self.count_source(slot, event);
        self.checkers.order.applied(at!(self, slot), logged.index)?;
        self.checkers.durable.applied(at!(self, slot), position)?;
        self.checkers.agreement.applied(at!(self, slot), &self.checkers.history, position, logged)
    }

    /// Whom a newcomer had an event from. That its membership ended, who decided it tells it.
    fn count_source(&mut self, slot: Slot, event: &Event) {
        if event.ended().is_some_and(|ended| self.nodes[slot.at()].id() == Some(ended)) {
            return;
        }
        let began = self.nodes[slot.at()].process.as_ref().map(|process| process.began);
        let is_new = began.is_some_and(|began| self.now.since(began) < NEW);
        if let Some(from) = self.speaker.filter(|_| self.measuring && is_new) {
            match self.nodes[from.at()].part {
                Part::Voter => self.sources.voters += 1,
                Part::Host | Part::Consumer => self.sources.others += 1,
            }
        }
    }

    pub(super) fn viewed(&mut self, slot: Slot, view: Arc<View>, changed: &Changed) -> Result<(), Violation> {
        let position = view.facts.position();
        self.trace.word(u64::from(slot.0) << 8 | 51);
        self.trace.word(position.index.0 ^ position.chain.prefix());
        self.trace.word((view.configs.len() as u64) << 32 | view.unreachable.len() as u64);
        self.note(slot, Did::View(position.index));
        let at = at!(self, slot);
        let checkers = &mut self.checkers;
        checkers.order.viewed(at, position.index, changed.everything)?;
        checkers.agreement.viewed(at, &checkers.history, position)?;
        checkers.views.viewed(at, &checkers.history, &view, changed)?;
        if self.nodes[slot.at()].part == Part::Consumer {
            let keys = self.nodes[slot.at()].keys.clone();
            checkers.configs.viewed(at, &view, changed, keys.as_ref())?;
        }
        self.watches.viewed(slot, position.index, self.now);
        self.grew_up(slot, &view);
        let process = self.nodes[slot.at()].process.as_mut().expect("a halted node has no view");
        process.view = Some(view);
        Ok(())
    }

    /// Measures how far a process is that has started.
    fn grew_up(&mut self, slot: Slot, view: &View) {
        let committed = self.checkers.committed();
        let (now, measuring) = (self.now, self.measuring);
        let process = self.nodes[slot.at()].process.as_mut().expect("a halted node has no view");
        if process.joining.is_none() && process.catching_up.is_none() {
            return;
        }
        // A view from before the restart may have it as a member, too.
        let is_member = process.machine.status().phase == Phase::Member;
        if is_member && let Some(since) = process.joining.take() {
            if let Some(before) = process.before {
                let kept = process.machine.status().node == before;
                self.incidents.count(if kept { Incident::Resume } else { Incident::Rejoin });
            }
            if measuring {
                self.watches.samples.add(Series::Member, now.since(since));
            }
        }
        let is_there = view.facts.position().index >= committed && !view.condition.stale && !view.condition.incomplete;
        if is_member
            && is_there
            && let Some(since) = process.catching_up.take()
            && measuring
        {
            self.watches.samples.add(Series::CaughtUp, now.since(since));
        }
    }

    pub(super) fn desired(&mut self, slot: Slot, desired: &AnyDesired) -> Result<(), Violation> {
        self.trace.word(u64::from(slot.0) << 8 | 52);
        self.note(slot, Did::Desired);
        if !self.is_consumer(slot) {
            return Ok(());
        }
        let names = match Wish::read(desired).expect("a consumer has these roles and no other") {
            Wish::Names(names) => names,
            Wish::Zone(zone) => return self.served(slot, zone),
        };
        self.trace.word(names.len() as u64);
        let Some(view) = self.nodes[slot.at()].view().cloned() else {
            return Err(self.at(slot).violates(Invariant::Sound, "a role wants something before there is a view"));
        };
        self.checkers.presence.answered(at!(self, slot), &self.checkers.history, &view, names)?;
        self.watches.answered(slot, names, self.now);
        let process = self.nodes[slot.at()].process.as_mut().expect("a halted node wants nothing");
        process.names = Some(names.clone());
        Ok(())
    }

    fn served(&mut self, slot: Slot, zone: &Zone) -> Result<(), Violation> {
        self.trace.word(u64::from(zone.serial()) << 32 | zone.names() as u64);
        self.checkers.presence.served(at!(self, slot), zone)?;
        self.watches.served(slot, zone, self.now);
        let process = self.nodes[slot.at()].process.as_mut().expect("a halted node wants nothing");
        process.zone = Some(zone.clone());
        Ok(())
    }

    pub(super) fn reported(&mut self, slot: Slot, report: Report) -> Result<(), Violation> {
        self.trace.word(u64::from(slot.0) << 8 | 53);
        match &report {
            Report::Dropped { peer, .. } => {
                self.junk += 1;
                let liar = self.keys.get(peer).is_some_and(|sender| self.nodes[sender.at()].liar.is_some());
                self.incidents.add(Incident::LieRefused, u64::from(liar));
            }
            Report::Phase(_) => {
                let phase = self.nodes[slot.at()].process.as_ref().map(|process| process.machine.status().phase);
                self.incidents.add(Incident::Fenced, u64::from(phase == Some(Phase::Resyncing)));
            }
            Report::Limit("members of a neighborhood") => {
                return Err(self.at(slot).violates(Invariant::Sound, "its SWIM list would be too long".to_owned()));
            }
            Report::ConflictingConfig { .. }
            | Report::SeqJumped
            | Report::Fork { .. }
            | Report::Accused { .. }
            | Report::DuplicateNode { .. }
            | Report::Limit(_)
            | Report::CacheDamaged(_) => {}
        }
        self.note(slot, Did::Reported(report));
        Ok(())
    }
}

/// How many members vote.
fn voting(facts: &Facts) -> usize {
    facts.voters().values().filter(|part| **part == VoterPart::Voter).count()
}
