//! What the package brings, and what it leaves.

use crate::sandbox::Sandbox;

#[test]
fn the_package_brings_programs_unit_and_user() {
    let sandbox = Sandbox::installed();
    let listed = sandbox.sh("dpkg -L hivemind");
    for file in [
        "/usr/bin/hivemind",
        "/usr/bin/hivemind-node",
        "/usr/lib/systemd/system/hivemind.service",
        "/usr/lib/sysusers.d/hivemind.conf",
        "/usr/share/doc/hivemind/copyright",
        "/usr/share/doc/hivemind/changelog.Debian.gz",
        "/usr/share/doc/hivemind/operating.md",
        "/usr/share/doc/hivemind/examples/node.toml",
        "/usr/share/bash-completion/completions/hivemind",
    ] {
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
    assert!(sandbox.sh("hivemind --version").starts_with("hivemind "), "it runs");
}
