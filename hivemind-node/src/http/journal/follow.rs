//! What a node applies and reports, as it comes: the journal follows it from the first view on.

use std::sync::Arc;

use hivemind_core::context::Report;
use hivemind_core::ids::{Index, Position};
use hivemind_core::time::Timestamp;
use hivemind_core::view::View;
use hivemind_core::wire::event::{Event, LogEvent};

use super::Journal;
use super::words::{Names, told};
use crate::driver::AppliedEvent;
use crate::feed::{Feed, Heard};
use crate::http::cursor::Cursor;
use crate::http::model::{Happening, LoggedEvent, MemberRef};
use crate::node::NodeHandle;

impl Journal {
    /// Keeps what a node applies, until it has stopped.
    pub(crate) async fn follow(self: Arc<Self>, handle: NodeHandle) {
        let mut events = handle.events();
        let mut reports = handle.reports();
        let mut names = Names::default();
        let mut views = handle.clone();
        let first = match handle.view() {
            Some(view) => view,
            None => match views.changed().await {
                Some(view) => view,
                None => return,
            },
        };
        let known = first.facts.position();
        names.view = Some(first);
        self.recall(&handle.history().await, &known, &mut names);
        if !self.drain(&mut events, known.index, &mut names, &handle).await {
            return;
        }
        loop {
            tokio::select! {
                biased;
                heard = events.next() => match heard {
                    Some(Heard::Happened(applied)) => self.note(&applied, &mut names, handle.wall()),
                    // The next one does not follow the last, and is taken for what it is.
                    Some(Heard::Missed(_)) => {}
                    None => return,
                },
                view = views.changed() => {
                    let Some(view) = view else { return };
                    // The events that led to it were told before it.
                    if !self.drain(&mut events, Index(0), &mut names, &handle).await {
                        return;
                    }
                    self.seen(Cursor::of(&view.facts.position()));
                    self.compare(names.view.as_deref(), &view, handle.wall());
                    names.newcomers.clear();
                    names.view = Some(view);
                }
                Some(heard) = reports.next() => match heard {
                    Heard::Happened(report) => self.told(&report, &names, handle.wall()),
                    // A flood of reports, or one of accusations, is not kept whole.
                    Heard::Missed(_) => {}
                },
            }
        }
    }

    /// Keeps the events that were told already, but those up to `known`. False where the node has stopped.
    async fn drain(&self, events: &mut Feed<AppliedEvent>, known: Index, names: &mut Names, handle: &NodeHandle) -> bool {
        loop {
            tokio::select! {
                biased;
                heard = events.next() => match heard {
                    Some(Heard::Happened(applied)) if applied.position.index <= known => {}
                    Some(Heard::Happened(applied)) => self.note(&applied, names, handle.wall()),
                    Some(Heard::Missed(_)) => {}
                    None => return false,
                },
                () = std::future::ready(()) => return true,
            }
        }
    }

    /// Takes up what the node kept of the log before it was followed, perhaps on its disk: the events that lead to `known` without a gap.
    fn recall(&self, history: &[LogEvent], known: &Position, names: &mut Names) {
        let mut before = Cursor::of(known);
        let mut led = Vec::new();
        for logged in history.iter().rev().skip_while(|logged| logged.index > known.index) {
            let Ok(event) = logged.event() else { break };
            if logged.index.0 != before.index {
                break;
            }
            let at = before;
            before.index = before.index.saturating_sub(1);
            if let Event::EpochAdvanced { .. } = event {
                before.number = before.number.saturating_sub(1);
            }
            led.push((at, event));
        }
        let told: Vec<(Cursor, LoggedEvent)> =
            led.into_iter().rev().map(|(at, event)| (at, LoggedEvent { position: at.to_string(), event: told(&event, names) })).collect();
        for (at, event) in &told {
            self.chronicle.committed(at.index, &event.event, None);
        }
        let mut kept = self.lock();
        let dropped = told.len().saturating_sub(self.most);
        kept.before = Some(dropped.checked_sub(1).and_then(|last| told.get(last)).map_or(before, |(at, _)| *at));
        kept.events = told.into_iter().skip(dropped).collect();
        drop(kept);
        self.grown.send_replace(());
    }

    /// Whom the node reaches no more, or again.
    fn compare(&self, before: Option<&View>, now: &View, at: Timestamp) {
        let Some(before) = before.filter(|before| before.unreachable != now.unreachable) else { return };
        let changes = |from: &View, to: &View, what: &Happening| {
            let lost = to.unreachable.iter().filter(|node| !from.unreachable.contains(*node));
            for member in lost.filter_map(|node| now.facts.member(*node)) {
                let about = MemberRef { node: member.node.to_string(), name: Some(member.name.to_string()) };
                self.chronicle.saw(&about, what.clone(), at);
            }
        };
        changes(before, now, &Happening::Unreachable);
        changes(now, before, &Happening::Reachable);
    }

    fn told(&self, report: &Report, names: &Names, at: Timestamp) {
        match report {
            Report::Accused { suspect, observer } => {
                self.chronicle.saw(&names.of(*suspect), Happening::Accused { observer: names.of(*observer) }, at);
            }
            Report::Dropped { .. }
            | Report::Phase(_)
            | Report::ConflictingConfig { .. }
            | Report::SeqJumped
            | Report::Fork { .. }
            | Report::DuplicateNode { .. }
            | Report::Limit(_)
            | Report::CacheDamaged(_) => {}
        }
    }

    fn note(&self, applied: &AppliedEvent, names: &mut Names, now: Timestamp) {
        let at = Cursor::of(&applied.position);
        let event = LoggedEvent { position: at.to_string(), event: told(&applied.event, names) };
        self.chronicle.committed(applied.position.index.0, &event.event, Some(now));
        self.add(at, Cursor::before(&applied.position, applied.position.index), event);
    }
}
