//! The data folder: whose it is, what it holds, how much room there is, how fast its disk is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use hivemind_core::ids::NodeName;
use tokio::time::Instant;

use super::{Finding, fail, ok, warn};
use crate::settings_file::NodeSettings;
use crate::storage;

/// With less room than this, what a node writes in a day may not fit: a Raft log is up to 10 GB before it is cut.
const LITTLE: u64 = 1 << 30;
/// With less than this it does not get far.
const NONE: u64 = 64 << 20;
/// A voter waits for a sync with each decision; slower than this it holds all others up.
const SLOW: Duration = Duration::from_millis(50);
/// So often the disk is measured; the middle one counts.
const ROUNDS: usize = 5;

pub(super) fn look(settings: &NodeSettings) -> Vec<Finding> {
    let folder = &settings.data_dir;
    let shown = folder.display();
    let found = match fs::metadata(folder) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return vec![fail("data", format!("{shown} is not a folder; choose another data_dir"))],
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![fail("data", format!("{shown} is not there; `hivemind init` or `hivemind join` makes it"))];
        }
        Err(error) => return vec![fail("data", format!("{shown}: {error}; run this as the user of the daemon, or as root"))],
    };
    let mut findings = vec![owner(folder, found.uid(), found.mode() & 0o777), content(folder, &settings.name)];
    findings.extend(disk(folder));
    findings
}

/// The disk that a folder is on: its room, and how fast it is.
pub(super) fn disk(folder: &Path) -> [Finding; 2] {
    [room(folder), sync(folder)]
}

fn owner(folder: &Path, owner: u32, mode: u32) -> Finding {
    let own = rustix::process::geteuid().as_raw();
    let says = format!("{} belongs to user {owner}, mode {mode:03o}", folder.display());
    if owner != own {
        warn("data", format!("{says}, and this is user {own}: run this and the daemon as its owner"))
    } else if mode & 0o077 != 0 {
        warn("data", format!("{says}: others may look in, where the node's key is; chmod 700 it, or start the daemon, which does"))
    } else {
        ok("data", says)
    }
}

fn content(folder: &Path, name: &NodeName) -> Finding {
    match storage::inspect(folder) {
        Ok(Some((Some(identity), _))) if identity.name != *name => {
            let says = format!(
                "it is {}, and the settings are of {name}: a daemon would not start; write its name into the settings again",
                identity.name
            );
            fail("identity", says)
        }
        Ok(Some((Some(identity), _))) => {
            let voter = if identity.was_voter { ", a voter" } else { "" };
            ok("identity", format!("it is {}, member {} of cluster {}{voter}", identity.name, identity.node, identity.cluster))
        }
        Ok(Some((None, _))) => ok("identity", "it has a key, and becomes a member when it runs"),
        Ok(None) => fail("identity", "nobody's data is in it; `hivemind init` or `hivemind join` makes this host a node"),
        Err(error) => fail("identity", error.to_string()),
    }
}

fn room(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let says = format!("{} MiB are free", free >> 20);
            match free {
                ..NONE => fail("room", format!("{says}: a node whose disk is full stops; make room")),
                NONE..LITTLE => warn("room", format!("{says}: make room before a node needs it")),
                LITTLE.. => ok("room", says),
            }
        }
        Err(error) => warn("room", format!("the system does not say how much is free: {error}")),
    }
}

fn sync(folder: &Path) -> Finding {
    judge(measure(folder))
}

/// A disk that takes nothing stops a node; one that this user may not write to may be well.
fn judge(measured: io::Result<Duration>) -> Finding {
    match measured {
        Ok(took) if took > SLOW => {
            warn("disk", format!("a sync takes {took:.1?}: a voter here holds the others up; use a faster disk, or let it be no voter"))
        }
        Ok(took) => ok("disk", format!("a sync takes {took:.1?}")),
        Err(error) => match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                fail("disk", format!("{error}: a node can not keep what it must; look why (`dmesg` may say), and mount it for writing"))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                fail("disk", format!("{error}: a node whose disk is full stops; make room"))
            }
            io::ErrorKind::PermissionDenied => {
                warn("disk", format!("it could not be measured: {error}; run this as the user of the daemon, or as root"))
            }
            _ => fail("disk", format!("it does not take what is written: {error}; a node stops where that happens")),
        },
    }
}

/// How long it takes until 4 KiB are on the disk.
fn measure(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!("doctor-{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let mut once = || {
        let begin = Instant::now();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map(|()| begin.elapsed())
    };
    let took: io::Result<Vec<Duration>> = (0..ROUNDS).map(|_| once()).collect();
    fs::remove_file(&path)?;
    let mut took = took?;
    took.sort_unstable();
    Ok(took[ROUNDS / 2])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_is_a_failure() {
        let verdict = |errno: rustix::io::Errno| judge(Err(io::Error::from(errno))).verdict;
        for errno in [rustix::io::Errno::ROFS, rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT, rustix::io::Errno::IO] {
            assert_eq!(verdict(errno), Verdict::Fail, "{errno}");
        }
        assert_eq!(verdict(rustix::io::Errno::ACCESS), Verdict::Warn, "another user's");
        assert_eq!(judge(Ok(SLOW * 2)).verdict, Verdict::Warn);
        assert_eq!(judge(Ok(SLOW)).verdict, Verdict::Ok);
    }
}
