//! Reports of a machine as log lines: at most one per kind and second, with the count of those left out.

use std::collections::BTreeMap;
use std::time::Duration;

use hivemind_core::context::Report;
use hivemind_core::ids::NodeName;
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// What was logged when.
#[derive(Debug)]
pub(super) struct ReportLog {
    node: NodeName,
    last: BTreeMap<&'static str, Kind>,
}

#[derive(Debug)]
struct Kind {
    logged: Instant,
    left_out: u64,
}

impl ReportLog {
    pub(super) fn new(node: NodeName) -> Self {
        ReportLog { node, last: BTreeMap::new() }
    }

    /// Logs a report, or counts it.
    pub(super) fn log(&mut self, report: &Report, now: Instant) {
        if let Some(left_out) = self.admit(kind(report), now) {
            write(&self.node, report, left_out);
        }
    }

    /// How many of its kind were left out since the last one; `None` where this one is too.
    fn admit(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        let Some(last) = self.last.get_mut(kind) else {
            self.last.insert(kind, Kind { logged: now, left_out: 0 });
            return Some(0);
        };
        if now.duration_since(last.logged) < INTERVAL {
            last.left_out += 1;
            return None;
        }
        last.logged = now;
        Some(std::mem::take(&mut last.left_out))
    }
}

fn kind(report: &Report) -> &'static str {
    match report {
        Report::Dropped { .. } => "dropped",
        // Few, and each says something else.
        Report::Phase(_) => "phase",
        Report::ConflictingConfig { .. } => "conflicting config",
        Report::SeqJumped => "seq jumped",
        Report::Fork { .. } => "fork",
        Report::Accused { .. } => "accused",
        Report::DuplicateNode { .. } => "duplicate node",
        Report::Limit(what) => what,
        Report::CacheDamaged(what) => what,
    }
}

fn write(node: &NodeName, report: &Report, left_out: u64) {
    match report {
        Report::Dropped { peer, why } => tracing::debug!(%node, %peer, ?why, left_out, "bytes from the network were dropped"),
        Report::Phase(phase) => tracing::info!(%node, left_out, "{phase}"),
        Report::ConflictingConfig { node: host } => {
            tracing::warn!(%node, %host, left_out, "two different configs carry one version; the larger hash is in force");
        }
        Report::SeqJumped => tracing::warn!(%node, left_out, "this node's own config was seen at a higher version; it jumped above"),
        Report::Fork { with } => tracing::error!(%node, %with, left_out, "two nodes disagree about history"),
        Report::Accused { suspect, observer } => {
            tracing::info!(%node, %suspect, %observer, left_out, "a member says that it can not reach another")
        }
        Report::DuplicateNode { node: duplicate } => {
            tracing::error!(%node, %duplicate, left_out, "two live processes use one identity: a data folder was copied; stop one of them");
        }
        Report::Limit(what) => tracing::warn!(%node, left_out, "limit reached: {what}"),
        Report::CacheDamaged(what) => tracing::warn!(%node, left_out, "a rebuildable record was damaged and is rebuilt: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_one_kind_is_one_line_a_second_and_hides_no_other_kind() {
        let mut log = ReportLog::new(NodeName::new("a").unwrap());
        let start = Instant::now();
        assert_eq!(log.admit("dropped", start), Some(0));
        for _ in 0..1000 {
            assert_eq!(log.admit("dropped", start + INTERVAL / 2), None);
        }
        assert_eq!(log.admit("fork", start + INTERVAL / 2), Some(0));
        assert_eq!(log.admit("dropped", start + INTERVAL), Some(1000));
        assert_eq!(log.admit("dropped", start + 3 * INTERVAL), Some(0));
    }
}
