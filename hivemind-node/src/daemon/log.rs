//! The log, on standard error: no more of it than a disk bears.

use std::io::{IsTerminal as _, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, registry, reload};

use super::thrift::{TELL, Thrift};
use crate::settings_file::{LogFormat, LogLevel, LogPart};

/// Who speaks of the node's matters.
const OWN: [&str; 3] = ["hivemind_node", "hivemind_host", "hivemind_dns_processor"];

/// The log of this process, whose level can be changed.
#[derive(Clone, Debug)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
    thrift: Thrift,
}

impl Log {
    /// Starts to log. Where something logs already, as in a process that runs several nodes, that stays as it is.
    pub fn start(part: LogPart) -> Self {
        let thrift = Thrift::default();
        let (targets, filter) = reload::Layer::new(targets(part.level));
        let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
        // The only failure is that another log was started before; then there is nothing to set.
        let _ = match part.format {
            LogFormat::Text => registry().with(targets).with(thrift.clone()).with(lines).try_init(),
            LogFormat::Json => registry().with(targets).with(thrift.clone()).with(lines.json()).try_init(),
        };
        Log { filter, thrift }
    }

    /// Says now and then what was left out of the log. Does not end.
    pub(super) async fn tell_left_out(&self) {
        loop {
            tokio::time::sleep(TELL).await;
            self.thrift.tell();
        }
    }

    /// Logs as much as this from now on.
    pub fn set_level(&self, level: LogLevel) {
        // Gone where another log was started before.
        let _ = self.filter.reload(targets(level));
    }
}

/// The libraries below speak of their own matters.
fn targets(level: LogLevel) -> Targets {
    let (others, own) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::ERROR, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::ERROR, LevelFilter::INFO),
        LogLevel::Debug => (LevelFilter::WARN, LevelFilter::DEBUG),
    };
    Targets::new().with_default(others).with_targets(OWN.map(|target| (target, own)))
}
