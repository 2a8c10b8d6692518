//! The events that a server keeps: what its node applied since the server began to listen, bounded. What is not kept is
//! announced as a gap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hivemind_core::context::Report;
use hivemind_core::ids::{Index, NodeId, NodeName};
use hivemind_core::time::Timestamp;
use hivemind_core::view::View;
use hivemind_core::wire::access::AccessChange;
use hivemind_core::wire::event;
use hivemind_core::wire::trust::AuthorityChange;
use tokio::sync::watch;

use super::chronicle::Chronicle;
use super::cursor::Cursor;
use super::model::{Event, Gap, Happening, LeaveReason, LoggedEvent, MemberRef};
use super::routes::{fingerprint, part};
use crate::driver::AppliedEvent;
use crate::enroll::certificate;
use crate::feed::Heard;
use crate::node::NodeHandle;

/// Of so many newcomers the names are kept until a view shows them.
const NEWCOMERS: usize = 1024;

/// The events, and who waits for more.
#[derive(Debug)]
pub(super) struct Journal {
    kept: Mutex<Kept>,
    grown: watch::Sender<()>,
    most: usize,
    /// The same by member, and what the node saw besides.
    pub(super) chronicle: Chronicle,
}

#[derive(Debug, Default)]
struct Kept {
    /// The last point that is missing; the events follow it without a gap. `None` until the node has a view.
    before: Option<Cursor>,
    events: VecDeque<(Cursor, LoggedEvent)>,
}

/// An answer to "what comes after …?".
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) gap: Option<Gap>,
    /// The last point that is missing, where there is a gap.
    pub(super) gap_until: Option<Cursor>,
    pub(super) events: Vec<LoggedEvent>,
    /// Where to go on.
    pub(super) next: Option<Cursor>,
    pub(super) more: bool,
}

impl Kept {
    fn end(&self) -> Option<Cursor> {
        self.events.back().map(|(at, _)| *at).or(self.before)
    }
}

impl Journal {
    /// An empty one that keeps at most so many.
    pub(super) fn new(most: usize, begun: Timestamp) -> Self {
        Journal { kept: Mutex::default(), grown: watch::Sender::new(()), most: most.max(1), chronicle: Chronicle::new(begun) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes with everything new.
    pub(super) fn growth(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    /// The last point that it knows of.
    pub(super) fn end(&self) -> Option<Cursor> {
        self.lock().end()
    }

    fn add(&self, at: Cursor, before: Cursor, event: LoggedEvent) {
        let mut kept = self.lock();
        if kept.end().is_none_or(|end| (end.generation, end.index.checked_add(1)) != (at.generation, Some(at.index))) {
            kept.events.clear();
            kept.before = Some(before);
        }
        kept.events.push_back((at, event));
        if kept.events.len() > self.most {
            kept.before = kept.events.pop_front().map(|(at, _)| at);
        }
        drop(kept);
        self.grown.send_replace(());
    }

    /// A view is at `position`: where that is no event's, the node got there without applying each.
    fn seen(&self, position: Cursor) {
        let mut kept = self.lock();
        let is_known = kept.end().is_some_and(|end| end.generation == position.generation && end.index >= position.index);
        if is_known {
            return;
        }
        kept.events.clear();
        kept.before = Some(position);
        drop(kept);
        self.grown.send_replace(());
    }

    /// At most `limit` events after a point; without one: from the beginning.
    pub(super) fn after(&self, asked: Option<Cursor>, limit: usize) -> Found {
        let kept = self.lock();
        let Some(before) = kept.before else { return Found { next: asked, ..Found::default() } };
        let gap = match asked {
            None if before.index > 0 => Some("this node does not keep the events before; another one may, or none"),
            Some(asked) if asked.generation != before.generation => Some("the position is of another history of the cluster"),
            Some(asked) if asked.index < before.index => Some("this node does not keep these events (any more)"),
            None | Some(_) => None,
        };
        let after = match (asked, gap) {
            (Some(asked), None) => asked,
            (None, _) | (Some(_), Some(_)) => before,
        };
        let skipped = usize::try_from(after.index.saturating_sub(before.index)).unwrap_or(usize::MAX).min(kept.events.len());
        let taken: Vec<&(Cursor, LoggedEvent)> = kept.events.range(skipped..).take(limit).collect();
        Found {
            gap: gap.map(|why| Gap { after: asked.map(|asked| asked.to_string()), until: before.to_string(), why: why.to_owned() }),
            gap_until: gap.map(|_| before),
            next: Some(taken.last().map_or(after, |(at, _)| *at)),
            more: skipped + taken.len() < kept.events.len(),
            events: taken.into_iter().map(|(_, event)| event.clone()).collect(),
        }
    }

    /// Keeps what a node applies, until it has stopped.
    pub(super) async fn follow(self: Arc<Self>, handle: NodeHandle) {
        let mut events = handle.events();
        let mut reports = handle.reports();
        let mut names = Names::default();
        let mut views = handle.clone();
        if let Some(view) = handle.view() {
            self.seen(Cursor::of(&view.facts.position()));
            let known = view.facts.position().index;
            names.view = Some(view);
            self.recall(&handle, known, &mut names).await;
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
                    loop {
                        tokio::select! {
                            biased;
                            heard = events.next() => match heard {
                                Some(Heard::Happened(applied)) => self.note(&applied, &mut names, handle.wall()),
                                Some(Heard::Missed(_)) => {}
                                None => return,
                            },
                            () = std::future::ready(()) => break,
                        }
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

    /// What the node kept of the log before it was followed, for the chronicle.
    async fn recall(&self, handle: &NodeHandle, known: Index, names: &mut Names) {
        for logged in handle.history().await.into_iter().filter(|logged| logged.index <= known) {
            if let Ok(event) = logged.event() {
                self.chronicle.committed(logged.index.0, &told(&event, names), None);
            }
        }
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

/// Who is called what: by the last view, and by the events since.
#[derive(Debug, Default)]
struct Names {
    view: Option<Arc<View>>,
    newcomers: BTreeMap<NodeId, NodeName>,
}

impl Names {
    fn of(&self, node: NodeId) -> MemberRef {
        let member = self.view.as_ref().and_then(|view| view.facts.member(node));
        let name = self.newcomers.get(&node).or(member.map(|member| &member.name));
        MemberRef { node: node.to_string(), name: name.map(ToString::to_string) }
    }

    fn all<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeId>) -> Vec<MemberRef> {
        nodes.into_iter().map(|node| self.of(*node)).collect()
    }

    fn learn(&mut self, node: NodeId, name: &NodeName) {
        self.newcomers.insert(node, name.clone());
        if self.newcomers.len() > NEWCOMERS {
            self.newcomers.pop_first();
        }
    }
}

fn told(event: &event::Event, names: &mut Names) -> Event {
    match event {
        event::Event::Joined { member, neighborhood, supersedes, listed: _ } => {
            names.learn(member.node, &member.name);
            Event::Joined {
                member: names.of(member.node),
                roles: member.roles.iter().map(|role| role.name.to_string()).collect(),
                neighborhood: neighborhood.0,
                supersedes: supersedes.map(|node| names.of(node)),
            }
        }
        event::Event::Left { node, reason, listed: _ } => {
            let (reason, observers) = match reason {
                event::LeaveReason::Failed { observers } => (LeaveReason::Failed, names.all(observers)),
                event::LeaveReason::Asked => (LeaveReason::Asked, Vec::new()),
                event::LeaveReason::Evicted => (LeaveReason::Evicted, Vec::new()),
            };
            Event::Left { member: names.of(*node), reason, observers }
        }
        event::Event::Split { from, into, moved } => Event::Split { from: from.0, into: into.0, moved: names.all(moved) },
        event::Event::Merged { from, into, members } => {
            members.iter().for_each(|member| names.learn(member.node, &member.name));
            Event::Merged { from: from.0, into: into.0, members: names.all(members.iter().map(|member| &member.node)) }
        }
        event::Event::Voter { member, part: given } => {
            names.learn(member.node, &member.name);
            Event::Voter { member: names.of(member.node), part: part(*given) }
        }
        event::Event::Restarting { node, until } => Event::Restarting { member: names.of(*node), until_ms: until.0 },
        event::Event::Restarted { node } => Event::Restarted { member: names.of(*node) },
        event::Event::Addresses { node, seq: _, addresses } => Event::Addresses { member: names.of(*node), addresses: addresses.clone() },
        event::Event::EpochAdvanced { number, floor } => Event::EpochAdvanced { number: *number, floor: floor.0 },
        event::Event::Access(AccessChange::CredentialCreated { id, credential }) => Event::CredentialCreated {
            credential: id.to_string(),
            label: credential.label.to_string(),
            right: credential.right.to_string(),
        },
        event::Event::Access(AccessChange::CredentialRevoked { id }) => Event::CredentialRevoked { credential: id.to_string() },
        event::Event::Authority(AuthorityChange::Announced { next, .. }) => {
            Event::AuthorityAnnounced { fingerprint: fingerprint(&certificate(&next.certificate)) }
        }
        event::Event::Authority(AuthorityChange::Held { node, .. }) => Event::AuthorityHeld { member: names.of(*node) },
        event::Event::Authority(AuthorityChange::Retired) => Event::AuthorityRetired {},
        event::Event::FeatureOn { feature } => Event::FeatureOn { feature: feature.to_string() },
        event::Event::Features { node, features } => {
            Event::Features { member: names.of(*node), features: features.iter().map(ToString::to_string).collect() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> Cursor {
        Cursor { generation: 1, number: 0, index }
    }

    fn add(journal: &Journal, index: u64) {
        let event = Event::EpochAdvanced { number: 1, floor: index };
        journal.add(at(index), at(index - 1), LoggedEvent { position: at(index).to_string(), event });
    }

    type Asked = (Option<(Option<String>, String)>, Vec<String>, Option<String>, bool);

    /// The gap's ends, the events, where to go on, and whether there is more.
    fn ask(journal: &Journal, after: Option<Cursor>, limit: usize) -> Asked {
        let found = journal.after(after, limit);
        let events = found.events.into_iter().map(|event| event.position).collect();
        (found.gap.map(|gap| (gap.after, gap.until)), events, found.next.map(|next| next.to_string()), found.more)
    }

    fn texts(indices: &[u64]) -> Vec<String> {
        indices.iter().map(|index| at(*index).to_string()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let journal = Journal::new(10, Timestamp(0));
        assert_eq!(ask(&journal, None, 5), (None, vec![], None, false));
        journal.seen(at(0));
        (1..=3).for_each(|index| add(&journal, index));
        journal.seen(at(3));
        assert_eq!(ask(&journal, None, 2), (None, texts(&[1, 2]), Some("1.0-2".to_owned()), true));
        assert_eq!(ask(&journal, Some(at(2)), 2), (None, texts(&[3]), Some("1.0-3".to_owned()), false));
        assert_eq!(ask(&journal, Some(at(3)), 2), (None, vec![], Some("1.0-3".to_owned()), false));
        assert_eq!(ask(&journal, Some(at(9)), 2), (None, vec![], Some("1.0-9".to_owned()), false), "ahead of this node");
    }

    #[test]
    fn what_is_dropped_skipped_or_missed_is_a_gap() {
        let journal = Journal::new(2, Timestamp(0));
        journal.seen(at(0));
        (1..=4).for_each(|index| add(&journal, index));
        let gap = |after: Option<&str>, until: &str| Some((after.map(str::to_owned), until.to_owned()));
        assert_eq!(ask(&journal, Some(at(1)), 9), (gap(Some("1.0-1"), "1.0-2"), texts(&[3, 4]), Some("1.0-4".to_owned()), false));
        add(&journal, 8);
        assert_eq!(ask(&journal, Some(at(4)), 9), (gap(Some("1.0-4"), "1.0-7"), texts(&[8]), Some("1.0-8".to_owned()), false));
        journal.seen(at(20));
        assert_eq!(ask(&journal, Some(at(8)), 9), (gap(Some("1.0-8"), "1.0-20"), vec![], Some("1.0-20".to_owned()), false));
        assert_eq!(ask(&journal, None, 9), (gap(None, "1.0-20"), vec![], Some("1.0-20".to_owned()), false));
        let other = Cursor { generation: 2, number: 0, index: 30 };
        assert_eq!(ask(&journal, Some(other), 9), (gap(Some("2.0-30"), "1.0-20"), vec![], Some("1.0-20".to_owned()), false));
    }
}
