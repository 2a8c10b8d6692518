//! The end of the event log.

use std::collections::BTreeMap;
use std::sync::Arc;

use hivemind_core::ids::{NodeId, NodeName, Position};
use hivemind_core::wire::access::{AccessChange, Right};
use hivemind_core::wire::event::{Event, LeaveReason};
use hivemind_core::wire::feature::FeatureName;
use hivemind_core::wire::trust::AuthorityChange;

use super::table::table;
use super::{Picture, part_name};

/// The end of the event log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Oldest first, each with the position after it.
    pub events: Vec<(Position, Arc<Event>)>,
    /// The names of members that joined, also of those that are none any more.
    pub names: BTreeMap<NodeId, NodeName>,
}

/// Draws the events, oldest first, each with its position.
pub fn events(picture: &Picture, log: &Log) -> String {
    if log.events.is_empty() {
        return "no events since this process started\n".to_owned();
    }
    let known = |node: NodeId| {
        let name = log.names.get(&node).map_or_else(|| picture.name_of(node), ToString::to_string);
        if name == node.to_string() { name } else { format!("{name} ({node})") }
    };
    let rows: Vec<[String; 2]> = log.events.iter().map(|(position, event)| [position.to_string(), told(event, known)]).collect();
    table(["POSITION", "EVENT"], &rows)
}

fn told(event: &Event, known: impl Fn(NodeId) -> String) -> String {
    match event {
        Event::Joined { member, neighborhood, supersedes, .. } => {
            let instead = supersedes.map_or_else(String::new, |old| format!(", instead of {old}"));
            format!("{} joined neighborhood {}{instead}", known(member.node), neighborhood.0)
        }
        Event::Left { node, reason: LeaveReason::Failed { observers }, .. } => {
            let observers: Vec<String> = observers.iter().map(|node| known(*node)).collect();
            format!("{} left: it failed, as seen by {}", known(*node), observers.join(", "))
        }
        Event::Left { node, reason: LeaveReason::Asked, .. } => format!("{} left: it was asked for", known(*node)),
        Event::Left { node, reason: LeaveReason::Evicted, .. } => format!("{} left: it was evicted", known(*node)),
        Event::Voter { member, part } => match part_name(*part) {
            "-" => format!("{} votes no more", known(member.node)),
            part => format!("{} is a {part} now", known(member.node)),
        },
        Event::Split { from, into, moved } => {
            format!("neighborhood {} was full: {} of its members are neighborhood {} now", from.0, moved.len(), into.0)
        }
        Event::Merged { from, into, members } => {
            format!("neighborhood {} became a part of {}, which has {} members now", from.0, into.0, members.len())
        }
        Event::Restarting { node, until } => format!("{} restarts, by {} ms after 1970", known(*node), until.0),
        Event::Restarted { node } => format!("{} is back", known(*node)),
        Event::Addresses { node, addresses, .. } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("{} listens at {}", known(*node), addresses.join(", "))
        }
        Event::EpochAdvanced { number, floor } => format!("history below {floor} was collected; the epoch's number is {number}"),
        Event::Access(AccessChange::CredentialCreated { id, credential }) => {
            format!("credential {id} ({}) was made: its bearer may {}", credential.label, right_name(credential.right))
        }
        Event::Access(AccessChange::CredentialRevoked { id }) => format!("credential {id} was revoked"),
        Event::Authority(AuthorityChange::Announced { .. }) => "another authority was announced".to_owned(),
        Event::Authority(AuthorityChange::Held { node, .. }) => format!("{} can issue certificates", known(*node)),
        Event::Authority(AuthorityChange::Retired) => "the former authority is trusted no more".to_owned(),
        Event::FeatureOn { feature } => format!("the feature {feature} was switched on"),
        Event::Features { node, features } => {
            let features: Vec<&str> = features.iter().map(FeatureName::as_str).collect();
            format!(
                "{} supports {}",
                known(*node),
                if features.is_empty() { "no optional feature".to_owned() } else { features.join(", ") }
            )
        }
    }
}

fn right_name(right: Right) -> &'static str {
    match right {
        Right::Read => "read",
        Right::Write => "read and write",
        Right::Admin => "do everything",
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::wire::event::VoterPart;

    use super::*;
    use crate::show::sketch;

    #[test]
    fn events_are_told_with_names_also_of_members_that_are_gone() {
        let picture = sketch::cluster();
        let gone = sketch::member(9, "web9", &[]);
        let failed = LeaveReason::Failed { observers: vec![sketch::id(1), sketch::id(77)] };
        let log = [
            Event::Joined { member: gone.clone(), neighborhood: Default::default(), supersedes: Some(sketch::id(8)), listed: vec![] },
            Event::Left { node: gone.node, reason: failed, listed: vec![] },
            Event::Voter { member: sketch::member(2, "dns1", &[]), part: VoterPart::Learner },
            Event::Voter { member: sketch::member(2, "dns1", &[]), part: VoterPart::None },
        ];
        let log = Log {
            events: (7..).zip(log).map(|(index, event)| (sketch::position(index), Arc::new(event))).collect(),
            names: BTreeMap::from([(gone.node, gone.name)]),
        };
        assert_eq!(
            events(&picture, &log),
            "POSITION  EVENT\n\
             1.0-7     web9 (1.9) joined neighborhood 0, instead of 1.8\n\
             1.0-8     web9 (1.9) left: it failed, as seen by voter1 (1.1), 1.77\n\
             1.0-9     dns1 (1.2) is a learner now\n\
             1.0-10    dns1 (1.2) votes no more\n"
        );
        assert_eq!(events(&picture, &Log::default()), "no events since this process started\n");
    }
}
