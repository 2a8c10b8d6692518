//! The service that the package installs: a user, and a unit of systemd that runs the daemon as that user.

use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::failure::Failure;
use super::show::Screen;
use crate::settings_file::{DEFAULT_CONFIG, DEFAULT_DATA, SOCKET};

const USER: &str = "hivemind";
/// The unit of the daemon.
pub(super) const UNIT: &str = "hivemind.service";
/// Where units of packages and of operators are.
const UNIT_FOLDERS: [&str; 3] = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"];
/// There where systemd runs.
const SYSTEMD: &str = "/run/systemd/system";
/// What the unit makes for as long as the daemon runs; its group may enter it.
const RUNTIME: &str = "/run/hivemind";

/// As the unit does it, where there is no systemd.
const BY_HAND: &str = "setpriv --reuid hivemind --regid hivemind --init-groups --bounding-set -all,+net_bind_service \
     --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service --no-new-privs hivemind-node";

/// The service, on a host that has its user.
pub(super) struct Service {
    user: u32,
    group: u32,
    /// Whether systemd runs here and knows the unit.
    has_unit: bool,
}

impl Service {
    /// The service that is to run a node with this settings file and data folder: root makes it, both are where the service has them,
    /// and its user is there.
    pub(super) fn of(config: &Path, data: &Path) -> Option<Self> {
        let is_meant = config == Path::new(DEFAULT_CONFIG) && data == Path::new(DEFAULT_DATA);
        if !is_meant || !rustix::process::geteuid().is_root() {
            return None;
        }
        let (user, group) = ids(&fs::read_to_string("/etc/passwd").ok()?)?;
        let has_unit = Path::new(SYSTEMD).exists() && UNIT_FOLDERS.iter().any(|folder| Path::new(folder).join(UNIT).exists());
        Some(Service { user, group, has_unit })
    }

    /// Where operators reach the daemon, so that its group may.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.has_unit.then(|| Path::new(RUNTIME).join(SOCKET))
    }

    /// Gives the service what was made, and starts it where systemd runs.
    pub(super) fn take_over(&self, screen: &Screen) -> Result<(), Failure> {
        for place in [Path::new(DEFAULT_CONFIG).parent().unwrap_or(Path::new("/")), Path::new(DEFAULT_DATA)] {
            self.give(place).map_err(|(path, error)| {
                let path = path.display();
                Failure::Refused(format!("{path}: {error}; give the user {USER} all of {} and start the node", place.display()))
            })?;
        }
        if !self.has_unit {
            screen.note(&format!("start it: {BY_HAND}"));
            return Ok(());
        }
        let asked = Command::new("systemctl").args(["enable", "--now", "--no-block", UNIT]).stdin(Stdio::null()).output();
        match asked {
            Ok(output) if output.status.success() => {
                screen.note(&format!("systemd starts it: systemctl status {UNIT}, journalctl -u {UNIT}"));
                Ok(())
            }
            Ok(output) => Err(not_started(String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(not_started(&error.to_string())),
        }
    }

    /// A folder and all that is in it, links themselves and not where they lead.
    fn give(&self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let failed = |error| (path.to_path_buf(), error);
        lchown(path, Some(self.user), Some(self.group)).map_err(failed)?;
        if fs::symlink_metadata(path).map_err(failed)?.is_dir() {
            for entry in fs::read_dir(path).map_err(failed)? {
                self.give(&entry.map_err(failed)?.path())?;
            }
        }
        Ok(())
    }
}

fn not_started(why: &str) -> Failure {
    Failure::Refused(format!("the node is made, and systemd does not start it: {why}; start it: systemctl enable --now {UNIT}"))
}

/// The user's and its group's number, by the lines of `/etc/passwd`: the package's user is one of this machine.
fn ids(passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&USER))?;
    match line[..] {
        [_, _, user, group, ..] => Some((user.parse().ok()?, group.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nhivemind2:x:7:7::/:/bin/sh\nhivemind:x:998:997:node:/var/lib/hivemind:/usr/sbin/nologin\n";
        assert_eq!(ids(passwd), Some((998, 997)));
        assert_eq!(ids("hivemind:x:998\n"), None);
        assert_eq!(ids("hivemind:x:-1:none:a:b:c\n"), None);
        assert_eq!(ids(""), None);
    }
}
