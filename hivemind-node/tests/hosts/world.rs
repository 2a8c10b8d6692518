//! A world of its own: a user, mount and network namespace with a bridge, and one more network namespace for each host.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::said::Said;

/// A process that does nothing but hold namespaces open. They go with it, and it goes with the test.
pub(crate) struct Holder(Child);

impl Holder {
    /// Runs `cat` by a command that makes the namespaces, and waits until it runs in them.
    fn start(mut command: Command) -> Self {
        let mut child = command.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut echo = [0];
        child.stdin.as_mut().unwrap().write_all(b".").unwrap();
        let heard = child.stdout.as_mut().unwrap().read_exact(&mut echo);
        assert!(
            heard.is_ok(),
            "this user can not make namespaces: run the tests as root, or allow user namespaces (sysctl user.max_user_namespaces)"
        );
        Holder(child)
    }

    /// A program in these namespaces. It is killed where the thread that starts it ends.
    pub(crate) fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--user", "--net", "--mount", "--preserve-credentials", "--"]);
        command.args(["setpriv", "--pdeathsig", "KILL", program]).stdin(Stdio::null());
        command
    }

    /// Runs a script in these namespaces.
    pub(crate) fn sh(&self, script: &str) -> String {
        Said::of(&self.enter("sh").args(["-ec", script]).output().unwrap()).done()
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bridge that hosts hang on.
pub(crate) struct World(Holder);

impl World {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
        let holder = Holder::start(command);
        holder.sh("ip link add bridge0 type bridge mcast_snooping 0; ip link set bridge0 up");
        World(holder)
    }

    /// A network namespace on the bridge, with the addresses 10.0.0.NUMBER and fd00::NUMBER.
    pub(crate) fn namespace(&self, number: usize) -> Holder {
        let mut command = self.0.enter("unshare");
        command.args(["--net", "--"]);
        let holder = Holder::start(command);
        let pid = holder.id();
        self.0.sh(&format!(
            "ip link add port{number} type veth peer name eth0 netns {pid}; ip link set port{number} master bridge0; ip link set port{number} up"
        ));
        holder.sh(&format!(
            "ip link set lo up; ip link set eth0 up; ip addr add 10.0.0.{number}/24 dev eth0; ip addr add fd00::{number}/64 dev eth0 nodad"
        ));
        holder
    }

    /// Plugs the cable of a host out, or in again.
    pub(crate) fn plug(&self, number: usize, is_in: bool) {
        self.0.sh(&format!("ip link set port{number} {}", if is_in { "up" } else { "down" }));
    }
}
