//! What the package brings, does and leaves.

use std::process::Child;

use hivemind_node::http::model::Members;

use crate::sandbox::Sandbox;

const FILES: [&str; 12] = [
    "/usr/bin/hivemind",
    "/usr/bin/hivemind-node",
    "/usr/lib/systemd/system/hivemind.service",
    "/usr/lib/sysusers.d/hivemind.conf",
    "/usr/share/doc/hivemind/copyright",
    "/usr/share/doc/hivemind/changelog.Debian.gz",
    "/usr/share/doc/hivemind/operating.md",
    "/usr/share/doc/hivemind/host-files.md",
    "/usr/share/doc/hivemind/examples/node.toml",
    "/usr/share/bash-completion/completions/hivemind",
    "/usr/share/zsh/vendor-completions/_hivemind",
    "/usr/share/fish/vendor_completions.d/hivemind.fish",
];

#[test]
fn the_package_brings_programs_unit_and_user() {
    let sandbox = Sandbox::installed();
    let listed = sandbox.sh("dpkg -L hivemind");
    for file in FILES {
        assert!(listed.lines().any(|line| line == file), "{file} is not in:\n{listed}");
    }
    let owners = "stat -c '%U:%G %a %n' /usr/bin/hivemind /usr/bin/hivemind-node /etc/hivemind /etc/hivemind/hosts.d /var/lib/hivemind";
    assert_eq!(
        sandbox.sh(owners),
        "root:root 755 /usr/bin/hivemind\nroot:root 755 /usr/bin/hivemind-node\nhivemind:hivemind 755 /etc/hivemind\n\
         hivemind:hivemind 755 /etc/hivemind/hosts.d\nhivemind:hivemind 700 /var/lib/hivemind\n"
    );
    let user = sandbox.sh("getent passwd hivemind");
    assert!(user.trim().ends_with(":/var/lib/hivemind:/usr/sbin/nologin"), "{user}");
    assert!(sandbox.sh("hivemind --version").starts_with("hivemind "));
}

/// What an operator has done on the first machine, with DNS at a port that takes the capability.
const INIT: &str = "hivemind init --name eu1 --listen 127.0.0.1:6550 --roles observer,dns_processor --dns-listen 127.0.0.1:53";
/// What is in the two folders and is not the service's.
const STRANGE: &str = "find /etc/hivemind /var/lib/hivemind ! -user hivemind -o ! -group hivemind";

/// A daemon in the sandbox. It is stopped as systemd stops it.
struct Daemon<'a> {
    sandbox: &'a Sandbox,
    child: Child,
}

impl<'a> Daemon<'a> {
    /// Runs the unit's command as its user, with its capability and no other right, and waits until it is ready: what systemd does, as
    /// far as that can be done without it. The words are those that the tool says.
    fn start(sandbox: &'a Sandbox, by_hand: &str) -> Self {
        let program = sandbox.sh("sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/hivemind.service");
        let setpriv = by_hand.strip_suffix("hivemind-node").unwrap();
        let script = format!("export NOTIFY_SOCKET={}; exec {setpriv} {program} 2>>/run/daemon.log", crate::sandbox::MANAGER);
        let child = sandbox.command("sh").args(["-ec", &script]).spawn().unwrap();
        sandbox.told("READY=1");
        Daemon { sandbox, child }
    }

    /// The process that holds the data.
    fn process(&self) -> String {
        self.sandbox.sh("cat /var/lib/hivemind/lock").trim().to_owned()
    }

    fn stop(mut self) {
        self.sandbox.sh(&format!("kill -TERM {}", self.process()));
        self.sandbox.told("STOPPING=1");
        assert!(self.child.wait().unwrap().success());
    }
}

fn membership(sandbox: &Sandbox) -> String {
    let list: Members = sandbox.ask("hivemind members --json").json();
    assert_eq!(list.members.len(), 1);
    list.members[0].node.clone()
}

#[test]
fn the_service_user_runs_what_root_made_and_data_goes_with_a_purge_alone() {
    let sandbox = Sandbox::installed();
    let said = sandbox.ask(INIT);
    assert!(said.status == 0 && said.out.starts_with("hmc1-"), "{said:?}");
    let by_hand = said.err.lines().find_map(|line| line.strip_prefix("start it: ")).unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(sandbox.sh(STRANGE), "");

    let daemon = Daemon::start(&sandbox, by_hand);
    let process = daemon.process();
    assert_eq!(
        sandbox.sh(&format!("stat -c %U /proc/{process}; sed -n 's/^CapEff:\\s*//p' /proc/{process}/status")),
        "hivemind\n0000000000000400\n"
    );
    let before = membership(&sandbox);
    assert_eq!(sandbox.sh("stat -c '%U %a' /var/lib/hivemind/hivemind.sock"), "hivemind 660\n");
    daemon.stop();

    sandbox.sh("dpkg -r hivemind");
    assert_eq!(sandbox.ask("ls /usr/bin/hivemind-node").status, 2);
    sandbox.sh("test -s /var/lib/hivemind/identity -a -s /etc/hivemind/node.toml");
    sandbox.sh("dpkg -i /opt/hivemind.deb");
    assert_eq!(sandbox.sh(STRANGE), "");
    let daemon = Daemon::start(&sandbox, by_hand);
    assert_eq!(membership(&sandbox), before, "it went on as the same member");
    // An upgrade leaves what runs alone where there is no systemd.
    sandbox.sh("dpkg -i /opt/hivemind.deb");
    assert_eq!(membership(&sandbox), before);
    daemon.stop();

    sandbox.sh("dpkg --purge hivemind");
    assert_eq!(sandbox.sh("ls -d /etc/hivemind /var/lib/hivemind 2>/dev/null || true"), "");
}
