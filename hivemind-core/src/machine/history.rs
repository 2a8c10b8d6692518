//! The rebuildable memory of the event log: facts now and then, events between, the last checkpoint.

use bytes::Bytes;

use super::Machine;
use crate::context::Report;
use crate::events::EventLog;
use crate::facts::Facts;
use crate::ids::{NodeId, Position};
use crate::storage::{CHECKPOINT_KEY, FACTS_KEY, Write, event_key};
use crate::wire::codec;
use crate::wire::config::HeldConfig;
use crate::wire::event::{Checkpoint, LogEvent};

/// The facts are written anew after so many events; what is between is folded at the start.
const FACTS_EVERY: u64 = 64;
/// So many events stay when the facts are written that have them already: what happened lately can be told after a start too.
const PAST: u64 = 256;
/// The largest record of the cache.
const RECORD_LIMIT: usize = 32 << 20;

impl Machine {
    /// Takes up what the cache holds. Whatever does not fit is left: the node then resyncs.
    pub(super) fn recall(&mut self, cache: &[(Bytes, Bytes)]) {
        let value = |key: &Bytes| cache.iter().find(|(found, _)| found == key).map(|(_, value)| value);
        let Some(stored) = value(&FACTS_KEY) else { return };
        let Ok(mut facts) = codec::decode::<Facts, RECORD_LIMIT>(stored) else {
            self.out.reports.push_back(Report::CacheDamaged("the facts do not decode"));
            return;
        };
        if self.identity.as_ref().is_none_or(|identity| identity.cluster != facts.cluster() || identity.epoch.tag != facts.epoch().tag) {
            self.out.reports.push_back(Report::CacheDamaged("the facts are of another cluster"));
            return;
        }
        if let Some(node) = self.identity.as_ref().map(|identity| identity.node).filter(|node| *node != NodeId::NONE)
            && !facts.scope().is_of(node)
        {
            // A crash may have taken what was written since: a slice of another place can not be led on to this one.
            self.out.reports.push_back(Report::CacheDamaged("the facts are those of a former membership"));
            return;
        }
        let events = cache.iter().filter(|(key, _)| key.first() == Some(&b'e'));
        let events: Vec<LogEvent> = events.filter_map(|(_, value)| codec::decode::<LogEvent, RECORD_LIMIT>(value).ok()).collect();
        for logged in &events {
            if logged.index > facts.position().index && facts.apply(logged).is_err() {
                break;
            }
        }
        let mut log = EventLog::new(facts, self.settings.events.tail_bytes);
        log.recall(events);
        if let Some(Ok(checkpoint)) = value(&CHECKPOINT_KEY).map(|value| codec::decode::<Checkpoint, RECORD_LIMIT>(value)) {
            log.vouch(checkpoint);
        }
        let configs = cache.iter().filter(|(key, _)| key.first() == Some(&b'c'));
        for held in configs.filter_map(|(_, value)| codec::decode::<HeldConfig, RECORD_LIMIT>(value).ok()) {
            self.configs.restore(held, log.facts(), &context!(self));
        }
        self.log = Some(log);
    }

    /// Writes all facts, and forgets the events that were long before.
    pub(super) fn remember_facts(&mut self) {
        let Some(log) = &self.log else { return };
        let past = log.position().index.0.saturating_sub(PAST);
        let mut records = vec![(FACTS_KEY, Some(codec::encode(log.facts()).into()))];
        records.extend((past.saturating_sub(2 * FACTS_EVERY)..past).map(|old| (event_key(old), None)));
        self.out.writes.push(Write::Cache(records));
    }

    /// Forgets all events: what comes does not follow them, or it tells another story.
    pub(super) fn forget_past(&mut self) {
        let Some(log) = &self.log else { return };
        let last = log.position().index.0;
        let first = last.saturating_sub(PAST + 2 * FACTS_EVERY);
        self.out.writes.push(Write::Cache((first..=last).map(|old| (event_key(old), None)).collect()));
    }

    /// Writes one event, and, now and then, all facts.
    pub(super) fn remember_event(&mut self, position: Position, logged: &LogEvent) {
        self.out.writes.push(Write::Cache(vec![(event_key(logged.index.0), Some(codec::encode(logged).into()))]));
        if position.index.0.is_multiple_of(FACTS_EVERY) {
            self.remember_facts();
        }
    }
}
