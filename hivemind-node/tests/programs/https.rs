//! The tool and a node that serves beyond its machine.

use std::process::Command;

use hivemind_node::http::model::{Members, Status};

use crate::host::{Host, free_port};
use crate::said::Said;

/// A machine that is no host of the cluster: it has no settings and no socket.
fn elsewhere(place: &Host, arguments: &[&str]) -> Command {
    let mut tool = place.tool();
    tool.args(arguments);
    tool
}

fn said(mut tool: Command) -> Said {
    Said::of(&tool.output().unwrap())
}

#[test]
fn a_node_is_asked_from_elsewhere_by_the_authority_and_a_credential_alone() {
    let port = free_port();
    let founder = Host::new();
    founder.init_with_http(&format!("0.0.0.0:{port}")).done();
    let _daemon = founder.start();
    let place = Host::new();
    let file = |name: &str, text: &str| {
        std::fs::write(place.path(name), text).unwrap();
        place.path(name).display().to_string()
    };
    let ca = file("ca.pem", &founder.ask(&["authority"]).done());
    let credential = file("credential", &founder.ask(&["credential", "create", "--right", "read"]).done());
    let at = format!("https://127.0.0.1:{port}");

    let named = ["--at", &at, "--node", "eu1", "--ca", &ca];
    let members: Members = said(elsewhere(&place, &[&["members", "--json", "--credential-file", &credential], &named[..]].concat())).json();
    assert_eq!(members.members.len(), 1);
    let mut by_environment = elsewhere(&place, &["status", "--json", "--node", "eu1"]);
    by_environment.env("HIVEMIND_ADDR", &at).env("HIVEMIND_CA_FILE", &ca).env("HIVEMIND_TOKEN_FILE", &credential);
    assert_eq!(said(by_environment).json::<Status>().name, "eu1");
    let own = founder.ask(&["status", "--json", "--at", &at, "--node", "eu1", "--credential-file", &credential]);
    assert_eq!(own.json::<Status>().name, "eu1", "a host of the cluster has the authority");

    let nobody = said(elsewhere(&place, &[&["members"], &named[..]].concat()));
    assert!(nobody.status == 1 && nobody.err.contains("this needs a credential"), "{nobody:?}");
    let weak = said(elsewhere(&place, &[&["evict", "eu1", "--credential-file", &credential], &named[..]].concat()));
    assert!(weak.status == 1 && weak.err.contains("the credential has `read`"), "{weak:?}");

    let stranger = Host::new();
    stranger.init().done();
    let foreign = file("foreign.pem", &stranger.ask(&["authority"]).done());
    for (arguments, status, words) in [
        (vec!["--at", &at, "--ca", &ca], 3, "ask by its name, or say it with --node"),
        (vec!["--at", &at, "--ca", &ca, "--node", "eu2"], 3, "another node of the cluster answers"),
        (vec!["--at", &at, "--ca", &foreign, "--node", "eu1"], 3, "it is of another cluster"),
        (vec!["--at", &at, "--ca", &credential], 2, "no authority of a cluster"),
        (vec!["--at", &at], 2, "https needs the cluster's authority"),
        (vec!["--at", "http://192.0.2.1:6553"], 2, "in the clear"),
        (vec!["--at", "http://eu1.example.org:6553"], 2, "in the clear"),
    ] {
        let said = said(elsewhere(&place, &[&["members", "--credential-file", &credential], &arguments[..]].concat()));
        assert!(said.status == status && said.err.contains(words), "{arguments:?}: {said:?}");
    }
    let plain = said(elsewhere(&place, &["members", "--at", &format!("http://127.0.0.1:{port}")]));
    assert!(plain.status == 1 && plain.err.contains("TLS is spoken here"), "{plain:?}");

    let doctor = founder.ask(&["doctor"]);
    assert!(doctor.done().lines().any(|line| line.starts_with("ok    https ")), "the certificate names what it can");
}
