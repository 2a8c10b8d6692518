//! What each operation does.

mod actions;
mod admitted;
mod authority;
mod configs;
mod credentials;
mod events;
mod features;
mod health;
mod members;
mod metrics;
mod page;
mod refusals;
mod services;
mod status;
mod tokens;
mod voters;
mod why;

use hivemind_core::view::View;
use hivemind_core::wire::event::VoterPart;
use hivemind_core::wire::member::MemberRecord;

pub(super) use actions::act;
pub(super) use admitted::admitted;
pub(super) use authority::{authority, fingerprint, retire_authority, rotate_authority};
pub(super) use configs::{config, configs};
pub(super) use credentials::{create_credential, credentials, revoke_credential};
pub(super) use events::events;
pub(super) use features::{enable_feature, features};
pub(super) use health::{document, healthz, readyz};
pub(super) use members::{member, members, neighborhoods};
pub(super) use metrics::metrics;
pub(super) use page::{page, style};
pub(super) use services::services;
pub(super) use status::status;
pub(super) use tokens::{create_token, revoke_token, tokens};
pub(super) use voters::{transfer, voters};
pub(super) use why::why;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failure::Failure;
use super::model::{MemberRef, MemberState, Part, ProblemKind};
use hivemind_core::ids::NodeId;
use hivemind_core::time::Timestamp;

/// A part in the Raft group, as it is answered.
pub(super) fn part(part: VoterPart) -> Part {
    match part {
        VoterPart::None => Part::None,
        VoterPart::Learner => Part::Learner,
        VoterPart::Voter => Part::Voter,
    }
}

/// How `view` sees a member.
fn state(view: &View, node: NodeId) -> MemberState {
    if view.facts.restarting_until(node).is_some() {
        MemberState::Restarting
    } else if view.is_reachable(node) {
        MemberState::Reachable
    } else {
        MemberState::Unreachable
    }
}

/// A plain node was asked for `what`, which is no event.
fn voters_alone(view: &View, what: &str) -> Failure {
    let voters = view.facts.voters().keys().filter_map(|voter| Some(view.facts.member(*voter)?.name.as_str()));
    let voters: Vec<&str> = voters.collect();
    Failure::new(ProblemKind::Conflict, format!("voters alone know {what}; ask one of {}", voters.join(", ")))
}

fn named(view: &View, node: NodeId) -> MemberRef {
    MemberRef { node: node.to_string(), name: view.facts.member(node).map(|member| member.name.to_string()) }
}

fn named_by(member: &MemberRecord) -> MemberRef {
    MemberRef { node: member.node.to_string(), name: Some(member.name.to_string()) }
}

/// A moment in UTC, to the second; empty where it is beyond the year 9999.
fn moment(at: Timestamp) -> String {
    let moment = i64::try_from(at.0 / 1000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Whether the node of `view` holds all configs that there are.
fn is_complete(view: &View) -> bool {
    view.facts.member(view.node).is_some_and(|own| own.is_consumer()) && !view.condition.incomplete && !view.condition.stale
}

/// A page of `items`, which are in the order of their keys: those after `after`, and the key of the last where there are more.
fn page_of<T>(items: Vec<(String, T)>, after: Option<&str>, limit: usize) -> (Vec<T>, Option<String>) {
    let begin = after.map_or(0, |after| items.partition_point(|(key, _)| key.as_str() <= after));
    let more = items.len() - begin > limit;
    let mut last = None;
    let page = items.into_iter().skip(begin).take(limit).map(|(key, item)| {
        last = Some(key);
        item
    });
    let page = page.collect();
    (page, last.filter(|_| more))
}

#[cfg(test)]
mod tests {
    use super::page_of;

    #[test]
    fn pages_are_as_long_as_asked_for_and_the_last_one_says_so() {
        let items = || ["a", "b", "c"].map(|key| (key.to_owned(), key)).to_vec();
        assert_eq!(page_of(items(), None, 2), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(page_of(items(), Some("b"), 2), (vec!["c"], None));
        assert_eq!(page_of(items(), Some("bb"), 1), (vec!["c"], None));
        assert_eq!(page_of(items(), Some("z"), 1), (vec![], None));
        assert_eq!(page_of(items(), None, 3), (vec!["a", "b", "c"], None));
    }
}
