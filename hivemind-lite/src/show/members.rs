//! All nodes, and what the log says of them.

use hivemind_core::view::View;
use hivemind_core::wire::member::MemberRecord;

use super::table::table;
use super::{Kind, Life, NodePicture, Picture, part_name};

/// Draws the table of members: the nodes of this process, then members that it does not run.
pub fn members(picture: &Picture) -> String {
    let view = picture.best_view().map(AsRef::as_ref);
    let mut rows: Vec<[String; 6]> = Vec::new();
    for node in &picture.nodes {
        let member = view.and_then(|view| view.facts.named(&node.name));
        // What is gone is shown for as long as the log knows it.
        if node.life != Life::Gone || member.is_some() {
            rows.push(own_row(node, view, member.map(AsRef::as_ref)));
        }
    }
    let strangers = view.into_iter().flat_map(|view| view.facts.members().values().map(move |member| (view, member)));
    for (view, member) in strangers.filter(|(_, member)| picture.node(&member.name).is_none()) {
        let state = if view.is_reachable(member.node) { "member, not run here" } else { "unreachable" };
        let address = member.addresses.first().map_or_else(|| "-".to_owned(), ToString::to_string);
        rows.push([
            member.name.to_string(),
            member.node.to_string(),
            roles(member),
            address,
            state.to_owned(),
            part(Some(view), Some(member)),
        ]);
    }
    table(["NAME", "ID", "ROLES", "ADDRESS", "STATE", "VOTE"], &rows)
}

fn own_row(node: &NodePicture, view: Option<&View>, member: Option<&MemberRecord>) -> [String; 6] {
    let dash = || "-".to_owned();
    let address = node.address.or_else(|| member.and_then(|member| member.addresses.first().copied()));
    [
        node.name.to_string(),
        member.map_or_else(dash, |member| member.node.to_string()),
        member.map_or_else(|| kind_roles(node.kind).to_owned(), roles),
        address.map_or_else(dash, |address| address.to_string()),
        state(node, view, member),
        part(view, member),
    ]
}

fn state(node: &NodePicture, view: Option<&View>, member: Option<&MemberRecord>) -> String {
    let unreachable = view.zip(member).is_some_and(|(view, member)| !view.is_reachable(member.node));
    match (&node.life, node.isolated) {
        (Life::Failed(_), _) => "failed".to_owned(),
        (Life::Killed, _) => "killed".to_owned(),
        (Life::Left, _) => "left".to_owned(),
        (Life::Gone, _) => "gone".to_owned(),
        (Life::Starting, _) => "starting".to_owned(),
        (Life::Running, true) => "isolated".to_owned(),
        (Life::Running, false) if unreachable => "unreachable".to_owned(),
        (Life::Running, false) => if member.is_some() { "alive" } else { "joining" }.to_owned(),
    }
}

fn part(view: Option<&View>, member: Option<&MemberRecord>) -> String {
    let part = view.zip(member).and_then(|(view, member)| view.facts.voters().get(&member.node).copied());
    part.map_or("-", part_name).to_owned()
}

fn roles(member: &MemberRecord) -> String {
    let names: Vec<&str> = member.roles.iter().map(|role| role.name.as_str()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(",") }
}

fn kind_roles(kind: Kind) -> &'static str {
    match kind {
        Kind::Voter => "-",
        Kind::Dns => "dns_processor",
        Kind::Host => "host",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sketch;

    #[test]
    fn every_node_has_a_line_with_its_state() {
        let mut picture = sketch::cluster();
        picture.nodes[1].isolated = true;
        assert_eq!(
            members(&picture),
            "NAME    ID   ROLES          ADDRESS         STATE     VOTE\n\
             voter1  1.1  -              127.0.0.1:4001  alive     voter\n\
             dns1    1.2  dns_processor  127.0.0.1:4002  isolated  -\n\
             web1    1.3  host           127.0.0.1:4003  alive     -\n"
        );
    }

    #[test]
    fn members_that_this_process_does_not_run_are_shown_and_nodes_that_are_none_too() {
        let mut picture = sketch::cluster();
        picture.nodes.remove(2);
        let mut left = picture.nodes[1].clone();
        left.name = sketch::name("web7");
        left.kind = Kind::Host;
        left.life = Life::Left;
        left.address = None;
        picture.nodes.push(left);
        let text = members(&picture);
        assert!(text.contains("web7    -    host           -               left                  -\n"), "{text}");
        assert!(text.contains("web1    1.3  host           127.0.0.1:4003  member, not run here  -\n"), "{text}");
    }
}
