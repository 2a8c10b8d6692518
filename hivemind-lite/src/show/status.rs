//! How the cluster fares.

use std::fmt::Write as _;
use std::sync::Arc;

use hivemind_core::machine::Phase;
use hivemind_core::view::View;

use super::{Kind, Life, NodePicture, Picture, count};
use crate::screen::escaped;

/// Whether the control plane can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// A quorum of voters says so.
    Ok,
    /// No quorum of voters says that it has one.
    Degraded,
}

impl Health {
    /// As judged by the voters themselves.
    pub fn of(picture: &Picture) -> Self {
        let voters = voters(picture);
        // Members that this process does not run vote too.
        let quorum = voters.len().max(picture.best_view().map_or(0, voting)) / 2 + 1;
        let knows_leader = |voter: &NodePicture| voter.status.as_ref().is_some_and(|status| status.leader.is_some());
        let fine =
            voters.iter().filter(|voter| voter.is_running() && !voter.sees_degraded() && is_member(voter) && knows_leader(voter)).count();
        if fine >= quorum { Health::Ok } else { Health::Degraded }
    }
}

/// Draws the status; `health` is the word to show for the health, coloured or not.
pub fn status(picture: &Picture, health: &str) -> String {
    let mut text = String::new();
    let mut line = |head: &str, value: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{head:<10} {value}");
    };
    line("cluster", &format!("{health}{}", judges(picture)));
    line("leader", &leader(picture));
    if let Some(view) = picture.best_view() {
        line("position", &view.facts.position().to_string());
        let known = match Health::of(picture) {
            Health::Ok => "",
            Health::Degraded => ", as last known: none joins or leaves without a quorum",
        };
        line("members", &format!("{}, of which {}{known}", view.facts.members().len(), count(voting(view), "voter")));
    }
    let hosts: Vec<&NodePicture> = picture.nodes.iter().filter(|node| node.kind == Kind::Host && node.life != Life::Gone).collect();
    line("hosts", &format!("{} of {} run", hosts.iter().filter(|host| host.is_running()).count(), hosts.len()));
    for server in picture.nodes.iter().filter(|node| node.kind == Kind::Dns) {
        match server.dns.as_slice() {
            [] => line(server.name.as_str(), "does not answer"),
            places => places.iter().for_each(|(address, answered)| {
                line(server.name.as_str(), &format!("{address}, {answered} {} answered", if *answered == 1 { "query" } else { "queries" }));
            }),
        }
    }
    let problems = problems(picture);
    match problems.as_slice() {
        [] => line("problems", "none"),
        _ => problems.iter().for_each(|problem| line("problem", &escaped(problem))),
    }
    text
}

/// How many members vote, in this view.
fn voting(view: &Arc<View>) -> usize {
    view.facts.voters().keys().filter(|node| view.facts.is_voter(**node)).count()
}

/// Who leads, as the latest term has it. A term of 0 is none: who is no voter, or was just started, only
/// heard of the leader.
fn leader(picture: &Picture) -> String {
    let known = picture.nodes.iter().filter_map(|node| node.status.as_ref()).filter_map(|status| Some((status.term, status.leader?)));
    match known.max_by_key(|(term, _)| *term) {
        Some((0, leader)) => format!("{}, by hearsay", picture.name_of(leader)),
        Some((term, leader)) => format!("{}, term {term}", picture.name_of(leader)),
        None => "none is known".to_owned(),
    }
}

fn voters(picture: &Picture) -> Vec<&NodePicture> {
    picture.nodes.iter().filter(|node| node.kind == Kind::Voter && !matches!(node.life, Life::Left | Life::Gone)).collect()
}

fn is_member(node: &NodePicture) -> bool {
    node.status.as_ref().is_some_and(|status| matches!(status.phase, Phase::Member | Phase::Resyncing))
}

/// Who finds the control plane without a quorum.
fn judges(picture: &Picture) -> String {
    let running: Vec<&NodePicture> = picture.nodes.iter().filter(|node| node.is_running()).collect();
    let (voters, others): (Vec<&NodePicture>, Vec<&NodePicture>) = running.into_iter().partition(|node| node.kind == Kind::Voter);
    let seen = |nodes: &[&NodePicture]| nodes.iter().filter(|node| node.sees_degraded()).count();
    if seen(&voters) + seen(&others) == 0 {
        return String::new();
    }
    format!(
        " (no quorum as seen by {} of {} that run, and by {} of {})",
        seen(&voters),
        count(voters.len(), "voter"),
        seen(&others),
        count(others.len(), "other node")
    )
}

fn problems(picture: &Picture) -> Vec<String> {
    let mut problems = Vec::new();
    for node in &picture.nodes {
        let name = &node.name;
        match &node.life {
            Life::Failed(why) => problems.push(format!("{name} does not run: {why}")),
            Life::Killed => problems.push(format!("{name} was killed; `start {name}` brings it back")),
            Life::Starting | Life::Running | Life::Left | Life::Gone => {}
        }
        if node.isolated {
            problems.push(format!("{name} is isolated; `heal` ends it"));
        }
        problems.extend(node.complaints.iter().map(|complaint| format!("{name}: {complaint}")));
    }
    problems.extend(picture.wrong_files.iter().cloned());
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sketch;

    #[test]
    fn an_ordinary_day_has_no_problems() {
        let picture = sketch::cluster();
        assert_eq!(Health::of(&picture), Health::Ok);
        assert_eq!(
            status(&picture, "ok"),
            "cluster    ok\n\
             leader     voter1, term 2\n\
             position   1.0-2\n\
             members    3, of which 1 voter\n\
             hosts      1 of 1 run\n\
             dns1       127.0.0.1:5300, 7 queries answered\n\
             problems   none\n"
        );
    }

    #[test]
    fn a_killed_voter_of_one_degrades_the_cluster_and_everything_wrong_is_named() {
        let mut picture = sketch::cluster();
        picture.nodes[0].life = Life::Killed;
        picture.nodes[0].status = None;
        picture.nodes[1].isolated = true;
        picture.nodes[2].complaints.push("role host: it panicked".to_owned());
        picture.wrong_files.push("web2.toml:1: x: unknown key `x`".to_owned());
        if let Some(status) = &mut picture.nodes[2].status {
            status.condition.degraded = true;
        }
        assert_eq!(Health::of(&picture), Health::Degraded);
        let text = status(&picture, "degraded");
        assert!(
            text.starts_with("cluster    degraded (no quorum as seen by 0 of 0 voters that run, and by 1 of 2 other nodes)\n"),
            "{text}"
        );
        for problem in [
            "problem    voter1 was killed; `start voter1` brings it back\n",
            "problem    dns1 is isolated; `heal` ends it\n",
            "problem    web1: role host: it panicked\n",
            "problem    web2.toml:1: x: unknown key `x`\n",
        ] {
            assert!(text.contains(problem), "{problem} in\n{text}");
        }
    }

    #[test]
    fn without_a_leader_that_a_voter_knows_nothing_is_ok() {
        let mut picture = sketch::cluster();
        if let Some(status) = &mut picture.nodes[0].status {
            status.leader = None;
        }
        assert_eq!(Health::of(&picture), Health::Degraded);
        let text = status(&picture, "degraded");
        assert!(text.contains("leader     none is known\n"), "{text}");
        assert!(text.contains("members    3, of which 1 voter, as last known: none joins or leaves without a quorum\n"), "{text}");
    }

    #[test]
    fn a_leader_is_not_said_to_lead_in_term_0() {
        let mut picture = sketch::cluster();
        if let Some(status) = &mut picture.nodes[0].status {
            status.term = 0;
        }
        assert!(status(&picture, "ok").contains("leader     voter1, by hearsay\n"));
    }

    #[test]
    fn one_node_that_is_cut_off_does_not_degrade_the_cluster() {
        let mut picture = sketch::cluster();
        if let Some(status) = &mut picture.nodes[2].status {
            status.condition.degraded = true;
        }
        assert_eq!(Health::of(&picture), Health::Ok);
        assert!(
            status(&picture, "ok").starts_with("cluster    ok (no quorum as seen by 0 of 1 voter that run, and by 1 of 2 other nodes)")
        );
    }
}
