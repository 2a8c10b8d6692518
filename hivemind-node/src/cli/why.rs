//! `hivemind why`: what happened to a member, as a line of time.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ask::name_of;
use super::client::Client;
use super::failure::Failure;
use super::show::Screen;
use crate::http::model::{Episode, Event, Happening, LeaveReason, MemberState, Part, Why};

pub(super) async fn why(client: &Client, name: &str, screen: &Screen) -> Result<(), Failure> {
    if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'.') {
        return Err(Failure::Usage(format!("{name:?} is neither a name nor an id; `hivemind members` shows both")));
    }
    let why: Why = client.get(&format!("/api/v1/why/{name}")).await?;
    screen.data(&why, |why| {
        let lines = why.history.iter().map(|episode| line(episode) + "\n");
        lines.chain([now(why) + "\n"]).collect()
    })?;
    say_whose(&why, screen);
    Ok(())
}

/// Who observed this, and who may know more.
fn say_whose(why: &Why, screen: &Screen) {
    if why.forgotten > 0 {
        screen.note(&format!("{} older entries are not kept any more", why.forgotten));
    }
    let since = moment(Some(why.since_ms));
    let observer = &why.observer;
    screen.note(&format!("observed by {observer} since {since}; what the log held before has no time here"));
    match &why.leader {
        _ if why.leads => {}
        Some(leader) => screen.note(&format!("who accused it is known to the leader alone: ask {}", name_of(leader))),
        None => screen.note("who accused it is known to the leader alone: ask it; `hivemind voters list` at a voter says who leads"),
    }
}

fn now(why: &Why) -> String {
    let Some(member) = &why.member else { return format!("{:<20} {:>7}  {} is no member", "now", "", why.name) };
    let state = match member.state {
        MemberState::Reachable => "reachable".to_owned(),
        MemberState::Unreachable => "unreachable".to_owned(),
        MemberState::Restarting => format!("restarting, its place is kept until {}", moment(member.restarting_until_ms)),
    };
    format!("{:<20} {:>7}  {} is member {}, {state} for {}", "now", "", why.name, member.node, why.observer)
}

fn line(episode: &Episode) -> String {
    let (place, what) = match &episode.what {
        Happening::Committed { index, event } => (format!("#{index}"), committed(event)),
        Happening::Unreachable => (String::new(), "the asked node can not reach it".to_owned()),
        Happening::Reachable => (String::new(), "the asked node reaches it again".to_owned()),
        Happening::Accused { observer } => (String::new(), format!("{} told the leader that it can not reach it", name_of(observer))),
    };
    format!("{:<20} {place:>7}  {what}", moment(episode.at_ms))
}

fn committed(event: &Event) -> String {
    match event {
        Event::Joined { member, roles, neighborhood, supersedes } => {
            let roles = if roles.is_empty() { String::new() } else { format!(" as {}", roles.join(", ")) };
            let instead = supersedes.as_ref().map(|old| format!(" in the place of {}", old.node)).unwrap_or_default();
            format!("it joined{roles}: member {} in neighborhood {neighborhood}{instead}", member.node)
        }
        Event::Left { member, reason: LeaveReason::Failed, observers } => {
            let observers: Vec<String> = observers.iter().map(name_of).collect();
            format!("member {} was given up: {} could not reach it", member.node, observers.join(", "))
        }
        Event::Left { member, reason: LeaveReason::Asked, .. } => format!("member {} left, as it or an operator asked", member.node),
        Event::Left { member, reason: LeaveReason::Evicted, .. } => format!("an operator evicted member {}", member.node),
        Event::Voter { part: Part::None, .. } => "it has no part in the Raft group any more".to_owned(),
        Event::Voter { part: Part::Learner, .. } => "it follows the Raft group, to vote later".to_owned(),
        Event::Voter { part: Part::Voter, .. } => "it votes".to_owned(),
        Event::Restarting { until_ms, .. } => format!("it said that it restarts; its place is kept until {}", moment(Some(*until_ms))),
        Event::Restarted { .. } => "it is back from its restart".to_owned(),
        Event::Addresses { addresses, .. } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("it listens at {}", addresses.join(", "))
        }
        Event::Features { features, .. } if features.is_empty() => "it runs another version, without optional features".to_owned(),
        Event::Features { features, .. } => format!("it runs another version, with the optional features {}", features.join(", ")),
        Event::AuthorityHeld { .. } => "it can issue certificates".to_owned(),
        // None of these is about a member.
        Event::Split { .. }
        | Event::Merged { .. }
        | Event::EpochAdvanced { .. }
        | Event::AuthorityAnnounced { .. }
        | Event::AuthorityRetired {}
        | Event::FeatureOn { .. }
        | Event::CredentialCreated { .. }
        | Event::CredentialRevoked { .. } => String::new(),
    }
}

/// A moment to the second, in UTC.
pub(super) fn moment(at_ms: Option<u64>) -> String {
    let seconds = at_ms.and_then(|at| i64::try_from(at / 1000).ok());
    let moment = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| "before".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::model::MemberRef;

    #[test]
    fn a_failure_is_told_with_who_saw_it_when_and_where_it_stands_in_the_log() {
        let member = |node: &str, name: &str| MemberRef { node: node.to_owned(), name: Some(name.to_owned()) };
        let observers = vec![member("1.1", "eu1"), member("1.3", "eu3")];
        let event = Event::Left { member: member("1.7", "web1"), reason: LeaveReason::Failed, observers };
        let episode = Episode { at_ms: Some(1_795_259_806_123), what: Happening::Committed { index: 41, event } };
        assert_eq!(line(&episode), "2026-11-21T11:16:46Z     #41  member 1.7 was given up: eu1, eu3 could not reach it");
        let accused = Episode { at_ms: None, what: Happening::Accused { observer: member("1.3", "eu3") } };
        assert_eq!(line(&accused), "before                        eu3 told the leader that it can not reach it");
    }
}
