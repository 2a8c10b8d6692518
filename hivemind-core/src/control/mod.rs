//! The control plane: a Raft group that decides who is a member, and owns the event log.
//!
//! [`Control`] is one node's part in it: a voter's, a learner's, or none yet. It does no io and has no
//! clock. What the machine must do, for each input:
//!
//! 1. call the `handle_*` method, [`Control::propose`] or [`Control::read_index`];
//! 2. call [`Control::poll_output`] until it is empty. The messages are in the [`Context`];
//! 3. for each [`Output::Persist`]: make the writes durable in their order, then call
//!    [`Control::handle_stored`] with its number, in the order of numbers. No message that speaks of
//!    writes leaves before: it waits in here.
//!
//! A command comes in as a [`Proposal`](crate::wire::command::Proposal) at any voter, is sent to the leader, appended, committed and
//! applied; applying is the same on every voter, and yields at most one event. The applied state
//! is the fold of the events and a registry of what is no event.
//!
//! What it does **not** know: connections, signatures' cost, gossip, what a view is, other groups.
//!
//! # Where a command must wait for a voter to be demoted
//! A leave of a voter, and a join that ends a voter's membership (same key), can not be applied while
//! that voter has its part in the group. The leader parks such a proposal, takes the part away (after a
//! transfer of leadership where it is the leader itself), and appends the proposal when that is applied.
//! Where another member can take the place, the two are exchanged in one joint change, so that there
//! are never fewer voters; for that the proposal waits half of its time. The part is taken only where
//! the group stays able to decide; where it does not within `proposal_timeout`, the proposal was never
//! appended and is refused as
//! [`Refusal::StillVoter`](crate::wire::command::Refusal::StillVoter): for a joiner that means *later*. The last voter is never demoted.

mod advance;
mod applied;
mod apply_access;
mod apply_authority;
mod apply_epoch;
mod apply_feature;
mod apply_join;
mod apply_leave;
mod apply_member;
mod apply_neighborhood;
mod apply_voter;
mod bounded;
mod configuration;
mod entry;
mod evidence;
mod formed;
mod gate;
mod group;
mod handing;
mod housekeeping;
mod log;
mod log_clock;
mod making;
mod output;
mod pending;
mod plan;
mod propose;
mod raw;
mod reads;
mod recover;
mod sanity;
mod snapshot;
mod snapshots;
#[cfg(test)]
mod tests;
mod transfer;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use imbl::OrdMap;
use raft::eraftpb::HardState;

use applied::Applied;
use evidence::Evidence;
pub use formed::Formed;
pub use group::GroupId;
use log::Log;
use log_clock::LogClock;
use making::Making;
pub use output::Output;
use pending::{Alarm, Pending};
use raw::Raw;
pub use recover::RecoverError;
pub use snapshot::SnapshotError;

use crate::context::{Context, Junk};
use crate::facts::Facts;
use crate::ids::{ClusterId, Epoch, Index, NodeId, ProposalId, PublicKey};
use crate::settings::ControlSettings;
use crate::storage::RecoveredLog;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::access::{Admitted, Enrolled, Token};
use crate::wire::command::VoterWish;
use crate::wire::event::{LogEvent, VoterPart};
use crate::wire::member::MemberRecord;
use crate::wire::message;

/// Commits events as applying commands does, without a Raft group.
#[cfg(test)]
pub(crate) struct Committer(Applied);

#[cfg(test)]
impl Committer {
    pub(crate) fn new(limits: crate::facts::NeighborhoodLimits, first: MemberRecord) -> Self {
        Committer(Applied::birth(ClusterId(7), Epoch { generation: 1, number: 1, tag: 9 }, limits, Default::default(), first))
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    pub(crate) fn commit(&mut self, event: crate::wire::event::Event) -> Vec<LogEvent> {
        self.0.commit(event)
    }
}

/// The Raft index and term of the snapshot at birth: before any entry.
const BIRTH: (u64, u64) = (1, 1);

/// One node's part in the control plane.
pub struct Control {
    node: NodeId,
    raw: Raw,
    /// `None`: a learner that waits for its first snapshot.
    applied: Option<Applied>,
    pending: Pending,
    evidence: Evidence,
    clock: LogClock,
    outputs: VecDeque<Output>,
    /// Who has a part in the group by the view, and at which event.
    view: Option<(Index, OrdMap<NodeId, VoterPart>)>,
    /// Members that had a part in the group until it was taken from them.
    parted: BTreeSet<NodeId>,
    /// A snapshot in the making.
    making: Option<Making>,
    /// When a Raft message of each node was last taken.
    heard: BTreeMap<NodeId, Time>,
    /// When there was last a sign of a leader.
    contact: Time,
    /// The leader and term that the machine was told.
    told: (Option<NodeId>, u64),
    /// The term in which this node leads.
    leads: Option<u64>,
    beats: u64,
    /// Whose parts the last proposed change of the group is about.
    changing: BTreeSet<NodeId>,
    /// The last proposal to collect history.
    collecting: Option<ProposalId>,
    /// Something happened that the leader should look at before its next round.
    look: bool,
    /// This node's part was taken from it. It does not ask for votes until it has one again.
    is_removed: bool,
    tick_alarm: Alarm,
    beat_alarm: Alarm,
    housekeeping_alarm: Alarm,
}

impl Control {
    /// The birth of a cluster: its first snapshot has the group `{1}`, generation 1 and one member, which
    /// is `first` under the id 1.1. It leads as soon as that is durable.
    pub fn birth(cluster: ClusterId, tag: u64, mut first: MemberRecord, seed: u64, ctx: &mut Context<'_>) -> Control {
        first.node = NodeId::new(1, 1);
        first.joined = Index(0);
        let node = first.node;
        let (limits, policy) = (ctx.settings.control.neighborhoods, ctx.settings.control.admission);
        let applied = Applied::birth(cluster, Epoch { generation: 1, number: 1, tag }, limits, policy, first);
        let snapshot = log::snapshot_of(snapshot::encode(&applied, BIRTH.0), BIRTH.1);
        let hard_state = HardState { term: BIRTH.1, commit: BIRTH.0, ..HardState::default() };
        let writes = vec![log::snapshot_write(&snapshot), log::log_write(Some(&hard_state), &[])];
        let log = Log::new(hard_state, snapshot, BIRTH, Vec::new());
        let mut control = Control::start(node, log, Some(applied), seed, ctx);
        let number = control.raw.persist();
        control.outputs.push_back(Output::Persist { number, writes });
        control.lead_alone(ctx);
        control
    }

    /// Goes on from what was found on disk. What was committed behind the snapshot is applied again, and
    /// comes out as [`Output::Committed`]; [`Control::facts`] and [`Control::tail`] have it already.
    ///
    /// # Errors
    /// [`RecoverError`]: the log does not fit together, or is another node's. This node must not act
    /// under its id again.
    pub fn recover(node: NodeId, log: &RecoveredLog, seed: u64, ctx: &mut Context<'_>) -> Result<Control, RecoverError> {
        let found = recover::check(node, log)?;
        let mut control = Control::start(node, found.log, found.applied, seed, ctx);
        control.advance(ctx);
        control.note_part();
        control.lead_alone(ctx);
        Ok(control)
    }

    /// A node that never had a part in the group under its id: it waits for the leader's snapshot. One that
    /// had a part goes on with its `Control`, or recovers: what it acknowledged must not be forgotten.
    pub fn learner(node: NodeId, seed: u64, ctx: &mut Context<'_>) -> Control {
        Control::start(node, Log::empty(HardState::default()), None, seed, ctx)
    }

    fn start(node: NodeId, log: Log, applied: Option<Applied>, seed: u64, ctx: &mut Context<'_>) -> Control {
        let raw = Raw::new(GroupId::CONTROL, node, log, seed, &ctx.settings.control);
        let mut control = Control {
            node,
            told: (None, raw.term()),
            raw,
            applied,
            pending: Pending::new(ctx.rng.next()),
            evidence: Evidence::default(),
            clock: LogClock::default(),
            outputs: VecDeque::new(),
            view: None,
            making: None,
            parted: BTreeSet::new(),
            heard: BTreeMap::new(),
            contact: ctx.now.time,
            leads: None,
            beats: 0,
            changing: BTreeSet::new(),
            collecting: None,
            look: false,
            is_removed: false,
            tick_alarm: Alarm::default(),
            beat_alarm: Alarm::default(),
            housekeeping_alarm: Alarm::default(),
        };
        control.arm_tick(ctx);
        control
    }

    /// The only voter need not wait for a timeout: nobody else could lead.
    fn lead_alone(&mut self, ctx: &mut Context<'_>) {
        let alone = self.applied.as_ref().is_some_and(|applied| applied.voters().eq([self.node]));
        if alone {
            self.raw.campaign();
            self.advance(ctx);
        }
    }

    fn arm_tick(&mut self, ctx: &mut Context<'_>) {
        if self.tick_alarm.arm(ctx.now.time, ctx.settings.control.tick) {
            ctx.after(ctx.settings.control.tick, Timer::RaftTick);
        }
    }

    /// Takes a message of the control plane. The machine has checked that the sender is who it says.
    pub fn handle_message(&mut self, from: NodeId, message: message::Control, ctx: &mut Context<'_>) {
        match message {
            message::Control::Raft(bytes) => self.handle_raft(from, &bytes, ctx),
            message::Control::Forward(proposal) => self.handle_forward(from, proposal, ctx),
            message::Control::Outcome { id, outcome } => self.handle_outcome(from, id, outcome, ctx),
            message::Control::ReadIndex { id } => self.handle_read_index(from, id, ctx),
            message::Control::ReadIndexed { id, index, applied } => self.handle_read_indexed(from, id, (index, applied), ctx),
            message::Control::Evidence { observer, suspect } => self.handle_passed_evidence(from, observer, suspect, ctx),
            message::Control::SnapshotPart(part) => self.handle_part(from, &part, ctx),
            message::Control::SnapshotWant(want) => self.handle_want(from, want, ctx),
            message::Control::Probe { suspect } => self.handle_probe(from, suspect, ctx),
        }
        self.advance(ctx);
    }

    fn handle_raft(&mut self, from: NodeId, bytes: &Bytes, ctx: &mut Context<'_>) {
        // One that went may be asked by those who go by a configuration with it yet.
        let answers = self.raw.is_part(from) && sanity::is_answer(bytes);
        if !answers && !self.may_speak(from) {
            // What it answered before it heard of its demotion is nobody's fault.
            if !(self.parted.contains(&from) && sanity::is_answer(bytes)) {
                self.junk(from, "a Raft message of one that has no part in the group", ctx);
            }
            return;
        }
        if self.is_removed {
            self.raw.forget_leader();
        }
        match self.raw.step(from, bytes) {
            Ok(false) => {}
            Ok(true) => self.hear(from, ctx.now.time),
            Err(why) => self.junk(from, why, ctx),
        }
    }

    fn hear(&mut self, from: NodeId, now: Time) {
        self.heard.insert(from, now);
        if self.raw.leader() == Some(from) {
            self.contact = now;
        }
    }

    /// Whether raft-rs may hear of `from` at all, but for answers within the configuration that raft-rs goes by: it takes every term for one that a quorum once had a part
    /// in. So only those are heard that have a part in the latest configuration that is known here, be it
    /// by the group or by the view, and those that an entry in the log is about to give one. A voter that was
    /// cut off while all others were exchanged hears the new ones as soon as its view has caught up.
    fn may_speak(&self, from: NodeId) -> bool {
        let applied = self.facts().map_or(Index(0), |facts| facts.position().index);
        let is_part = match &self.view {
            Some((index, parts)) if *index > applied || self.applied.is_none() => parts.contains_key(&from),
            Some(_) | None => self.raw.is_part(from),
        };
        is_part || self.raw.is_named(from)
    }

    /// Reports what a node sent and was dropped; without its key there is nobody to name.
    fn junk(&self, from: NodeId, why: &'static str, ctx: &mut Context<'_>) {
        let key = self.applied.as_ref().and_then(|applied| applied.facts.member(from)).map_or(PublicKey([0; 32]), |member| member.key);
        ctx.junk(key, Junk::Invalid(why));
    }

    /// Takes a timer of this subsystem's. Early ones, second ones and those of others do nothing.
    pub fn handle_timer(&mut self, timer: Timer, ctx: &mut Context<'_>) {
        match timer {
            Timer::RaftTick => {
                if self.tick_alarm.ring(ctx.now.time) {
                    if !self.is_removed {
                        self.raw.tick();
                    }
                    self.go_on_with_snapshots(ctx);
                    self.arm_tick(ctx);
                }
            }
            Timer::Beat => self.handle_beat(ctx),
            Timer::Pending => self.handle_pending(ctx),
            Timer::Housekeeping => self.handle_housekeeping(ctx),
            Timer::Judge { .. }
            | Timer::Swim { .. }
            | Timer::Confirm { .. }
            | Timer::Overlap { .. }
            | Timer::Sample { .. }
            | Timer::Keepalive { .. }
            | Timer::Pull { .. }
            | Timer::Announce { .. }
            | Timer::Admission { .. }
            | Timer::Offer { .. }
            | Timer::Compare { .. }
            | Timer::Roles => return,
        }
        self.advance(ctx);
    }

    /// The connection to a node was lost: what was sent last may be, too.
    pub fn handle_unreachable(&mut self, node: NodeId) {
        self.raw.unreachable(node);
    }

    /// The writes up to `number` are durable.
    pub fn handle_stored(&mut self, number: u64, ctx: &mut Context<'_>) {
        let released = self.raw.stored(number, ctx.now.time);
        self.send_packets(released.sends, ctx);
        if let Some((applied, index)) = released.installed {
            self.install(applied, index);
        }
        self.advance(ctx);
    }

    /// Takes what this node knows of the event log by other ways: call it with a new `Control`, and
    /// whenever the view has moved on. A node whose part was taken from it while it could not be reached
    /// hears no more from the group; its view tells. And it tells a learner, or one that was cut off for
    /// long, who may speak for the group.
    pub fn handle_view(&mut self, facts: &Facts) {
        let index = facts.position().index;
        if self.view.as_ref().is_none_or(|(known, _)| *known <= index) {
            self.view = Some((index, facts.voters().clone()));
        }
        let later = self.applied.as_ref().is_some_and(|applied| applied.facts.position().index < facts.position().index);
        if later && !facts.voters().contains_key(&self.node) {
            self.lose_part();
        }
    }

    /// What is to be done next. Ask after every other method that takes `&mut self`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The fold of all committed events that this node applied; `None` for a learner before its first snapshot.
    pub fn facts(&self) -> Option<&Facts> {
        self.applied.as_ref().map(|applied| &applied.facts)
    }

    /// The last events, consecutive up to the position of [`Control::facts`].
    pub fn tail(&self) -> Vec<LogEvent> {
        self.applied.as_ref().map(|applied| applied.tail.to_vec()).unwrap_or_default()
    }

    /// The id that a wish to join was granted, while it is remembered. The member may have left since.
    pub fn granted(&self, key: PublicKey, nonce: u64) -> Option<NodeId> {
        self.applied.as_ref().and_then(|applied| applied.registry.grants.get(&(key, nonce)).copied())
    }

    /// The join tokens, by the public half of their keys. `None` where the state is not here yet.
    pub fn tokens(&self) -> Option<&OrdMap<PublicKey, Token>> {
        self.applied.as_ref().map(|applied| &applied.registry.gate.tokens)
    }

    /// What operators wish of members' votes, by id. `None` where the state is not here yet.
    pub fn wishes(&self) -> Option<Vec<(NodeId, VoterWish)>> {
        self.applied.as_ref().map(|applied| applied.wishes().collect())
    }

    /// The enrolled keys that are no member's, by key. `None` where the state is not here yet.
    pub fn admitted(&self) -> Option<impl Iterator<Item = Admitted>> {
        let applied = self.applied.as_ref()?;
        let entries = applied.registry.gate.roll.entries().iter().filter(|(key, _)| applied.facts.with_key(key).is_none());
        Some(entries.map(|(key, enrolled)| Admitted { key: *key, enrolled: enrolled.clone() }))
    }

    /// What a key was enrolled for, as far as it was applied here.
    pub fn enrolled(&self, key: &PublicKey) -> Option<&Enrolled> {
        self.applied.as_ref().and_then(|applied| applied.registry.gate.roll.get(key))
    }

    /// Whether this node has a part in the group and the state that goes with it. Without, it is for the
    /// control plane what every member is: it proposes and reads by messages to a voter.
    pub fn has_part(&self) -> bool {
        self.applied.is_some() && !self.is_removed
    }

    /// Whether this node leads, as far as it knows.
    pub fn is_leader(&self) -> bool {
        self.raw.is_leader()
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.raw.leader()
    }

    /// The Raft term.
    pub fn term(&self) -> u64 {
        self.raw.term()
    }

    /// Whether this node saw no leader with a quorum for `voter_degraded_after`.
    pub fn is_degraded(&self, now: Time, settings: &ControlSettings) -> bool {
        !self.raw.is_leader() && now.since(self.contact) >= settings.voter_degraded_after
    }

    /// Of whom this node heard within two election timeouts, itself included.
    fn heard_lately(&self, ctx: &Context<'_>) -> BTreeSet<NodeId> {
        let settings = &ctx.settings.control;
        let lately = settings.tick * u32::try_from(settings.election_ticks * 2).unwrap_or(u32::MAX);
        let heard = self.heard.iter().filter(|(_, at)| ctx.now.time.since(**at) <= lately).map(|(&node, _)| node);
        heard.chain([self.node]).collect()
    }
}
