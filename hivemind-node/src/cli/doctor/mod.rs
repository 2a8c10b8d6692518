//! `hivemind doctor`: whether this host is fit to run its node, a line for each thing that is looked at.

mod bare;
mod certificate;
mod daemon;
mod data;
mod net;

use std::path::Path;

use serde::Serialize;

use super::args::ServerArgs;
use super::client::Client;
use super::failure::Failure;
use super::show::Screen;
use crate::http::model::{Phase, Status};
use crate::settings_file::{DEFAULT_CONFIG, NodeSettings};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or could not be looked at.
    Warn,
    /// It does not work.
    Fail,
}

/// What was found of one thing.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What is, and what to do where it is not well.
    says: String,
}

fn ok(check: &'static str, says: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Ok, says: says.into() }
}

fn warn(check: &'static str, says: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Warn, says: says.into() }
}

fn fail(check: &'static str, says: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Fail, says: says.into() }
}

/// All that was found.
#[derive(Serialize)]
struct Findings {
    well: bool,
    findings: Vec<Finding>,
}

/// Looks at everything. Nothing is changed but a file in the data folder, or where that would be, which is written and removed again; nobody is spoken to but this
/// host's daemon and the seeds.
pub(super) async fn doctor(server: &ServerArgs, screen: &Screen) -> Result<(), Failure> {
    let waiting = screen.wait("this host is looked at".to_owned());
    let findings = look(server).await;
    drop(waiting);
    let findings = Findings { well: findings.iter().all(|finding| finding.verdict != Verdict::Fail), findings };
    screen.data(&findings, |findings| findings.findings.iter().map(line).collect())?;
    if findings.well { Ok(()) } else { Err(Failure::Told) }
}

async fn look(server: &ServerArgs) -> Vec<Finding> {
    let settings = match NodeSettings::load(&server.config) {
        Ok(settings) => settings,
        Err(error) if error.is_missing() && server.config == Path::new(DEFAULT_CONFIG) => return bare::look(),
        Err(error) => {
            let says = format!("{error}; `hivemind init` or `hivemind join` writes one, and --config names another");
            return vec![fail("settings", says)];
        }
    };
    let mut findings = vec![ok("settings", format!("{} is valid, of the node {}", server.config.display(), settings.name))];
    let status = Client::at_socket(&settings.http.socket).get::<Status>("/api/v1/status").await.ok();
    findings.extend(data::look(&settings));
    let identity = certificate::look(&settings, &mut findings);
    findings.extend(net::ports(&settings, status.as_ref()));
    findings.extend(daemon::look(&settings, status.as_ref()).await);
    match &status {
        None => findings.extend(net::seeds(&settings, identity.as_ref()).await),
        // It calls them itself; but where it can not, a name may be why.
        Some(status) if status.phase != Phase::Member => findings.extend(net::seeds(&settings, None).await),
        Some(_) => {}
    }
    findings
}

fn line(finding: &Finding) -> String {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    format!("{verdict:<5} {:<12} {}\n", finding.check, finding.says.replace('\n', " "))
}
