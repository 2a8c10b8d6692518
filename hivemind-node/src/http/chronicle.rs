//! What a server's node saw happen to each member, by name, bounded: a member that is gone can still be asked about.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hivemind_core::time::Timestamp;

use super::model::{Episode, Event, Happening, MemberRef};

/// So many entries are kept of one name; then the oldest are forgotten.
const EPISODES: usize = 64;
/// Of so many names something is kept; then that of which nothing happened for the longest time is forgotten.
const NAMES: usize = 1024;

/// The entries, by name; by id where no name is known.
#[derive(Debug)]
pub(super) struct Chronicle {
    begun: Timestamp,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    of: BTreeMap<String, Fate>,
    /// Counts what happened.
    count: u64,
    /// The last event of the log that was taken: what was recalled may be told again.
    last: u64,
}

/// What happened to one.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) episodes: VecDeque<Episode>,
    pub(super) forgotten: u64,
    /// The count at the last entry.
    touched: u64,
}

impl Chronicle {
    pub(super) fn new(begun: Timestamp) -> Self {
        Chronicle { begun, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when it is kept.
    pub(super) fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Something was committed.
    pub(super) fn committed(&self, index: u64, event: &Event, at: Option<Timestamp>) {
        {
            let mut kept = self.lock();
            if index <= kept.last {
                return;
            }
            kept.last = index;
        }
        let what = || Happening::Committed { index, event: event.clone() };
        for about in subjects(event) {
            self.add(about, Episode { at_ms: at.map(|at| at.0), what: what() });
        }
    }

    /// The node saw something itself, or was told.
    pub(super) fn saw(&self, about: &MemberRef, what: Happening, at: Timestamp) {
        self.add(about, Episode { at_ms: Some(at.0), what });
    }

    fn add(&self, about: &MemberRef, episode: Episode) {
        let mut kept = self.lock();
        kept.count += 1;
        let (count, key) = (kept.count, key(about));
        if kept.of.len() >= NAMES && !kept.of.contains_key(&key) {
            let quietest = kept.of.iter().min_by_key(|(_, fate)| fate.touched).map(|(name, _)| name.clone());
            quietest.iter().for_each(|name| drop(kept.of.remove(name)));
        }
        let fate = kept.of.entry(key).or_default();
        fate.touched = count;
        fate.episodes.push_back(episode);
        if fate.episodes.len() > EPISODES {
            fate.episodes.pop_front();
            fate.forgotten += 1;
        }
    }

    /// What is kept of a name, or of an id.
    pub(super) fn of(&self, asked: &str) -> Option<Fate> {
        let kept = self.lock();
        let by_name = kept.of.get(asked);
        let has_id = |fate: &&Fate| fate.episodes.iter().any(|episode| is_about_id(&episode.what, asked));
        by_name.or_else(|| kept.of.values().find(has_id)).cloned()
    }
}

fn key(about: &MemberRef) -> String {
    about.name.clone().unwrap_or_else(|| about.node.clone())
}

fn is_about_id(what: &Happening, id: &str) -> bool {
    match what {
        Happening::Committed { event, .. } => subjects(event).iter().any(|about| about.node == id),
        Happening::Unreachable | Happening::Reachable | Happening::Accused { .. } => false,
    }
}

/// To whom an event happened.
fn subjects(event: &Event) -> Vec<&MemberRef> {
    match event {
        Event::Joined { member, .. }
        | Event::Left { member, .. }
        | Event::Voter { member, .. }
        | Event::Restarting { member, .. }
        | Event::Restarted { member }
        | Event::Addresses { member, .. }
        | Event::AuthorityHeld { member }
        | Event::Features { member, .. } => vec![member],
        Event::Split { .. }
        | Event::Merged { .. }
        | Event::EpochAdvanced { .. }
        | Event::AuthorityAnnounced { .. }
        | Event::AuthorityRetired {}
        | Event::FeatureOn { .. }
        | Event::CredentialCreated { .. }
        | Event::CredentialRevoked { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: &str, name: Option<&str>) -> MemberRef {
        MemberRef { node: node.to_owned(), name: name.map(str::to_owned) }
    }

    #[test]
    fn old_entries_and_quiet_names_are_forgotten_and_counted() {
        let chronicle = Chronicle::new(Timestamp(5));
        let web = member("1.2", Some("web1"));
        chronicle.committed(1, &Event::Restarted { member: web.clone() }, None);
        for at in 0..EPISODES as u64 {
            chronicle.saw(&web, Happening::Unreachable, Timestamp(at));
        }
        let fate = chronicle.of("web1").unwrap();
        assert_eq!((fate.episodes.len(), fate.forgotten), (EPISODES, 1));
        for number in 0..NAMES {
            chronicle.saw(&member("2.1", Some(&format!("n{number}"))), Happening::Reachable, Timestamp(9));
        }
        assert!(chronicle.of("web1").is_none() && chronicle.of("n0").is_some());
    }

    #[test]
    fn one_without_a_name_is_found_by_its_id_and_so_is_one_with() {
        let chronicle = Chronicle::new(Timestamp(5));
        for (index, node, name) in [(1, "1.2", None), (2, "1.3", Some("web1")), (2, "1.4", None)] {
            chronicle.committed(index, &Event::Restarted { member: member(node, name) }, Some(Timestamp(7)));
        }
        assert_eq!(chronicle.of("1.2").unwrap().episodes[0].at_ms, Some(7));
        assert!(chronicle.of("1.3").is_some() && chronicle.of("1.4").is_none());
    }
}
