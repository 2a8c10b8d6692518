//! What is refused, with which words and which status.

use std::io::Write as _;
use std::process::Stdio;

use crate::host::Host;

#[test]
fn a_token_that_admits_nobody_is_told_why() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create"]).done();
    let token = token.trim();
    let host = Host::new();
    let other = if &token[20..21] == "_" { "-" } else { "_" };
    for (wrong, words) in
        [("hello", "a join token begins with"), (&token[..60], "cut off"), (&token.replace(&token[20..21], other), "join token")]
    {
        let said = host.join(&[wrong], "web1");
        assert!(said.status == 2 && said.err.contains(words), "{wrong}: {said:?}");
    }
    assert!(!host.path("node.toml").exists());
    let said = host.join(&[token, "--roles", "observer"], "web1");
    assert!(said.status == 1 && said.err.contains("observer"), "{said:?}");

    let mut joining = host.tool();
    let data = host.data();
    joining.args(["join", "-", "--name", "web1", "--listen", "127.0.0.1:0", "--data-dir", &data]).stdin(Stdio::piped());
    let mut joining = joining.spawn().unwrap();
    joining.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    assert!(joining.wait().unwrap().success(), "the token came on standard input");
    let said = Host::new().join(&[token], "web2");
    assert!(said.status == 1 && said.err.contains("the cluster refuses this node"), "used up: {said:?}");

    let token = founder.ask(&["token", "create", "--uses", "5", "--label", "second"]).done();
    let listed: hivemind_node::http::model::Tokens = founder.ask(&["token", "list", "--json"]).json();
    let id = &listed.tokens.iter().find(|token| token.label == "second").unwrap().id;
    founder.ask(&["token", "revoke", &id[..10]]).done();
    let said = Host::new().join(&[token.trim()], "web2");
    assert!(said.status == 1 && said.err.contains("the cluster refuses this node"), "revoked: {said:?}");
    assert_eq!(founder.ask(&["token", "revoke", "zz"]).status, 1);
}

#[test]
fn a_token_whose_time_is_over_admits_nobody_more() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--ttl", "1s", "--uses", "2000"]).done();
    let mut hosts = (0..2_000).map(|number| (Host::new(), format!("web{number}")));
    let refused = hosts.find_map(|(host, name)| {
        let said = host.join(&[token.trim()], &name);
        (said.status != 0).then_some((host, said))
    });
    let (host, said) = refused.unwrap();
    assert!(said.status == 1 && said.err.contains("the join token has expired; ask for a new one"), "{said:?}");
    assert!(!host.path("node.toml").exists());
}

#[test]
fn one_data_folder_serves_one_daemon_of_a_known_format() {
    let (founder, daemon) = Host::founder();
    let said = founder.run();
    assert!(said.status == 1 && said.err.contains(&format!("is in use by process {}", daemon.id())), "{said:?}");
    let said = founder.init();
    assert!(said.status == 1 && said.err.contains("this host is a node"), "{said:?}");
    assert_eq!(founder.ask(&["members"]).status, 0, "the first one goes on");
    drop(daemon);
    std::fs::write(founder.path("data/format"), "hivemind data folder, format 99\n").unwrap();
    let said = founder.run();
    assert!(said.status == 1 && said.err.contains("is of format 99, and this program speaks 1"), "{said:?}");
}

#[test]
fn settings_that_are_wrong_are_told_by_line() {
    let host = Host::new();
    let said = host.run();
    assert!(said.status == 2 && said.err.contains("`hivemind init` or `hivemind join` writes it"), "{said:?}");
    std::fs::write(host.path("node.toml"), "name = \"eu1\"\nlisten = \"127.0.0.1\"\nsed = []\n").unwrap();
    let said = host.run();
    assert!(said.status == 2 && said.err.contains("node.toml:3: sed: there is no such setting; did you mean `seeds`?"), "{said:?}");
    let said = host.ask(&["members"]);
    assert!(said.status == 3 && said.err.contains("did you mean `seeds`?"), "no daemon either: {said:?}");
}

#[test]
fn the_status_says_how_far_it_went() {
    let (founder, daemon) = Host::founder();
    let said = founder.ask(&["leave"]);
    assert!(said.status == 1 && said.err.contains("nothing was done"), "the only voter stays: {said:?}");
    assert_eq!(founder.ask(&["evict", "nobody"]).status, 1);
    assert_eq!(founder.ask(&["evict", "No Name"]).status, 2);
    assert_eq!(founder.ask(&["token", "create", "--ttl", "1"]).status, 2);
    assert_eq!(founder.ask(&["membres"]).status, 2);
    assert_eq!(founder.ask(&["members", "--at", "ftp://127.0.0.1:1"]).status, 2);
    assert_eq!(founder.ask(&["members", "--at", "https://127.0.0.1:1"]).status, 3);
    drop(daemon);
    let said = founder.ask(&["members"]);
    assert!(said.status == 3 && said.err.contains("check that hivemind-node runs there"), "{said:?}");
    assert_eq!(founder.ask(&["members", "--at", "http://127.0.0.1:1"]).status, 3);
}

#[test]
fn host_files_are_checked_without_asking_anybody() {
    let host = Host::new();
    std::fs::write(host.path("web1.toml"), "addresses = [\"10.0.0.1\"]\n").unwrap();
    std::fs::write(host.path("web2.toml"), "adresses = [\"10.0.0.1\"]\n").unwrap();
    let file = |name: &str| host.path(name).display().to_string();
    assert_eq!(host.ask(&["check", &file("web1.toml")]).done(), "");
    let said = host.ask(&["check", &file("web1.toml"), &file("web2.toml")]);
    assert!(said.status == 1 && said.out.contains("did you mean `addresses`?"), "{said:?}");
    assert!(said.err.contains("each as a host of its own: 2, mistakes: 1"), "{said:?}");
    assert!(host.ask(&["completions", "bash"]).done().contains("hivemind"));
}

#[test]
fn host_files_of_a_node_are_checked_as_the_parts_of_its_host() {
    let host = Host::new();
    std::fs::create_dir(host.path("hosts.d")).unwrap();
    let service = "[[service]]\nname = \"web\"\nport = 80\n";
    for (file, text) in [("a.toml", service.to_owned()), ("b.toml", format!("name = \"eu2\"\n{service}"))] {
        std::fs::write(host.path("hosts.d").join(file), text).unwrap();
    }
    let folder = host.path("hosts.d").display().to_string();
    let twice =
        format!("{folder}/b.toml:2: service[0]: the service `web` on port 80 stands at {folder}/a.toml:1 already; remove one of the two\n");
    assert_eq!(host.ask(&["check", &folder]).done(), "", "no settings: two hosts");
    let said = host.ask(&["check", "--host", "eu2", &folder]);
    assert_eq!((said.status, said.out.as_str()), (1, twice.as_str()), "{said:?}");
    let settings = "name = \"eu2\"\nlisten = \"127.0.0.1:1\"\n[roles.host]\nzones = [\"a.test.\"]\n";
    std::fs::write(host.path("node.toml"), settings).unwrap();
    let said = host.ask(&["check", &folder]);
    assert!(said.out == twice && said.err.contains("as parts of the host eu2: 2, mistakes: 1"), "{said:?}");
    assert_eq!(host.ask(&["check", "--each", &folder]).done(), "");
    std::fs::write(host.path("hosts.d/a.toml"), "[[dns]]\nname = \"x.a.test\"\ntype = \"A\"\ndata = \"10.0.0.1\"\n").unwrap();
    assert_eq!(host.ask(&["check", &folder]).done(), "", "the zones are the node's");
    let said = host.ask(&["check", "--host", "eu2", &folder]);
    assert!(said.status == 1 && said.out.contains("outside the zones of this cluster (hive.)"), "{said:?}");
    let said = host.ask(&["--json", "check", "--host", "eu3", "--zone", "a.test", &folder]);
    assert!(said.out.contains("\"host\":\"eu3\"") && said.out.contains("this one says that it is of `eu2`"), "{said:?}");
    std::fs::write(host.path("node.toml"), "name = 1").unwrap();
    let said = host.ask(&["check", &folder]);
    assert!(said.status == 2 && said.err.contains("say --host NAME or --each"), "{said:?}");
}
