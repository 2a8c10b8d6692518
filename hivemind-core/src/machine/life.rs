//! The life of a node: born, started, member, gone.

use super::persist::Then;
use super::{Birth, Effect, HaltReason, Machine, Phase, StartError, Startup};
use crate::configs::{Configs, Surroundings};
use crate::context::{Context, Outbox, Report};
use crate::control::{Control, Output as ControlOutput};
use crate::events::EventLog;
use crate::facts::Facts;
use crate::ids::{BootNonce, Epoch, Index, NodeId, Seq};
use crate::membership::Membership;
use crate::planted::{self, Planted};
use crate::rng::Rng;
use crate::role::{RoleEvent, Roles};
use crate::storage::{Identity, Recovered, Write};
use crate::time::Now;
use crate::timers::{Timer, Timers};
use crate::view::{Changed, Condition};
use crate::wire::command::{MAX_LACKING, Refusal};
use crate::wire::event::{Event, LeaveReason, VoterPart};
use crate::wire::member::MemberRecord;
use crate::wire::message::Digest;

impl Machine {
    /// Makes a machine; then poll its effects.
    ///
    /// # Errors
    /// [`StartError`]: what was found, or what was asked for, can not be started from. Nothing changed.
    pub fn new(startup: Startup, now: Now) -> Result<Machine, StartError> {
        let Startup { name, addresses, roles, voter_eligible, seeds, awaits_seeds, birth, recovered, settings, keys, seed } = startup;
        let Recovered { identity, log, own, cache } = recovered;
        if let Some(found) = identity.as_ref().map(|identity| identity.name.clone()).filter(|found| *found != name) {
            return Err(StartError::OtherName { found, expected: name });
        }
        if identity.is_none() && birth.is_none() && seeds.is_empty() && !awaits_seeds {
            return Err(StartError::NoSeeds);
        }
        let mut rng = Rng::new(seed);
        let last_boot = identity.as_ref().map_or(0, |identity| identity.boot.count());
        let boot = BootNonce::new(last_boot.saturating_add(1), rng.next() as u32);
        let reserved = identity.as_ref().map_or(Seq(0), |identity| identity.reserved_seq);
        let mut machine = Machine {
            name,
            addresses,
            voter_eligible,
            seeds,
            awaits_seeds,
            configs: Configs::new(own, reserved, settings.configs.ahead),
            settings,
            keys,
            raft_seed: rng.next(),
            rng,
            now,
            phase: Phase::Starting,
            boot,
            identity,
            found_log: log,
            timers: Timers::default(),
            out: Outbox::default(),
            effects: Default::default(),
            tickets: Default::default(),
            membership: Membership::new(),
            control: None,
            log: None,
            roles: Roles::new(roles),
            role_retry: None,
            seeking: Default::default(),
            answers: Default::default(),
            pending: Default::default(),
            publishing: Vec::new(),
            leaving: false,
            confirmed: false,
            senders: Default::default(),
            early: Default::default(),
            visitors: Default::default(),
            parts: Default::default(),
            pulse: Default::default(),
            credence: Default::default(),
            view: None,
            changed: Changed::default(),
            condition: Condition { stale: true, ..Condition::default() },
            complete: true,
            junk: 0,
        };
        machine.begin(birth, &cache)?;
        machine.settle();
        Ok(machine)
    }

    /// Writes the new start down, before anything is said under it.
    fn begin(&mut self, birth: Option<Birth>, cache: &[(bytes::Bytes, bytes::Bytes)]) -> Result<(), StartError> {
        let unfinished_birth = self.identity.as_ref().is_some_and(|identity| !identity.was_voter && self.found_log.is_none());
        match (&self.identity, birth) {
            (None, Some(birth)) => self.be_born(birth),
            (Some(identity), Some(_)) if unfinished_birth && identity.node == FIRST => {
                let again = Birth { cluster: identity.cluster, tag: identity.epoch.tag };
                self.be_born(again);
            }
            (Some(_), _) => {
                self.recall(cache);
                self.forget_lost_log();
                let boot = self.boot;
                self.write_identity(|identity| identity.boot = boot, Vec::new(), Then::Start);
            }
            (None, None) => self.store(vec![Write::ClearCache], Then::Start),
        }
        Ok(())
    }

    /// A voter whose Raft data is missing may have promised what it no longer knows: it never acts under
    /// that id again, and joins anew.
    fn forget_lost_log(&mut self) {
        let Some(identity) = &mut self.identity else { return };
        let lost = identity.was_voter && self.found_log.is_none();
        if lost {
            self.seeking.previous = Some(identity.node);
            identity.node = NodeId::NONE;
            identity.was_voter = false;
            self.out.reports.push_back(Report::Phase("the Raft data of this voter is missing: it joins anew".into()));
        }
    }

    /// Snapshot 1: one voter, generation 1, a fresh tag, the first member. The identity says that it was a
    /// voter only after the snapshot, so that a birth cut short is begun again.
    fn be_born(&mut self, birth: Birth) {
        let epoch = Epoch { generation: 1, number: 1, tag: birth.tag };
        let mut identity = Identity {
            cluster: birth.cluster,
            epoch,
            node: FIRST,
            name: self.name.clone(),
            was_voter: false,
            boot: self.boot,
            reserved_seq: Seq(0),
        };
        self.identity = Some(identity.clone());
        let first = MemberRecord {
            node: FIRST,
            name: self.name.clone(),
            key: self.keys.public(),
            addresses: self.addresses.clone(),
            address_seq: 0,
            roles: self.roles.specs(),
            voter_eligible: self.voter_eligible,
            features: self.settings.features.clone(),
            joined: Index(0),
        };
        let mut control = Control::birth(birth.cluster, birth.tag, first, self.raft_seed, &mut context!(self));
        let mut writes = vec![Write::Identity(identity.clone())];
        identity.was_voter = true;
        self.identity = Some(identity.clone());
        while let Some(output) = control.poll_output() {
            match output {
                ControlOutput::Persist { number, writes: mut snapshot } => {
                    writes.append(&mut snapshot);
                    self.store(std::mem::take(&mut writes), Then::Control { number, node: FIRST });
                }
                ControlOutput::Committed { .. }
                | ControlOutput::Installed { .. }
                | ControlOutput::Outcome { .. }
                | ControlOutput::Readable { .. }
                | ControlOutput::Beat(_)
                | ControlOutput::Leader { .. }
                | ControlOutput::Probe { .. }
                | ControlOutput::Removed => {}
            }
        }
        writes.push(Write::Identity(identity));
        self.control = Some(control);
        self.store(writes, Then::Start);
    }

    /// The start is durable: the node speaks from here on.
    pub(super) fn started(&mut self) {
        if let Some(facts) = self.control.as_ref().and_then(|control| control.facts().cloned()) {
            self.confirmed = true;
            self.begin_with(facts);
            self.become_member();
            return;
        }
        let found = self.found_log.take().filter(|_| self.has_part());
        if found.is_some_and(|found| self.go_on_as_voter(&found)) || self.phase == Phase::Stopped {
            return;
        }
        let resumes = self.identity.as_ref().is_some_and(|identity| !identity.node.is_none());
        self.set_phase(if resumes { Phase::Resuming } else { Phase::Joining });
        self.seek_now();
        self.changed.merge(Changed::everything());
    }

    fn has_part(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.was_voter && !identity.node.is_none())
    }

    /// A voter needs nobody's word to go on: its own log says what it is. It asks all the same, in case it
    /// was put out in the meantime. False where the log says nothing yet: it had a part, and no snapshot.
    fn go_on_as_voter(&mut self, found: &crate::storage::RecoveredLog) -> bool {
        let node = self.identity.as_ref().map_or(NodeId::NONE, |identity| identity.node);
        let control = match Control::recover(node, found, self.raft_seed, &mut context!(self)) {
            Ok(control) => control,
            Err(error) => {
                self.halt(HaltReason::Log(error.to_string()));
                return false;
            }
        };
        let known = control.facts().cloned().map(|facts| (facts, control.tail()));
        let control = self.control.insert(control);
        // A leader does not tell one whose part it took how that entry fared: the view may know more than the log.
        if let Some(log) = &self.log {
            control.handle_view(log.facts());
        }
        let Some((facts, tail)) = known else { return false };
        self.installed(facts, tail);
        // The first view must not be ahead of the events that it shows.
        self.route_known_events();
        if self.phase == Phase::Starting {
            self.become_member();
            self.ask_to_resume();
        }
        true
    }

    /// Makes `facts` what is known.
    pub(super) fn begin_with(&mut self, facts: Facts) {
        let limit = if facts.is_voter(self.node()) { self.settings.events.voter_tail_bytes } else { self.settings.events.tail_bytes };
        self.forget_past();
        match &mut self.log {
            Some(log) => {
                self.configs.inherit(log.facts(), &facts, &mut context!(self));
                log.replace(facts, &context!(self));
            }
            None => self.log = Some(EventLog::new(facts, limit)),
        }
        if let (Some(control), Some(log)) = (&mut self.control, &self.log) {
            control.handle_view(log.facts());
        }
        self.changed.merge(Changed::everything());
        self.remember_facts();
    }

    /// The node is a member, by its own log or by a member's word.
    pub(super) fn become_member(&mut self) {
        if self.stops_lacking() {
            return;
        }
        self.set_phase(Phase::Member);
        self.seeking.stop();
        self.parts.settled();
        self.credence.settled();
        self.pulse.begin(self.now.time);
        self.enter_neighborhood();
        let Some(log) = &self.log else { return };
        let around = Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
        self.configs.member(&around, &mut context!(self));
        self.changed.merge(Changed::everything());
        self.return_now();
        self.judge_on(self.pulse.round());
        // Among them is whether there is more to come: the first view must not call itself complete.
        while let Some(output) = self.configs.poll_output() {
            self.route_configs(output);
        }
        self.refresh_view();
        self.tell_roles(RoleEvent::Member);
        self.take_up_part();
        self.serve_grants();
    }

    /// Whether this node lacks what is switched on, as an older version does that was installed over a newer one: then it stops.
    pub(super) fn stops_lacking(&mut self) -> bool {
        let Some(log) = &self.log else { return false };
        let features: Vec<_> = log.facts().lacking(&self.settings.features).take(MAX_LACKING).collect();
        if features.is_empty() {
            return false;
        }
        self.halt(HaltReason::Refused(Refusal::LacksFeatures { features }));
        true
    }

    /// The event that gave this node a part in the Raft group may be before what it begins with: in the grant of its
    /// own join, in a snapshot, or applied just before a crash. It never acted in that part, so it begins empty.
    fn take_up_part(&mut self) {
        let node = self.node();
        let part = self.log.as_ref().and_then(|log| log.facts().voters().get(&node).copied());
        if let Some(part) = part.filter(|_| self.control.is_none()) {
            self.own_part(part);
        }
    }

    /// The neighborhood that the facts put this node into is the one that it probes; what it knew of those in both goes on.
    pub(super) fn follow_neighborhood(&mut self) {
        let Some(log) = &self.log else { return };
        let facts = log.facts();
        let Some((id, hood)) = facts.neighborhood_of(self.node()) else { return };
        let peers: Vec<NodeId> = hood.members.iter().copied().filter(|&peer| peer != self.node()).collect();
        let created = hood.created;
        self.membership.set_voters(voting(facts));
        self.membership.enter(id, created, &peers, &mut context!(self));
    }

    /// The node begins to probe under its present id.
    pub(super) fn enter_neighborhood(&mut self) {
        self.membership.leave_all();
        self.follow_neighborhood();
    }

    /// A grant is durable: a member under a new id, or for the first time.
    pub(super) fn become_granted(&mut self, digest: Digest) {
        self.confirmed = true;
        self.membership.leave_all();
        // So that `node()` is the granted id from here on.
        self.phase = Phase::Resuming;
        self.begin_with(digest.facts);
        if let Some(log) = &mut self.log {
            log.vouch(digest.checkpoint);
            let around = Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
            self.configs.replaced(&around, &mut context!(self));
        }
        self.become_member();
    }

    pub(super) fn become_learner(&mut self, node: NodeId) {
        if node != self.node() {
            return;
        }
        if self.control.is_none() {
            let mut control = Control::learner(node, self.raft_seed, &mut context!(self));
            if let Some(log) = &self.log {
                control.handle_view(log.facts());
            }
            self.control = Some(control);
        }
        if let Some(log) = &mut self.log {
            log.set_tail_limit(self.settings.events.voter_tail_bytes);
        }
    }

    /// This node's own part in the Raft group changed, by an event. One that is taken away is the control
    /// plane's own matter: it keeps its vote in mind.
    pub(super) fn own_part(&mut self, part: VoterPart) {
        match part {
            VoterPart::Learner | VoterPart::Voter if self.control.is_none() => {
                // A crash may have left the log of an earlier part beside an identity without one.
                self.out.writes.push(Write::DropLog);
                let node = self.node();
                self.write_identity(|identity| identity.was_voter = true, Vec::new(), Then::BecomeLearner { node });
            }
            VoterPart::Learner | VoterPart::Voter | VoterPart::None => {}
        }
    }

    /// The id goes, and with it all that was promised under it: one that forgot its promises must not be found on disk.
    fn drop_part(&mut self) {
        if self.control.take().is_some() {
            let forget = |identity: &mut Identity| {
                identity.node = NodeId::NONE;
                identity.was_voter = false;
            };
            self.write_identity(forget, vec![Write::DropLog], Then::Nothing);
        }
    }

    /// The own membership ended.
    pub(super) fn own_end(&mut self, reason: &LeaveReason) {
        match reason {
            LeaveReason::Failed { .. } => self.join_anew(),
            // It left before this start: whoever starts it again wants it back, or the control plane refuses it.
            LeaveReason::Asked | LeaveReason::Evicted if !self.confirmed => self.join_anew(),
            LeaveReason::Asked | LeaveReason::Evicted => self.halt(HaltReason::Left),
        }
    }

    /// A leave for failure ends membership, not identity: the node comes back by itself.
    pub(super) fn join_anew(&mut self) {
        if self.phase == Phase::Joining {
            return;
        }
        self.seeking.previous = Some(self.node());
        self.drop_part();
        self.membership.leave_all();
        self.set_phase(Phase::Joining);
        self.seek_now();
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.out.reports.push_back(Report::Phase(format!("{phase:?}")));
            self.judge();
        }
    }

    /// Lets the roles hear of something, and does what they ask for.
    pub(super) fn tell_roles(&mut self, event: RoleEvent<'_>) {
        let Some(view) = self.view.clone() else { return };
        for (role, requests) in self.roles.hear(event, &view, self.now.time) {
            self.serve_role(role, requests);
        }
        self.time_retry();
    }

    /// An event that was applied, told on.
    pub(super) fn tell_event(&mut self, position: crate::ids::Position, logged: crate::wire::event::LogEvent, event: Event) {
        self.tell_roles(RoleEvent::Event(&event));
        self.effects.push_back(Effect::Applied { position, logged, event });
    }

    pub(super) fn handle_timer(&mut self, timer: Timer) {
        match timer {
            Timer::RaftTick | Timer::Beat | Timer::Housekeeping => {
                if let Some(control) = &mut self.control {
                    control.handle_timer(timer, &mut context!(self));
                }
            }
            Timer::Pending => {
                if let Some(control) = &mut self.control {
                    control.handle_timer(timer, &mut context!(self));
                }
                self.expire_pending();
            }
            Timer::Judge { round } => {
                self.judge();
                self.judge_on(round);
            }
            Timer::Swim { .. } | Timer::Confirm { .. } | Timer::Overlap { .. } | Timer::Sample { .. } | Timer::Keepalive { .. } => {
                if let Some(log) = &self.log {
                    self.membership.handle_timer(timer, log.facts(), &mut context!(self));
                }
            }
            Timer::Pull { .. } | Timer::Announce { .. } => self.events_timer(timer),
            Timer::Admission { attempt } => self.seek_again(attempt),
            Timer::Offer { round } => {
                self.repair_configs(|configs, around, ctx| configs.handle_offer_timer(round, around, ctx));
            }
            Timer::Compare { round } => {
                self.repair_configs(|configs, around, ctx| configs.handle_compare_timer(round, around, ctx));
            }
            Timer::Roles => self.run_roles(),
        }
    }

    fn events_timer(&mut self, timer: Timer) {
        let circle = self.circle();
        let Some(log) = self.log.as_mut().filter(|_| self.phase == Phase::Member) else { return };
        let peers = circle.peers(&self.membership);
        log.handle_timer(timer, &peers, &mut context!(self));
    }

    fn repair_configs(&mut self, repair: impl FnOnce(&mut Configs, &Surroundings<'_>, &mut Context<'_>)) {
        let Some(log) = self.log.as_ref().filter(|_| self.phase == Phase::Member) else { return };
        if planted::has(&self.settings, Planted::ConfigsNeverRepaired) {
            return;
        }
        let around = Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
        repair(&mut self.configs, &around, &mut context!(self));
    }
}

/// Who is born first.
const FIRST: NodeId = NodeId::new(1, 1);

/// Who votes.
pub(super) fn voting(facts: &Facts) -> Vec<NodeId> {
    facts.voters().iter().filter(|(_, part)| **part == VoterPart::Voter).map(|(node, _)| *node).collect()
}
