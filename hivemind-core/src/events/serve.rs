//! Answering: ranges for those behind, no more than a node can bear, and the last word for those who left.

use std::collections::BTreeMap;

use super::tail::After;
use super::{EventLog, sign};
use crate::context::{Context, Report};
use crate::ids::{Index, NodeId, Position};
use crate::settings::EventSettings;
use crate::time::Time;
use crate::wire::frame::Channel;
use crate::wire::message::{EventBatch, Events, Message};

/// The most bytes of events for one that is no member any more: it asked for none.
const FAREWELL_LIMIT: usize = 16 << 10;
/// What any answer costs, in bytes, so that empty ones are not free.
const ANSWER_COST: usize = 2 << 10;
/// So many askers are told apart; each beyond has a share in what is left for all.
const ASKERS: usize = 256;

/// What answering has cost lately.
#[derive(Debug, Default)]
pub(super) struct Serving {
    all: Spent,
    each: BTreeMap<NodeId, Spent>,
}

/// A leaking bucket: it fills with what is sent, and loses so many bytes a second.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    bytes: u64,
    at: Time,
    told: bool,
}

impl Spent {
    /// What is left in it, where `rate` bytes leak away each second.
    fn left(&mut self, rate: usize, now: Time) -> u64 {
        let leaked = now.since(self.at).as_micros() * rate as u128 / 1_000_000;
        self.bytes = self.bytes.saturating_sub(u64::try_from(leaked).unwrap_or(u64::MAX));
        self.at = now;
        self.bytes
    }

    /// Whether there is room: it holds what leaks away in a second.
    fn has_room(&mut self, rate: usize, now: Time) -> bool {
        let room = self.left(rate, now) < rate as u64;
        self.told &= !room;
        room
    }
}

/// Whether an asker is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It is.
    Yes,
    /// It had its share: it asks more than one that is behind does.
    NotForIt,
    /// All together had theirs.
    ForNobody,
}

impl Serving {
    fn room(&mut self, asker: NodeId, settings: &EventSettings, now: Time) -> Room {
        if !self.all.has_room(settings.answer_bytes, now) {
            return Room::ForNobody;
        }
        if self.each.len() >= ASKERS && !self.each.contains_key(&asker) {
            self.each.retain(|_, spent| spent.left(settings.peer_answer_bytes, now) > 0);
            if self.each.len() >= ASKERS {
                return Room::ForNobody;
            }
        }
        match self.each.entry(asker).or_default().has_room(settings.peer_answer_bytes, now) {
            true => Room::Yes,
            false => Room::NotForIt,
        }
    }

    fn spend(&mut self, asker: NodeId, bytes: usize) {
        let cost = (bytes + ANSWER_COST) as u64;
        self.all.bytes += cost;
        if let Some(spent) = self.each.get_mut(&asker) {
            spent.bytes += cost;
        }
    }

    /// True once until it has room again.
    fn is_first_refusal(&mut self, asker: NodeId) -> bool {
        self.each.get_mut(&asker).is_some_and(|spent| !std::mem::replace(&mut spent.told, true))
    }
}

impl EventLog {
    /// Whether `asker` may have an answer of `bytes` now, which then counts as given: pulls share a limit with whatever
    /// else the machine sends of the log, snapshots for instance.
    pub fn may_serve(&mut self, asker: NodeId, bytes: usize, ctx: &Context<'_>) -> bool {
        let room = self.serving.room(asker, &ctx.settings.events, ctx.now.time) == Room::Yes;
        if room {
            self.serving.spend(asker, bytes);
        }
        room
    }

    /// Answers a pull.
    pub(super) fn answer(&mut self, to: NodeId, after: &Position, ctx: &mut Context<'_>) {
        match self.serving.room(to, &ctx.settings.events, ctx.now.time) {
            Room::Yes => {}
            Room::NotForIt => {
                // No word for it: one that floods gets nothing for its pains.
                if self.serving.is_first_refusal(to) {
                    ctx.report(Report::Limit("a member pulls more than its share"));
                }
                return;
            }
            Room::ForNobody => {
                ctx.send(to, Channel::Datagram, Message::Events(Events::AskAnother));
                return;
            }
        }
        let mut size = 0;
        let answer = match self.range(after, ctx.settings.events.range_bytes, ctx) {
            After::Batch { batch, end: _ } => {
                size = batch.events.iter().map(|logged| logged.payload.len()).sum();
                Events::Range(batch)
            }
            After::Collected { floor } => Events::Collected { floor },
            After::Fork => {
                self.report_fork(to, ctx);
                return;
            }
            After::Unproven => Events::AskAnother,
            After::Nothing => Events::Range(EventBatch::default()),
        };
        self.serving.spend(to, size);
        ctx.send(to, Channel::Ordered, Message::Events(answer));
    }

    /// What comes after a position, with a voter's word for its end.
    fn range(&mut self, after: &Position, bytes: usize, ctx: &Context<'_>) -> After {
        let may_sign = self.facts.is_voter(ctx.node);
        let mut range = self.tail.after(after, bytes, may_sign);
        if let After::Batch { batch, end } = &mut range
            && may_sign
            && batch.checkpoints.last().is_none_or(|last| last.index != end.index)
        {
            let checkpoint = sign(&self.facts, end, ctx);
            self.tail.vouch(checkpoint.clone());
            batch.checkpoints.push(checkpoint);
        }
        range
    }

    /// For one that was a member until now: the events after those that it knows, its leave among them.
    /// `None` where they are not held any more, or nobody vouches for them here.
    pub fn farewell(&mut self, knows: Index, ctx: &Context<'_>) -> Option<EventBatch> {
        let chain = self.tail.chain_at(knows)?;
        let after = Position { index: knows, chain, ..self.position() };
        match self.range(&after, FAREWELL_LIMIT, ctx) {
            After::Batch { batch, end: _ } => Some(batch),
            After::Collected { .. } | After::Fork | After::Unproven | After::Nothing => None,
        }
    }
}
