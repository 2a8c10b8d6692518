//! What subsystems put out is routed to others, to the disk, and to the wire, until all is quiet.

use super::persist::Then;
use super::{Destination, Effect, Machine, Phase};
use crate::configs::{Output as ConfigsOutput, Surroundings};
use crate::context::{Outgoing, Recipient, Report};
use crate::control::Output as ControlOutput;
use crate::events::{Output as EventsOutput, Peers};
use crate::ids::{Epoch, NeighborhoodId, NodeId, Position};
use crate::membership::{Membership, Output as MembershipOutput};
use crate::planted::{self, Planted};
use crate::view::Changed;
use crate::wire::event::{Event, LogEvent};
use crate::wire::frame::{Channel, DATAGRAM_LIMIT, Frame, Header};

/// A node's neighbors and far links, at one moment.
pub(super) struct Circle {
    neighbors: Vec<NodeId>,
    far: Vec<NodeId>,
}

impl Circle {
    pub(super) fn peers<'a>(&'a self, membership: &'a Membership) -> Peers<'a> {
        Peers { neighbors: &self.neighbors, far: &self.far, unreachable: membership.unreachable() }
    }
}

impl Machine {
    /// Routes until nothing moves, then hands out what is left.
    pub(super) fn settle(&mut self) {
        let mut outgoing = Vec::new();
        while self.phase != Phase::Stopped {
            let before = self.progress(&mut outgoing);
            if !before {
                break;
            }
        }
        if self.phase == Phase::Stopped {
            return;
        }
        self.refresh_view();
        // Not before all events are told: the view shows them all, and a reply speaks of it.
        self.serve_reads();
        self.store_unwaited();
        let header = self.header();
        for outgoing in outgoing {
            self.hand_out(&header, outgoing);
        }
        while let Some(report) = self.out.reports.pop_front() {
            if matches!(report, Report::Dropped { .. }) {
                self.junk += 1;
            }
            self.effects.push_back(Effect::Report(report));
        }
    }

    /// Takes one output of each subsystem. False where there was none.
    fn progress(&mut self, outgoing: &mut Vec<Outgoing>) -> bool {
        let mut moved = false;
        if let Some(output) = self.control.as_mut().and_then(|control| control.poll_output()) {
            self.route_control(output);
            moved = true;
        }
        if let Some(output) = self.log.as_mut().and_then(|log| log.poll_output()) {
            self.route_events(output);
            moved = true;
        }
        if let Some(output) = self.membership.poll_output() {
            self.route_membership(output);
            moved = true;
        }
        if let Some(output) = self.configs.poll_output() {
            self.route_configs(output);
            moved = true;
        }
        while let Some(next) = self.out.sends.pop_front() {
            moved = true;
            match next.to {
                Recipient::Node(node) if node == self.node() => {
                    let own = self.dispatch(node, next.message);
                    debug_assert!(own.is_ok(), "what a node says to itself is possible: {own:?}");
                }
                Recipient::Node(_) | Recipient::Key(_) | Recipient::Address(_) | Recipient::Former { .. } => outgoing.push(next),
            }
        }
        moved
    }

    fn route_control(&mut self, output: ControlOutput) {
        match output {
            ControlOutput::Persist { number, writes } => {
                let node = self.node();
                self.store(writes, Then::Control { number, node });
                if let Some(control) = self.control.as_mut().filter(|_| planted::has(&self.settings, Planted::AcknowledgedEarly)) {
                    control.handle_stored(number, &mut context!(self));
                }
            }
            ControlOutput::Committed { events } => {
                let leads = self.control.as_ref().is_some_and(|control| control.is_leader());
                let circle = self.circle();
                if let Some(log) = &mut self.log {
                    let peers = circle.peers(&self.membership);
                    log.commit(events, leads, &peers, &mut context!(self));
                }
                self.widen();
            }
            ControlOutput::Installed { facts, tail } => self.installed(*facts, tail),
            ControlOutput::Outcome { id, outcome } => self.outcome(id, outcome),
            ControlOutput::Readable { id, index } => self.readable(id, index),
            ControlOutput::Beat(beat) => {
                // A quorum follows this node.
                self.confirmed = true;
                self.hear_beat(beat, None);
            }
            ControlOutput::Leader { leader: _, term: _ } => self.judge(),
            ControlOutput::Probe { suspect } => {
                if let Some(log) = &self.log {
                    self.membership.suspect(suspect, log.facts(), &mut context!(self));
                }
            }
            // The control plane keeps its log and its vote in mind.
            ControlOutput::Removed => self.judge(),
        }
    }

    /// A snapshot of the leader took this voter further than its view.
    pub(super) fn installed(&mut self, facts: crate::facts::Facts, tail: Vec<LogEvent>) {
        let ahead = self.log.as_ref().is_none_or(|log| log.position().index < facts.position().index);
        if !ahead {
            return;
        }
        // Where the tail reaches down to the view, the events between are news; else the view jumps.
        let known = self.log.as_ref().map_or(Default::default(), |log| log.position().index);
        let bridges = tail.first().is_some_and(|first| first.index <= known.next());
        let circle = self.circle();
        match &mut self.log {
            Some(log) if bridges => {
                let peers = circle.peers(&self.membership);
                log.commit(tail, false, &peers, &mut context!(self));
                self.widen();
            }
            Some(_) | None => {
                self.begin_with(facts);
                self.enter_neighborhood();
                let Some(log) = &self.log else { return };
                let around = Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
                self.configs.replaced(&around, &mut context!(self));
                // The jump may have passed what a grant waits for.
                self.serve_grants();
            }
        }
    }

    /// One with a part in the Raft group holds everybody's record, as soon as its view is where its applied state is.
    fn widen(&mut self) {
        let known = self.control.as_ref().and_then(|control| control.facts());
        if let Some((log, facts)) = self.log.as_mut().zip(known)
            && !log.facts().is_full()
            && log.widen(facts)
        {
            self.changed.merge(Changed::everything());
            self.remember_facts();
        }
    }

    /// With whom events are exchanged.
    pub(super) fn circle(&self) -> Circle {
        let own = self.node();
        let hood = self.log.as_ref().and_then(|log| log.facts().neighborhood_of(own));
        let neighbors = hood.map_or_else(Vec::new, |(_, hood)| hood.members.iter().copied().filter(|&node| node != own).collect());
        Circle { neighbors, far: self.membership.far_links().map(|link| link.node).collect() }
    }

    /// Routes what the event log has put out so far.
    pub(super) fn route_known_events(&mut self) {
        while let Some(output) = self.log.as_mut().and_then(|log| log.poll_output()) {
            self.route_events(output);
        }
    }

    fn route_events(&mut self, output: EventsOutput) {
        match output {
            EventsOutput::Applied { position, .. }
                if planted::has(&self.settings, Planted::EventSkipped)
                    && self.log.as_ref().is_some_and(|log| log.position() != position) => {}
            EventsOutput::Applied { position, logged, event } => self.applied(position, logged, event),
            EventsOutput::Fenced { by: _ } | EventsOutput::Damaged => self.resync(),
        }
    }

    /// An event became known here.
    fn applied(&mut self, position: Position, logged: LogEvent, event: Event) {
        self.remember_event(position, &logged);
        let own = self.node();
        match &event {
            Event::Joined { member, supersedes, listed, .. } => {
                if let Some(old) = supersedes {
                    self.member_gone(*old);
                }
                self.changed.members.extend(listed.iter().map(|member| member.node));
                self.pending.joined(member.key, member.node);
                self.changed.members.insert(member.node);
                // The facts may be ahead of this event, and have split since.
                let is_near = self.log.as_ref().is_some_and(|log| {
                    let home = log.facts().neighborhood_of(own);
                    home.is_some_and(|(_, hood)| hood.members.contains(&member.node))
                });
                if member.node != own && is_near {
                    self.follow_neighborhood();
                }
            }
            Event::Left { node, listed, .. } => {
                self.member_gone(*node);
                self.changed.members.extend(listed.iter().map(|member| member.node));
            }
            Event::Split { from, into, moved } => self.rearranged(&[*from, *into], moved.iter().copied()),
            Event::Merged { from, into, members } => self.rearranged(&[*from, *into], members.iter().map(|member| member.node)),
            Event::Voter { member, part: _ } => {
                self.changed.members.insert(member.node);
            }
            Event::Restarting { node, .. } | Event::Restarted { node } | Event::Addresses { node, .. } | Event::Features { node, .. } => {
                self.changed.members.insert(*node);
            }
            Event::EpochAdvanced { number, .. } => {
                let number = *number;
                if let Some(identity) = &mut self.identity {
                    identity.epoch.number = number;
                }
            }
            Event::Access(_) | Event::FeatureOn { .. } | Event::Authority(_) => {}
        }
        if let Some(log) = &self.log {
            self.membership.set_voters(super::life::voting(log.facts()));
            let around = Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
            self.configs.handle_event(&event, &around, &mut context!(self));
        }
        if let (Some(control), Some(log)) = (&mut self.control, &self.log) {
            control.handle_view(log.facts());
        }
        self.changed.position = true;
        self.tell_event(position, logged, event.clone());
        self.own_fate(own, &event);
        self.serve_grants();
        if let Event::Joined { member, .. } = &event {
            self.hear_early(&member.key);
        }
    }

    /// Neighborhoods split or merged. Where it is the own one, the node probes others from here on, and the records in its scope
    /// are others.
    fn rearranged(&mut self, touched: &[NeighborhoodId], spoken_of: impl Iterator<Item = NodeId>) {
        let Some(facts) = self.log.as_ref().map(|log| log.facts()) else { return };
        let home = facts.neighborhood_of(self.node());
        if let Some((_, hood)) = home.filter(|(id, _)| touched.contains(id)) {
            self.changed.members.extend(hood.members.iter().copied().chain(spoken_of));
            self.follow_neighborhood();
        }
    }

    fn member_gone(&mut self, node: NodeId) {
        self.changed.members.insert(node);
        self.changed.reachability.insert(node);
        self.senders.forget(node);
        self.visitors.forget(node);
        if node != self.node() {
            self.membership.member_left(node, &mut context!(self));
        }
    }

    /// What an event means for this node itself.
    fn own_fate(&mut self, own: NodeId, event: &Event) {
        match event {
            Event::Voter { member, part } if member.node == own => self.own_part(*part),
            Event::Left { node, reason, .. } if *node == own => self.own_end(reason),
            // Its name and key joined again, elsewhere: this process is the copy.
            Event::Joined { supersedes: Some(old), .. } if *old == own && self.phase == Phase::Member => {
                self.halt(super::HaltReason::Duplicate { node: own });
            }
            Event::Joined { .. }
            | Event::Left { .. }
            | Event::Split { .. }
            | Event::Merged { .. }
            | Event::Voter { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::EpochAdvanced { .. }
            | Event::Access(_)
            | Event::Features { .. }
            | Event::Authority(_) => {}
            Event::FeatureOn { .. } => {
                self.stops_lacking();
            }
        }
    }

    fn route_membership(&mut self, output: MembershipOutput) {
        match output {
            MembershipOutput::Reachability { node, reachable } => {
                self.changed.reachability.insert(node);
                let Some(log) = self.log.as_ref().filter(|_| self.phase == Phase::Member) else { return };
                let around = Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
                self.configs.handle_reachability(node, reachable, &around, &mut context!(self));
            }
            // This node is the voter that its own evidence is for.
            MembershipOutput::Evidence { suspect } => {
                let own = self.node();
                if let Some(control) = &mut self.control {
                    control.handle_evidence(own, suspect, &mut context!(self));
                }
            }
        }
    }

    pub(super) fn route_configs(&mut self, output: ConfigsOutput) {
        match output {
            ConfigsOutput::Changed { member } => {
                self.changed.configs.insert(member);
            }
            ConfigsOutput::Completeness { complete } => {
                self.complete = complete;
                self.judge();
            }
            ConfigsOutput::Persist { version, reserve, write } => self.store_own(version, reserve, write),
        }
    }

    /// What every frame of this moment says of its sender.
    fn header(&self) -> Header {
        let known = self.log.as_ref().filter(|_| self.phase != Phase::Joining);
        let position = known.map(|log| log.position());
        let nowhere = Epoch { generation: 0, number: 0, tag: 0 };
        let epoch = self.identity.as_ref().map_or(nowhere, |identity| identity.epoch);
        Header {
            cluster: self.identity.as_ref().map(|identity| identity.cluster),
            epoch: position.map_or(epoch, |position| position.epoch),
            from: self.node(),
            boot: self.boot,
            index: position.map_or_else(Default::default, |position| position.index),
            chain: position.map_or(0, |position| Header::chain_prefix(&position)),
            beat: self.pulse.beat(),
        }
    }

    fn destination(&self, node: NodeId) -> Option<Destination> {
        let facts = self.log.as_ref().map(|log| log.facts())?;
        if let Some(member) = facts.member(node) {
            let heard = self.senders.source(node);
            return Some(Destination {
                key: Some(member.key),
                addresses: heard.into_iter().chain(member.addresses.iter().copied()).collect(),
            });
        }
        if !facts.is_member(node) {
            return None;
        }
        // What a connection has proven counts more than what others tell.
        let told = self.membership.acquaintance(node);
        let key = self.visitors.key(node).or(told.map(|told| told.key))?;
        let addresses = told.filter(|told| told.key == key).map(|told| told.addresses.clone()).unwrap_or_default();
        Some(Destination { key: Some(key), addresses })
    }

    fn hand_out(&mut self, header: &Header, outgoing: Outgoing) {
        let Outgoing { to, channel, message } = outgoing;
        let to = match to {
            Recipient::Key(key) => Destination { key: Some(key), addresses: Vec::new() },
            Recipient::Former { key, address } => Destination { key: Some(key), addresses: vec![address] },
            Recipient::Address(address) => Destination { key: None, addresses: vec![address] },
            Recipient::Node(node) => {
                // One that is no member (any more) gets no connection.
                let Some(to) = self.destination(node) else { return };
                to
            }
        };
        let bytes = Frame { header: *header, message }.encode();
        let channel = if channel == Channel::Datagram && bytes.len() > DATAGRAM_LIMIT { Channel::Ordered } else { channel };
        self.effects.push_back(Effect::Send { to, channel, bytes });
    }
}
