//! What is printed once the cluster is ready: where DNS listens, and commands to copy.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hivemind_host::HostFile;
use hivemind_sections::RecordData;

use crate::show::count;

/// Greets whoever started a cluster of so many voters with these DNS servers, this HTTP server and hosts, in the zone `zone`.
pub fn greeting(voters: usize, servers: &[SocketAddr], http: SocketAddr, hosts: &[HostFile], zone: &str, took: Duration) -> String {
    let mut text = format!(
        "ready in {:.1} s: {}, {}, {}\n",
        took.as_secs_f64(),
        count(voters, "voter"),
        count(servers.len(), "dns_processor"),
        count(hosts.len(), "host")
    );
    for (number, server) in (1..).zip(servers) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "dns{number} listens on {server}, UDP and TCP");
    }
    let _ = writeln!(text, "voter1 serves http://{http}/");
    let Some(server) = servers.first() else { return text };
    let queries = queries(hosts, zone.trim_end_matches('.'));
    if !queries.is_empty() {
        text.push_str("\ntry:\n");
    }
    for query in queries {
        let _ = writeln!(text, "  dig @{} -p {} {query}", server.ip(), server.port());
    }
    text
}

/// Queries that the host files answer, from the host that says most.
fn queries(hosts: &[HostFile], zone: &str) -> Vec<String> {
    let richness = |host: &HostFile| {
        let families = [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|family| host.host.addresses.iter().any(family));
        let tagged = host.service.services.iter().any(|service| !service.tags.is_empty());
        let has =
            [families[0], families[1], !host.service.services.is_empty(), tagged, cname(host).is_some(), !host.dns.records.is_empty()];
        has.into_iter().filter(|has| *has).count()
    };
    // The last of several that say as much would be found; the first is wanted.
    let Some(host) = hosts.iter().rev().max_by_key(|host| richness(host)) else { return Vec::new() };
    let mut queries = Vec::new();
    let name = &host.name;
    if let Some(kind) = host.host.addresses.first().map(address_type) {
        queries.push(format!("{name}.node.{zone} {kind}"));
        if let Some(service) = host.service.services.first() {
            queries.push(format!("{}.service.{zone} {kind}", service.name));
            queries.push(format!("_{}._tcp.service.{zone} SRV", service.name));
        }
    }
    if let Some(record) = cname(host) {
        queries.push(format!("+tcp {} CNAME", record.trim_end_matches('.')));
    } else if let Some(record) = host.dns.records.first() {
        queries.push(format!("+tcp {} {}", record.name.trim_end_matches('.'), record.data.type_name()));
    }
    queries
}

fn cname(host: &HostFile) -> Option<&str> {
    host.dns.records.iter().find(|record| matches!(record.data, RecordData::Cname(_))).map(|record| record.name.as_str())
}

fn address_type(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hivemind_host::file::{Rules, parse};

    use super::*;

    fn host(name: &str, text: &str) -> HostFile {
        let rules = Rules::new("hive.").unwrap().with_zone("example.org.").unwrap();
        parse(Path::new(name), text.as_bytes(), &rules).unwrap()
    }

    fn http() -> SocketAddr {
        "127.0.0.1:6553".parse().unwrap()
    }

    #[test]
    fn the_commands_are_about_the_host_that_says_most() {
        let poor = host("a.toml", "addresses = ['fd00::1']");
        let rich = host(
            "web1.toml",
            "addresses = ['10.0.0.11']\n[[service]]\nname = 'web'\nport = 80\n[[dns]]\nname = 'blog.example.org'\ntype = 'CNAME'\ndata = 'web1.node.hive.'",
        );
        let servers = ["127.0.0.1:5300".parse().unwrap(), "127.0.0.1:5301".parse().unwrap()];
        assert_eq!(
            greeting(3, &servers, http(), &[poor, rich], "hive.", Duration::from_millis(840)),
            "ready in 0.8 s: 3 voters, 2 dns_processors, 2 hosts\n\
             dns1 listens on 127.0.0.1:5300, UDP and TCP\n\
             dns2 listens on 127.0.0.1:5301, UDP and TCP\n\
             voter1 serves http://127.0.0.1:6553/\n\n\
             try:\n  \
             dig @127.0.0.1 -p 5300 web1.node.hive A\n  \
             dig @127.0.0.1 -p 5300 web.service.hive A\n  \
             dig @127.0.0.1 -p 5300 _web._tcp.service.hive SRV\n  \
             dig @127.0.0.1 -p 5300 +tcp blog.example.org CNAME\n"
        );
    }

    #[test]
    fn a_cluster_without_hosts_or_servers_is_greeted_too() {
        assert_eq!(
            greeting(1, &[], http(), &[], "hive.", Duration::ZERO),
            "ready in 0.0 s: 1 voter, 0 dns_processors, 0 hosts\nvoter1 serves http://127.0.0.1:6553/\n"
        );
        let server = ["[::1]:53".parse().unwrap()];
        let hosts = [host("a.toml", "addresses = ['fd00::1']")];
        assert!(greeting(1, &server, http(), &hosts, "hive.", Duration::ZERO).ends_with("try:\n  dig @::1 -p 53 a.node.hive AAAA\n"));
    }
}
