//! The `[[service]]` entries of a host file.

use std::collections::BTreeSet;

use hivemind_sections::Service;

use super::error::Problem;
use super::reader::{Findings, Reader};
use super::rules::Rules;
use super::{MAX_SERVICES, MAX_TAGS, names, records};

const EXAMPLE: &str = "`[[service]]` with `name = \"web\"` and `port = 8080` below it";
const NAME_EXAMPLE: &str = "`name = \"web\"`";
const PORT_EXAMPLE: &str = "`port = 8080`";
const TAGS_EXAMPLE: &str = "`tags = [\"v2\"]`";

/// The services, with the octets at which they stand.
pub(crate) fn read(reader: &Reader<'_>, rules: &Rules, findings: &mut Findings) -> Vec<(usize, Service)> {
    let Some(field) = reader.optional("service") else { return Vec::new() };
    let mut services = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in field.entries(MAX_SERVICES, EXAMPLE, findings) {
        let Some(table) = entry.table(&["name", "port", "tags"], EXAMPLE, findings) else { continue };
        let name = name(&table, findings);
        let port = port(&table, findings);
        let tags = tags(&table, findings);
        let (Some(name), Some(port)) = (name, port) else { continue };
        if !seen.insert((name.clone(), port)) {
            entry.wrong(Problem::DuplicateService { name, port }, findings);
            continue;
        }
        let service = Service { name, port, tags };
        for derived in derived_names(&service, rules) {
            if let Err(problem) = records::check_derived(&derived) {
                findings.add(table.at(), table.key("name"), problem);
            }
        }
        services.push((entry.at, service));
    }
    services
}

/// The names that a service makes in the cluster's zone.
pub(crate) fn derived_names(service: &Service, rules: &Rules) -> Vec<String> {
    let (name, zone) = (&service.name, rules.cluster_zone());
    let mut names = vec![format!("{name}.service.{zone}"), format!("_{name}._tcp.service.{zone}")];
    for tag in &service.tags {
        names.push(format!("{tag}.{name}.service.{zone}"));
        names.push(format!("_{name}._{tag}.service.{zone}"));
    }
    names
}

fn name(table: &Reader<'_>, findings: &mut Findings) -> Option<String> {
    let field = table.required("name", NAME_EXAMPLE, findings)?;
    let label = names::label(field.string(NAME_EXAMPLE, findings)?, names::MAX_SERVICE_LABEL);
    label.map_err(|problem| field.wrong(problem, findings)).ok().map(String::from)
}

fn port(table: &Reader<'_>, findings: &mut Findings) -> Option<u16> {
    let field = table.required("port", PORT_EXAMPLE, findings)?;
    let written = field.integer(PORT_EXAMPLE, findings)?;
    let port = written.clone().ok().and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0);
    if port.is_none() {
        let shown = written.map_or_else(|text| text, |number| number.to_string());
        field.wrong(Problem::Port { port: shown }, findings);
    }
    port
}

fn tags(table: &Reader<'_>, findings: &mut Findings) -> Vec<String> {
    let Some(field) = table.optional("tags") else { return Vec::new() };
    let mut tags = Vec::new();
    for entry in field.entries(MAX_TAGS, TAGS_EXAMPLE, findings) {
        let Some(text) = entry.string(TAGS_EXAMPLE, findings) else { continue };
        match names::label(text, names::MAX_SERVICE_LABEL).map(String::from) {
            Ok(tag) if tags.contains(&tag) => entry.wrong(Problem::DuplicateTag { tag }, findings),
            Ok(tag) => tags.push(tag),
            Err(problem) => entry.wrong(problem, findings),
        }
    }
    tags
}
