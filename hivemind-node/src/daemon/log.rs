//! The log, on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::settings_file::{LogFormat, LogLevel, LogPart};

/// The log of this process, whose level can be changed.
pub struct Log {
    set: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Starts to log. Where something logs already, as in a process that runs several nodes, that stays as it is.
    pub fn start(part: LogPart) -> Self {
        let builder = tracing_subscriber::fmt().with_env_filter(filter(part.level)).with_writer(stderr).with_ansi(stderr().is_terminal());
        // The only failure is that another log was started before; then there is nothing to set.
        match part.format {
            LogFormat::Text => {
                let builder = builder.with_filter_reloading();
                let handle = builder.reload_handle();
                let _ = builder.try_init();
                Log { set: Box::new(move |filter| drop(handle.reload(filter))) }
            }
            LogFormat::Json => {
                let builder = builder.json().with_filter_reloading();
                let handle = builder.reload_handle();
                let _ = builder.try_init();
                Log { set: Box::new(move |filter| drop(handle.reload(filter))) }
            }
        }
    }

    /// Logs as much as this from now on.
    pub fn set_level(&self, level: LogLevel) {
        (self.set)(filter(level));
    }
}

/// The libraries below speak of their own matters.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "error,hivemind_node=warn,hivemind_host=warn,hivemind_dns_processor=warn",
        LogLevel::Info => "error,hivemind_node=info,hivemind_host=info,hivemind_dns_processor=info",
        LogLevel::Debug => "warn,hivemind_node=debug,hivemind_host=debug,hivemind_dns_processor=debug",
    })
}
