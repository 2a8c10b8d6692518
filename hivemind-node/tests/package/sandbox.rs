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

/// An overlay over `/` in memory. Its process id is told first, as those outside see it: between it and this test may stand sudo.
const COPY: &str = r#"
read -r pid rest < /proc/self/stat
echo "$pid"
root=$1/root
mount -t tmpfs -o mode=755 hivemind-test "$1"
mkdir "$1/upper" "$1/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$root"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir "$root/run/manager"
mount --bind "$3" "$root/run/manager"
cp "$2" "$root/opt/hivemind.deb"
ip link set lo up
"#;
/// `/run` is empty, so no service manager is there to be asked, and what a package's scripts ask before they start anything says
/// that nothing is started. `cat` is held in it by its input, so that it goes with the test.
const HOLD: &str = r#"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
exec chroot "$root" cat
"#;
/// systemd is the first process, with none of this machine's services, devices and settings of the kernel to touch.
const BOOT: &str = r#"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/dev/hugepages"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/etc/systemd/system/*.wants
ln -sf /dev/null "$root/etc/systemd/system/systemd-udevd.service"
echo .
exec setpriv --bounding-set -sys_module,-sys_time,-sys_rawio,-sys_boot \
    env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd --unit=basic.target >/dev/null 2>&1
"#;
/// A control group of its own for it: what is below goes with it.
const GROUP: &str = r#"
mount -t cgroup2 cgroup2 "$1"
mkdir "$1/hivemind-test-$$"
echo $$ > "$1/hivemind-test-$$/cgroup.procs"
umount "$1"
exec unshare --net --pid --ipc --uts --cgroup --fork --kill-child -- sh -ec "$4" sh "$1" "$2" "$3"
"#;
/// Takes the groups of machines that are gone away.
const UNGROUP: &str = r#"mount -t cgroup2 cgroup2 "$1"; find "$1" -depth -path "$1/hivemind-test-*" -type d -exec rmdir {} + 2>/dev/null"#;

/// Where the daemon finds the service manager, which is this test.
pub(crate) const MANAGER: &str = "/run/manager/notify";
/// What anything is waited for at most. Far above what is expected: it only bounds a failure.
const BOUND: Duration = Duration::from_secs(60);

/// The sandbox, with the package at `/opt/hivemind.deb`.
pub(crate) struct Sandbox {
    holder: Child,
    pid: String,
    manager: UnixDatagram,
    place: TempDir,
    is_booted: bool,
    _desk: TempDir,
}

impl Sandbox {
    fn new(is_booted: bool) -> Self {
        let [place, desk] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let manager = UnixDatagram::bind(desk.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(BOUND)).unwrap();
        for (path, mode) in [(desk.path().to_owned(), 0o755), (desk.path().join("notify"), 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let mut command = as_root("unshare");
        let (more, script) = if is_booted { (None, GROUP.to_owned()) } else { (Some("--net"), format!("{COPY}{HOLD}")) };
        command.arg("--mount").args(more).args(["--", "sh", "-ec", &script, "sh"]);
        command.arg(place.path()).arg(package()).arg(desk.path()).arg(format!("{COPY}{BOOT}"));
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
        Sandbox { holder, pid, manager, place, is_booted, _desk: desk }
    }

    /// One in which the package is installed, and nothing can be started.
    pub(crate) fn installed() -> Self {
        let sandbox = Sandbox::new(false);
        sandbox.sh("dpkg --purge hivemind 2>/dev/null || true; dpkg -i /opt/hivemind.deb");
        sandbox
    }

    /// One in which systemd runs, and the package is not installed.
    pub(crate) fn booted() -> Self {
        let machine = Sandbox::new(true);
        let up = |_: &usize| machine.ask("systemctl is-system-running --wait").out.trim() == "running";
        assert!((0..1_000).any(|number| up(&number)), "{:?}", machine.ask("systemctl is-system-running; systemctl --failed --no-pager"));
        machine
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
        command.args(["--target", &self.pid, "--mount", "--net", "--root", "--wd"]);
        command.args(if self.is_booted { &["--pid", "--ipc", "--uts", "--cgroup"][..] } else { &[] });
        command.args(["--", program]).stdin(Stdio::null());
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
        if self.is_booted {
            let _ = as_root("kill").args(["-KILL", &self.pid]).status();
        }
        let _ = self.holder.wait();
        if self.is_booted {
            let _ = as_root("unshare").args(["--mount", "--", "sh", "-c", UNGROUP, "sh"]).arg(self.place.path()).status();
        }
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
