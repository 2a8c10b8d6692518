//! What a daemon publishes of its folder of host files.

use hivemind_node::http::model::Services;
use rustix::process::Signal;

use crate::host::{Daemon, Host, free_port};

/// A founder that publishes what stands in its `hosts.d`, not yet started.
fn publisher() -> Host {
    let host = Host::new();
    let listen = format!("127.0.0.1:{}", free_port());
    let data = host.data();
    let place = ["--listen", &listen, "--http-listen", "127.0.0.1:0", "--data-dir", &data];
    host.ask(&[&["init", "--name", "eu1", "--roles", "host"], &place[..]].concat()).done();
    host
}

fn write(host: &Host, file: &str, text: &str) {
    std::fs::write(host.path("hosts.d").join(file), text).unwrap();
}

fn service(name: &str, port: u16) -> String {
    format!("[[service]]\nname = \"{name}\"\nport = {port}\n")
}

fn ports(services: &Services) -> Vec<u16> {
    let mut ports: Vec<u16> = services.services.iter().map(|service| service.port).collect();
    ports.sort_unstable();
    ports
}

fn published_are(host: &Host, expected: &[u16]) {
    host.ask_until(&["services", "--json"], |services: &Services| ports(services) == expected);
}

fn restarted(host: &Host, daemon: Daemon) -> (Daemon, String) {
    daemon.signal(Signal::TERM);
    host.told("STOPPING=1");
    let (status, log) = daemon.ended();
    assert_eq!(status, 0, "{log}");
    (host.start(), log)
}

#[test]
fn all_files_of_the_folder_are_one_host_and_a_wrong_one_takes_nothing_away() {
    let host = publisher();
    write(&host, "10-base.toml", "name = \"eu1\"\naddresses = [\"10.0.0.1\"]\n");
    write(&host, "web.toml", &service("web", 80));
    let daemon = host.start();
    published_are(&host, &[80]);
    write(&host, "db.toml", &service("db", 5432));
    published_are(&host, &[80, 5432]);

    write(&host, "web.toml", "prot = 81\n");
    std::fs::remove_file(host.path("hosts.d/db.toml")).unwrap();
    let (daemon, _) = restarted(&host, daemon);
    published_are(&host, &[80, 5432]);
    write(&host, "web.toml", &service("web", 81));
    published_are(&host, &[81]);
    let (daemon, log) = restarted(&host, daemon);
    assert!(log.contains("web.toml:1: prot: unknown key `prot`"), "{log}");

    write(&host, "other.toml", "name = \"eu2\"\naddresses = [\"10.0.0.2\"]\n");
    write(&host, "twice.toml", &service("web", 81));
    let (daemon, _) = restarted(&host, daemon);
    published_are(&host, &[81]);
    std::fs::remove_file(host.path("hosts.d/other.toml")).unwrap();
    write(&host, "twice.toml", &service("web", 82));
    published_are(&host, &[81, 82]);

    for file in ["10-base.toml", "web.toml", "twice.toml"] {
        std::fs::remove_file(host.path("hosts.d").join(file)).unwrap();
    }
    published_are(&host, &[]);
    let (_daemon, log) = restarted(&host, daemon);
    assert!(log.contains("other.toml:1: name: the files here are parts of the host `eu1`, and this one says that it is of `eu2`"), "{log}");
    assert!(
        log.contains("web.toml:1: service[0]: the service `web` on port 81 stands at ") && log.contains("twice.toml:1 already"),
        "{log}"
    );
    published_are(&host, &[]);
}
