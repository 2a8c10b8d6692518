//! A throw-away copy of this machine's files, in which packages can be installed.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::said::Said;

/// An overlay over `/` in memory, in namespaces of its own. `/run` is empty: no service manager is there to be asked. `cat` is held
/// in it by its input, so that it goes with the test.
const MAKE: &str = r#"
mount -t tmpfs -o mode=755 hivemind-test "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs -o mode=755 run "$1/root/run"
mount -t tmpfs -o mode=1777 tmp "$1/root/tmp"
cp "$2" "$1/root/tmp/hivemind.deb"
mkdir "$1/root/run/manager"
mount --bind "$3" "$1/root/run/manager"
ip link set lo up
exec chroot "$1/root" cat
"#;
/// What a package's scripts ask before they start anything: nothing is started.
const POLICY: &str = r"printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; dpkg --purge hivemind 2>/dev/null || true";

/// Where the daemon finds the service manager, which is this test.
pub(crate) const MANAGER: &str = "/run/manager/notify";
/// What anything is waited for at most. Far above what is expected: it only bounds a failure.
const BOUND: Duration = Duration::from_secs(60);

/// The sandbox, with the package at `/tmp/hivemind.deb`.
pub(crate) struct Sandbox {
    holder: Child,
    pid: String,
    manager: UnixDatagram,
    _folders: [TempDir; 2],
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let [place, desk] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let manager = UnixDatagram::bind(desk.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(BOUND)).unwrap();
        for (path, mode) in [(desk.path().to_owned(), 0o755), (desk.path().join("notify"), 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let mut command = as_root("unshare");
        // Its process id is told first: between it and this test may stand sudo.
        command.args(["--mount", "--net", "--", "sh", "-ec", &format!("echo $$\n{MAKE}"), "sh"]).arg(place.path()).arg(package()).arg(desk.path());
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        holder.stdin.as_mut().unwrap().write_all(b".").unwrap();
        let mut told = String::new();
        let mut octet = [0];
        while octet != *b"." {
            let heard = holder.stdout.as_mut().unwrap().read_exact(&mut octet);
            assert!(heard.is_ok(), "this test installs a package in a copy of this machine: run it as root, or let this user run sudo");
            told.push(char::from(octet[0]));
        }
        let pid = told.lines().next().unwrap().to_owned();
        let sandbox = Sandbox { holder, pid, manager, _folders: [place, desk] };
        sandbox.sh(POLICY);
        sandbox
    }

    /// One in which the package is installed.
    pub(crate) fn installed() -> Self {
        let sandbox = Sandbox::new();
        sandbox.sh("dpkg -i /tmp/hivemind.deb");
        sandbox
    }

    /// Waits until the service manager is told this.
    pub(crate) fn told(&self, expected: &str) {
        let mut octets = [0; 256];
        loop {
            let length = self.manager.recv(&mut octets).unwrap_or_else(|error| panic!("never told {expected}: {error}"));
            if String::from_utf8_lossy(&octets[..length]).lines().any(|line| line == expected) {
                return;
            }
        }
    }

    /// A program in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = as_root("nsenter");
        command.args(["--target", &self.pid, "--mount", "--net", "--root", "--wd", "--", program]).stdin(Stdio::null());
        command
    }

    /// Runs a script in it.
    pub(crate) fn ask(&self, script: &str) -> Said {
        Said::of(&self.command("sh").args(["-ec", script]).output().unwrap())
    }

    /// What a script says that ends well.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.ask(script).done()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Its input ends, and with it `cat`.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

/// The package, built once.
fn package() -> &'static Path {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_hivemind")).parent().unwrap();
        let profile = match built.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/build"));
        command.arg(profile).arg(folder.path().join("hivemind.deb"));
        command.env("NO_BUILD", "1").env("CARGO_TARGET_DIR", built.parent().unwrap());
        let said = Said::of(&command.output().unwrap());
        assert_eq!(said.status, 0, "{said:?}");
        folder
    });
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| folder.path().join("hivemind.deb"))
}
