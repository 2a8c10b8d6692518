//! The sans-IO state machine of one node: routes between the subsystems, which never import each other.
//!
//! # The driver's duties
//!
//! 1. Make the machine from what was found on disk ([`Machine::new`]).
//! 2. Whatever happens, hand it in with the time ([`Machine::handle`]).
//! 3. Carry out its effects, in their order, until there are none ([`Machine::poll_effect`]). A `Store` is
//!    answered by `Stored` once it is durable; nothing else needs to be waited for: what must not leave
//!    before it is durable is not handed out earlier.
//! 4. Call [`Machine::handle`] with `Timeout` at [`Machine::poll_timeout`] at the latest. Early and extra
//!    ones are harmless.
//! 5. After `Halt`, hand nothing in any more.

macro_rules! context {
    ($machine:expr) => {
        $crate::context::Context {
            now: $machine.now,
            node: $crate::machine::node_of($machine.phase, $machine.identity.as_ref()),
            boot: $machine.boot,
            settings: &$machine.settings,
            keys: &*$machine.keys,
            rng: &mut $machine.rng,
            out: &mut $machine.out,
            timers: &mut $machine.timers,
        }
    };
}

mod admission;
mod condition;
mod credence;
mod early;
mod formed;
mod history;
mod io;
mod life;
mod parts;
mod pending;
mod persist;
mod receive;
mod requests;
mod respond;
mod route;
mod startup;
mod view;
mod visitors;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

pub use formed::{FormedCluster, config_record};
pub use io::{Destination, Effect, HaltReason, Input, Phase, PublishError, Reply, Status};
pub use startup::{Birth, StartError, Startup};

use self::admission::Seeking;
use self::condition::Pulse;
use self::credence::Credence;
use self::early::EarlyFrames;
use self::parts::Parts;
use self::pending::Pending;
use self::persist::Tickets;
use self::receive::Senders;
use self::respond::Answers;
use self::visitors::Visitors;
use crate::configs::Configs;
use crate::context::Outbox;
use crate::control::Control;
use crate::events::EventLog;
use crate::ids::{BootNonce, NodeId, NodeName, PublicKey, RequestId, Seq};
use crate::keys::Keys;
use crate::membership::Membership;
use crate::rng::Rng;
use crate::role::{RoleSpec, RoleStatus, Roles};
use crate::settings::Settings;
use crate::storage::{Identity, RecoveredLog};
use crate::time::{Now, Time};
use crate::timers::Timers;
use crate::view::{Changed, Condition, View};
use crate::wire::access::{Admitted, KnownToken};
use crate::wire::command::VoterWish;
use crate::wire::event::{LogEvent, VoterPart};

/// One node.
pub struct Machine {
    name: NodeName,
    addresses: Vec<SocketAddr>,
    voter_eligible: bool,
    seeds: Vec<SocketAddr>,
    awaits_seeds: bool,
    settings: Settings,
    keys: Arc<dyn Keys>,
    rng: Rng,
    raft_seed: u64,

    now: Now,
    phase: Phase,
    boot: BootNonce,
    /// What the identity file says; `None` before the first join is granted.
    identity: Option<Identity>,
    /// The Raft log as found, until it is taken up.
    found_log: Option<RecoveredLog>,

    timers: Timers,
    out: Outbox,
    effects: VecDeque<Effect>,
    tickets: Tickets,

    membership: Membership,
    control: Option<Control>,
    log: Option<EventLog>,
    configs: Configs,
    roles: Roles,
    /// When the next run of a role that panicked is timed.
    role_retry: Option<Time>,

    seeking: Seeking,
    answers: Answers,
    pending: Pending,
    /// Who waits for a version of the own config to be durable.
    publishing: Vec<(Seq, RequestId)>,
    /// It asked for the end of its membership, and was not refused.
    leaving: bool,
    /// Its membership is known to go on in this start: by its birth, a grant, a member's word, or a quorum that follows
    /// it. A voter speaks before that.
    confirmed: bool,
    senders: Senders,
    early: EarlyFrames,
    visitors: Visitors,
    parts: Parts,
    pulse: Pulse,
    credence: Credence,

    view: Option<Arc<View>>,
    changed: Changed,
    condition: Condition,
    complete: bool,
    junk: u64,
}

impl Machine {
    /// Takes what happened. Poll [`Machine::poll_effect`] until empty afterwards, then
    /// [`Machine::poll_timeout`].
    pub fn handle(&mut self, input: Input, now: Now) {
        self.now = Now { time: self.now.time.max(now.time), wall: now.wall };
        if self.phase == Phase::Stopped {
            return;
        }
        match input {
            Input::Timeout => {}
            Input::Received { peer, source, channel, bytes } => self.receive(peer, source, channel, &bytes),
            Input::Disconnected { peer } => self.disconnected(&peer),
            Input::Stored { ticket } => self.stored(ticket),
            Input::StoreFailed { ticket: _, error } => self.halt(HaltReason::Storage(error)),
            Input::Seeds { addresses } => self.seeds = addresses,
            Input::Publish { request, sections } => self.publish(request, sections),
            Input::Propose { request, command } => self.propose_for_driver(request, command),
            Input::Read { request } => self.read(request),
        }
        self.fire_timers();
        self.settle();
    }

    /// The next thing to be done. May have something new after [`Machine::handle`] and [`Machine::new`].
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call with [`Input::Timeout`] at the latest. May change after [`Machine::handle`].
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.phase == Phase::Stopped { None } else { self.timers.next_due() }
    }

    /// The node's own account of itself.
    pub fn status(&self) -> Status {
        let facts = self.log.as_ref().map(EventLog::facts);
        Status {
            name: self.name.clone(),
            node: self.node(),
            phase: self.phase,
            position: facts.map(crate::facts::Facts::position),
            voter: facts.and_then(|facts| facts.voters().get(&self.node()).copied()).unwrap_or(VoterPart::None),
            leader: self.control.as_ref().and_then(Control::leader),
            term: self.pulse.beat().term,
            condition: self.condition,
            own_seq: self.own_seq(),
            configs: self.configs.held().len(),
            junk: self.junk,
        }
    }

    /// When it heard last that the leader lives. Before it is a member for the first time: the origin.
    pub fn leader_heard(&self) -> crate::time::Time {
        self.pulse.heard()
    }

    /// Its view, once it has one.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// How each role fares, in order of installation.
    pub fn roles(&self) -> impl Iterator<Item = (&RoleSpec, &RoleStatus)> {
        self.roles.statuses()
    }

    /// The join tokens. Voters alone know them: `None` on any other node.
    pub fn tokens(&self) -> Option<Vec<KnownToken>> {
        let tokens = self.control.as_ref()?.tokens()?;
        Some(tokens.iter().map(|(&id, token)| KnownToken { id, token: token.clone() }).collect())
    }

    /// The hosts that were admitted and are no members, by key. `None` of one that is no voter.
    pub fn known_admitted(&self) -> Option<Vec<Admitted>> {
        Some(self.control.as_ref()?.admitted()?.collect())
    }

    /// The last events of the log, as far as this node keeps them, oldest first.
    pub fn history(&self) -> Vec<LogEvent> {
        let applied = self.control.as_ref().map(Control::tail).unwrap_or_default();
        let kept: Vec<LogEvent> = self.log.iter().flat_map(EventLog::kept).collect();
        // The part of a voter that is only just coming back is behind what the node knows.
        let leads_here = applied.last().map(|last| last.index) >= self.log.as_ref().map(|log| log.position().index);
        if leads_here && applied.len() > kept.len() { applied } else { kept }
    }

    /// What operators wish of members' votes, by id. Voters alone know it: `None` on any other node.
    pub fn voter_wishes(&self) -> Option<Vec<(NodeId, VoterWish)>> {
        self.control.as_ref()?.wishes()
    }

    /// Under which name a key is admitted, as far as this node knows: it is enrolled, or a member's. Only voters know of all that are
    /// enrolled.
    pub fn admitted_name(&self, key: &PublicKey) -> Option<NodeName> {
        let enrolled = self.control.as_ref().and_then(|control| control.enrolled(key)).map(|enrolled| enrolled.name.clone());
        let member = || self.log.as_ref().and_then(|log| log.facts().with_key(key)).map(|member| member.name.clone());
        enrolled.or_else(member)
    }

    fn own_seq(&self) -> Seq {
        self.configs.own_seq()
    }

    fn node(&self) -> NodeId {
        node_of(self.phase, self.identity.as_ref())
    }

    fn fire_timers(&mut self) {
        while let Some(timer) = self.timers.take_due(self.now.time) {
            self.handle_timer(timer);
            if self.phase == Phase::Stopped {
                return;
            }
        }
    }

    fn halt(&mut self, reason: HaltReason) {
        self.phase = Phase::Stopped;
        self.timers.clear();
        self.out = Outbox::default();
        self.effects.push_back(Effect::Halt(reason));
    }
}

/// Under which id a node speaks: none while it asks to join.
fn node_of(phase: Phase, identity: Option<&Identity>) -> NodeId {
    match phase {
        Phase::Joining => NodeId::NONE,
        Phase::Starting | Phase::Resuming | Phase::Member | Phase::Resyncing | Phase::Stopped => {
            identity.map_or(NodeId::NONE, |identity| identity.node)
        }
    }
}
