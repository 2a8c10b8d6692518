//! What each host publishes, and which dns_processors hold it.

use std::sync::Arc;

use hivemind_core::ids::{NodeId, NodeName};
use hivemind_core::wire::config::SignedConfig;

use super::table::table;
use super::{Kind, NodePicture, Picture, ago};

/// Draws the table of configs, one line per host name that any dns_processor knows or that runs here.
pub fn configs(picture: &Picture) -> String {
    let mut names: Vec<NodeName> = consumers(picture)
        .flat_map(|server| server.view.iter())
        .flat_map(|view| view.hosts().map(|(member, _)| member.name.clone()))
        .collect();
    names.extend(picture.nodes.iter().filter(|node| node.published.is_some() && node.is_running()).map(|node| node.name.clone()));
    names.sort_unstable();
    names.dedup();
    let rows: Vec<[String; 6]> = names.iter().map(|name| row(picture, name)).collect();
    table(["HOST", "FROM", "SEQ", "AGE", "SECTIONS", "IN FORCE AT"], &rows)
}

fn consumers(picture: &Picture) -> impl Iterator<Item = &NodePicture> {
    picture.nodes.iter().filter(|node| node.kind == Kind::Dns && node.is_running())
}

fn row(picture: &Picture, name: &NodeName) -> [String; 6] {
    let held: Vec<(&NodePicture, &Arc<SignedConfig>)> = consumers(picture)
        .filter_map(|server| server.view.as_ref().and_then(|view| view.config_of(name)).map(|config| (server, config)))
        .collect();
    let newest = held.iter().map(|(_, config)| *config).max_by_key(|config| (config.config.node, config.config.seq));
    let dash = || "-".to_owned();
    let published = picture.node(name).and_then(|node| node.published);
    // A host publishes again under its new membership what it published before it was a member.
    let age = published.filter(|(seq, _)| newest.is_none_or(|newest| newest.config.seq >= *seq)).map(|(_, age)| ago(age));
    let seq = newest.map(|newest| newest.config.seq).or(published.map(|(seq, _)| seq));
    [
        name.to_string(),
        newest.map_or_else(dash, |newest| from(newest.config.node)),
        seq.map_or_else(dash, |seq| seq.to_string()),
        age.unwrap_or_else(dash),
        newest.map_or_else(dash, |newest| sections(newest)),
        in_force(&held, newest),
    ]
}

fn from(node: NodeId) -> String {
    node.to_string()
}

fn sections(config: &SignedConfig) -> String {
    let each: Vec<String> = config.config.sections.iter().map(|section| format!("{} ({} B)", section.kind, section.body.len())).collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}

/// Who holds the newest version; who holds an older one, with that.
fn in_force(held: &[(&NodePicture, &Arc<SignedConfig>)], newest: Option<&Arc<SignedConfig>>) -> String {
    let each: Vec<String> = held
        .iter()
        .map(|(server, config)| match newest {
            Some(newest) if newest.config.seq == config.config.seq && newest.config.node == config.config.node => server.name.to_string(),
            Some(_) | None => format!("{} (seq {})", server.name, config.config.seq),
        })
        .collect();
    if each.is_empty() { "none".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sketch;

    #[test]
    fn a_config_is_shown_with_its_origin_its_sections_and_its_holders() {
        let picture = sketch::cluster();
        assert_eq!(
            configs(&picture),
            "HOST  FROM  SEQ  AGE    SECTIONS                   IN FORCE AT\n\
             web1  1.3   4    1 min  host (3 B), service (5 B)  dns1\n"
        );
    }

    #[test]
    fn a_config_that_no_server_holds_yet_is_shown_as_published() {
        let mut picture = sketch::cluster();
        picture.nodes.remove(1);
        assert!(configs(&picture).contains("web1  -     4    1 min  -         none\n"), "{}", configs(&picture));
    }
}
