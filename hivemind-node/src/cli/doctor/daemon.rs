//! The daemon of this host: its socket, what it says of itself and of others, and what systemd says of it.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::super::client::Client;
use super::super::service::UNIT;
use super::{Finding, fail, ok, warn};
use crate::http::model::{MemberState, Members, Phase, Status};
use crate::settings_file::NodeSettings;

/// systemd is asked for so long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn look(settings: &NodeSettings, status: Option<&Status>) -> Vec<Finding> {
    let mut findings = vec![socket(&settings.http.socket, status.is_some())];
    if let Some(status) = status {
        findings.push(fares(settings, status));
        findings.extend(members(settings).await);
    }
    findings.extend(unit(status.is_some()).await);
    findings
}

fn socket(path: &Path, answers: bool) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if !found.file_type().is_socket() => fail("socket", format!("{shown} is no socket; remove it, or change http.socket")),
        Ok(found) if found.mode() & 0o007 != 0 => {
            fail("socket", format!("{shown} has the mode {:03o}: everybody is an operator; restart the daemon", found.mode() & 0o777))
        }
        Ok(_) if answers => ok("socket", format!("{shown} answers")),
        Ok(_) => {
            warn("socket", format!("{shown} is there, and does not answer this user: the daemon is down, or you are not of its group"))
        }
        Err(error) => warn("socket", format!("{shown}: {error}; the daemon does not run, or this user may not enter the folder")),
    }
}

fn fares(settings: &NodeSettings, status: &Status) -> Finding {
    if status.name != settings.name.as_str() {
        return fail("daemon", format!("it is {}, and the settings are of {}; restart it", status.name, settings.name));
    }
    let condition = status.condition;
    match status.phase {
        Phase::Member if condition.degraded => warn("daemon", "a member; the voters have no quorum: bring a majority of them back"),
        Phase::Member if condition.stale || condition.incomplete => {
            warn("daemon", "a member that has not got everything yet; wait, and look again")
        }
        Phase::Member => ok("daemon", format!("a member; it heard of the leader {} ms ago", status.leader_heard_ms)),
        Phase::Starting | Phase::Joining | Phase::Resuming | Phase::Resyncing => {
            warn("daemon", "it runs, and is no member yet; it needs to reach one: look at its log")
        }
        Phase::Stopped => fail("daemon", "its node has stopped: look at its log, and restart it"),
    }
}

/// Whom the daemon reaches, by its own view.
async fn members(settings: &NodeSettings) -> Option<Finding> {
    let members: Members = Client::at_socket(&settings.http.socket).get("/api/v1/members").await.ok()?;
    let lost: Vec<&str> = members.members.iter().filter(|one| one.state == MemberState::Unreachable).map(|one| one.name.as_str()).collect();
    let known = members.members.len();
    Some(match lost.first() {
        None => ok("members", format!("none of the {known} that it knows is unreachable")),
        Some(first) => {
            let shown = lost.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            warn("members", format!("{} of {known} can not be reached: {shown}; `hivemind why {first}` tells more", lost.len()))
        }
    })
}

/// What systemd says, where it runs and knows the unit.
async fn unit(runs: bool) -> Option<Finding> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let mut ask = Command::new("systemctl");
    ask.args(["show", "--property=LoadState,ActiveState", "--value", UNIT]).stdin(Stdio::null());
    let answered = timeout(PATIENCE, spawn_blocking(move || ask.output())).await.ok()?.ok()?.ok()?;
    let text = String::from_utf8_lossy(&answered.stdout).into_owned();
    let mut lines = text.lines();
    let (load, active) = (lines.next()?, lines.next()?);
    Some(match (load, active) {
        ("loaded", "active") => ok("systemd", format!("{UNIT} is active")),
        ("loaded", "failed") => fail("systemd", format!("{UNIT} failed: journalctl -u {UNIT} says why")),
        ("loaded", state) if runs => warn("systemd", format!("{UNIT} is {state}, and a daemon runs: after a reboot it will not")),
        ("loaded", state) => warn("systemd", format!("{UNIT} is {state}: systemctl enable --now {UNIT}")),
        (state, _) => warn("systemd", format!("{UNIT} is {state}: install it, so that the daemon runs after a reboot")),
    })
}
