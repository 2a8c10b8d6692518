//! The HTTP interface of a real `hivemind-lite`.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod lite;

use hivemind_node::http::model::{MemberState, Members, Services, Status};
use lite::http::{get, until};
use lite::{Hosts, Lite};

const WEB: &str = "addresses = ['10.0.0.1']\n[[service]]\nname = 'web'\nport = 80\n";

#[test]
fn voter1_tells_of_the_cluster_over_http_while_it_runs() {
    let hosts = Hosts::new(&[("web1.toml", WEB), ("web2.toml", WEB)]);
    let mut lite = Lite::start(&["--hosts", hosts.dir(), "--dns", "1"]);
    let at = lite.http();

    let services: Services = until(at, "/api/v1/services", |services: &Services| services.complete && services.total == 2);
    let hosts_of: Vec<&str> = services.services.iter().map(|service| service.host.as_str()).collect();
    assert_eq!(hosts_of, ["web1", "web2"]);
    until(at, "/api/v1/status?consistency=linearizable", |status: &Status| status.name == "voter1" && status.members == 6);
    assert!(get(at, "/").unwrap().contains("web2"));

    lite.say("kill web2", "killed web2");
    let gone = |members: &Members| members.members.iter().all(|one| one.name != "web2" || one.state == MemberState::Unreachable);
    until(at, "/api/v1/members", gone);

    lite.say("kill voter1", "killed voter1");
    assert_eq!(get(at, "/healthz"), None, "it is gone as in a crash");
    lite.say("start voter1", "started voter1");
    until(at, "/api/v1/services", |services: &Services| services.complete);
    lite.quit();
}
