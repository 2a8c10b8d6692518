//! The bodies. Each starts its own cluster, says what must become of it, and gives the stage back.

mod bootstrap;
mod crash;
mod degraded;
mod fence;
mod join;
mod leave;
mod publish;
mod refuse;
mod resume;

use std::time::Duration;

use hivemind_core::ids::Seq;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::event::VoterPart;
use hivemind_lite::sim::roles;

pub use bootstrap::{a_later_consumer_gets_everything_from_its_fellows, the_first_consumer_gets_everything_from_the_hosts};
pub use crash::{
    a_host_that_is_back_before_its_leave_keeps_its_id, a_killed_host_leaves_and_comes_back_under_a_new_id,
    a_killed_leader_is_replaced_and_votes_again_when_it_is_back,
};
pub use degraded::without_a_quorum_all_say_so_and_everything_but_membership_goes_on;
pub use fence::{who_is_below_the_floor_resyncs_and_keeps_its_id, who_was_cut_off_below_the_floor_resyncs_and_keeps_its_id};
pub use join::a_node_joins_through_a_member_that_does_not_vote;
pub use leave::{a_node_that_is_evicted_stays_out, a_node_that_leaves_is_gone_for_all, a_node_that_others_let_leave_stays_away};
pub use publish::{a_change_reaches_every_consumer, a_stale_config_never_overwrites_a_newer_one};
pub use refuse::a_name_in_use_by_another_key_is_refused_and_nothing_else_happens;
pub use resume::a_node_that_restarts_with_its_data_goes_on_as_the_same_member;

use crate::{NodeSpec, Part, Stage, ViewsByName, bounds, name};

/// The voters of every scenario.
const VOTERS: [&str; 3] = ["voter1", "voter2", "voter3"];
/// How long a node that says that it restarts keeps its place: longer than any scenario takes.
const GRACE: Duration = Duration::from_secs(600);

/// Calls a macro with the names of all bodies: what plays them leaves none out.
#[macro_export]
macro_rules! every_body {
    ($call:ident) => {
        $call! {
            a_change_reaches_every_consumer,
            a_host_that_is_back_before_its_leave_keeps_its_id,
            a_killed_host_leaves_and_comes_back_under_a_new_id,
            a_killed_leader_is_replaced_and_votes_again_when_it_is_back,
            a_later_consumer_gets_everything_from_its_fellows,
            a_name_in_use_by_another_key_is_refused_and_nothing_else_happens,
            a_node_joins_through_a_member_that_does_not_vote,
            a_node_that_is_evicted_stays_out,
            a_node_that_leaves_is_gone_for_all,
            a_node_that_others_let_leave_stays_away,
            a_node_that_restarts_with_its_data_goes_on_as_the_same_member,
            a_stale_config_never_overwrites_a_newer_one,
            the_first_consumer_gets_everything_from_the_hosts,
            who_is_below_the_floor_resyncs_and_keeps_its_id,
            who_was_cut_off_below_the_floor_resyncs_and_keeps_its_id,
            without_a_quorum_all_say_so_and_everything_but_membership_goes_on,
        }
    };
}

/// A body over some stage.
pub type Body<S> = fn(<S as Stage>::Options) -> S;

/// Every body with its name.
pub fn all<S: Stage>() -> Vec<(&'static str, Body<S>)> {
    macro_rules! named {
        ($($body:ident),* $(,)?) => { vec![$((stringify!($body), $body::<S> as Body<S>)),*] };
    }
    every_body!(named)
}

/// A node that may vote.
fn voter(text: &str) -> NodeSpec {
    NodeSpec { name: name(text), part: Part::Voter, sections: Vec::new() }
}

/// A node that consumes every kind.
fn consumer(text: &str) -> NodeSpec {
    NodeSpec { name: name(text), part: Part::Consumer, sections: Vec::new() }
}

/// A host with something to say from its start: version 0 of what host `number` says.
fn host(text: &str, number: u32) -> NodeSpec {
    NodeSpec { name: name(text), part: Part::Host, sections: roles::sections(number, 0) }
}

/// A cluster of three voters and these, when all know all, three vote, and every consumer has what there is.
fn formed<S: Stage>(options: S::Options, others: Vec<NodeSpec>) -> S {
    let cast: Vec<NodeSpec> = VOTERS.map(voter).into_iter().chain(others).collect();
    let members = cast.len();
    let mut stage = S::open(options, cast);
    let bound = bounds::join(stage.settings()) * 3;
    stage.wait_until("all know all, three vote, all consumers are complete", bound, |views| {
        all_know(views, members, members) && views.values().all(|view| votes(view) == 3 && holds_every_host(view))
    });
    stage
}

/// Whether so many nodes run, and each knows exactly so many members, at one position.
fn all_know(views: &ViewsByName, running: usize, members: usize) -> bool {
    let mut positions = views.values().map(|view| view.facts.position());
    let first = positions.next();
    views.len() == running
        && positions.all(|position| Some(position) == first)
        && views.values().all(|view| view.facts.members().len() == members && !view.condition.stale)
}

fn votes(view: &View) -> usize {
    view.facts.voters().values().filter(|part| **part == VoterPart::Voter).count()
}

/// Whether a view is not a consumer's, or is complete and has a config of every host.
fn holds_every_host(view: &View) -> bool {
    let consumes = view.facts.member(view.node).is_some_and(|member| member.is_consumer());
    let hosts = view.facts.members().values().filter(|member| member.is_host()).count();
    !consumes || (!view.condition.incomplete && view.hosts().count() == hosts)
}

/// The version of a host's config that is in force in a view.
fn version(view: &View, host: &str) -> Option<Seq> {
    view.config_of(&name(host)).map(|signed| signed.config.seq)
}

/// Whether a node's view has this version of a host's config in force.
fn has_version(views: &ViewsByName, node: &str, host: &str, seq: Seq) -> bool {
    views.get(node).is_some_and(|view| version(view, host) == Some(seq))
}

/// Proposes, and insists that it is committed.
fn commit(stage: &mut impl Stage, at: &str, command: Command) {
    let outcome = stage.propose(at, command.clone());
    assert!(matches!(outcome, Outcome::Committed { .. }), "{command:?} at {at}: {outcome:?}");
}

/// Lets nodes say that they restart, so that they keep their place while they are silent.
fn announce_restarts(stage: &mut impl Stage, names: &[&str]) {
    for text in names {
        let node = stage.id(text);
        commit(stage, text, Command::Restarting { node, grace: GRACE });
    }
}

/// Kills nodes after they have said that they restart.
fn kill_with_grace(stage: &mut impl Stage, names: &[&str]) {
    announce_restarts(stage, names);
    names.iter().for_each(|text| stage.kill(text));
}

/// A view in one line, for a failure.
pub(crate) fn sketch(node: &str, view: &View) -> String {
    let members: Vec<String> = view.facts.members().values().map(|member| format!("{}={}", member.name, member.node)).collect();
    let configs: Vec<String> = view.hosts().map(|(member, config)| format!("{}:{}", member.name, config.config.seq)).collect();
    let (position, unreachable) = (view.facts.position(), &view.unreachable);
    format!(
        "{node} {} at {position}, {:?}, {} vote, members {}, configs {}, unreachable {unreachable:?}",
        view.node,
        view.condition,
        votes(view),
        members.join(" "),
        configs.join(" "),
    )
}
