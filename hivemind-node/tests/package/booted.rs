//! The service under a systemd that was booted for it, in a copy of this machine.

use hivemind_node::http::model::Members;

use crate::sandbox::Sandbox;

/// What an operator has done on the first machine; DNS is at a port that takes the capability.
const INIT: &str = "hivemind init --name eu1 --listen 127.0.0.1:6550 --roles observer,dns_processor --dns-listen 127.0.0.1:53";

fn membership(machine: &Sandbox) -> String {
    let list: Members = machine.ask("hivemind members --json").json();
    list.members[0].node.clone()
}

/// Has systemd do something that must succeed.
fn job(machine: &Sandbox, script: &str) {
    let said = machine.ask(script);
    assert_eq!(said.status, 0, "{script}: {said:?}\n{}", machine.ask("journalctl --unit hivemind --no-pager").out);
}

fn process(machine: &Sandbox) -> String {
    machine.sh("systemctl show hivemind --property MainPID --value").trim().to_owned()
}

#[test]
fn systemd_starts_reloads_restarts_and_revives_the_service() {
    let machine = Sandbox::booted();
    machine.sh("dpkg -i /opt/hivemind.deb");
    assert_eq!(machine.ask("systemctl is-enabled hivemind").out, "disabled\n", "nothing is started before there is a node");
    let said = machine.ask(INIT);
    assert!(said.status == 0 && said.err.contains("systemd starts it"), "{said:?}");
    // Waits until it is a member.
    job(&machine, "systemctl start hivemind");
    assert_eq!(machine.ask("systemctl is-enabled hivemind").out, "enabled\n");
    let before = membership(&machine);
    assert_eq!(
        machine.sh("stat -c '%U:%G %a' /run/hivemind /run/hivemind/hivemind.sock /var/lib/hivemind"),
        "hivemind:hivemind 750\nhivemind:hivemind 660\nhivemind:hivemind 700\n"
    );
    let first = process(&machine);
    let rights = format!("stat -c %U /proc/{first}; sed -n 's/^\\(CapEff\\|NoNewPrivs\\|Seccomp\\):\\s*/\\1 /p' /proc/{first}/status");
    assert_eq!(machine.sh(&rights), "hivemind\nCapEff 0000000000000400\nNoNewPrivs 1\nSeccomp 2\n");

    let doctor = machine.ask("hivemind doctor");
    assert!(doctor.out.contains("hivemind.service is active"), "{doctor:?}");
    let member = machine.ask("setpriv --reuid nobody --regid nogroup --groups hivemind hivemind members");
    assert!(member.status == 0 && member.out.contains("eu1"), "the group operates the node: {member:?}");
    let other = machine.ask("setpriv --reuid nobody --regid nogroup --clear-groups hivemind members");
    assert_eq!(other.status, 3, "and nobody else: {other:?}");

    job(&machine, "systemctl reload hivemind");
    assert_eq!(process(&machine), first, "a reload keeps the process");
    job(&machine, "systemctl restart hivemind");
    let second = process(&machine);
    assert_ne!(second, first);
    machine.sh("dpkg -i /opt/hivemind.deb");
    let third = process(&machine);
    assert_ne!(third, second, "an upgrade restarts what runs");
    // A daemon that hangs is ended by its watchdog and started again; the period is made short for that.
    machine.sh("mkdir -p /run/systemd/system/hivemind.service.d");
    machine.sh("printf '[Service]\\nWatchdogSec=2s\\nRestartSec=100ms\\n' > /run/systemd/system/hivemind.service.d/short.conf");
    job(&machine, "systemctl daemon-reload && systemctl restart hivemind");
    machine.sh("systemctl kill --signal STOP hivemind");
    job(&machine, "until [ $(systemctl show hivemind --property NRestarts --value) -ge 1 ]; do :; done; systemctl start hivemind");
    assert_eq!(membership(&machine), before, "it is the same member after all of it");
    let log = machine.sh("journalctl --unit hivemind --no-pager");
    assert!(log.contains("Watchdog timeout") && log.contains("the cluster keeps this node's place"), "{log}");
    assert!(!log.contains("Operation not permitted") && !log.contains("SYS"), "{log}");

    machine.sh("dpkg --purge hivemind");
    assert_eq!(machine.sh("ls -d /etc/hivemind /var/lib/hivemind /run/hivemind 2>/dev/null || true"), "");
    assert_eq!(machine.ask("systemctl is-active hivemind").out, "inactive\n");
}
