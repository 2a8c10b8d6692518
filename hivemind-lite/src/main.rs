//! The command `hivemind-lite`.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use hivemind_lite::args::{Cli, Job, RunArgs};
use hivemind_lite::run;
use hivemind_lite::screen::Screen;
use hivemind_lite::sim::command as sim;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

/// How long the process stays for a reader that does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.job {
        Some(Job::Sim(args)) => sim::run(&args, &mut io::stdout(), &mut io::stderr()),
        None => run_cluster(&cli.run),
    }
}

fn run_cluster(args: &RunArgs) -> ExitCode {
    // The log writes to it until the very end of the process.
    let screen: &'static Screen = match Screen::new() {
        Ok(screen) => Box::leak(Box::new(screen)),
        // There is nothing to say it with but this.
        Err(_) => return ExitCode::FAILURE,
    };
    if !args.check.is_empty() {
        let code = run::check(args, screen);
        screen.flush(None);
        return code;
    }
    let code = start_and_run(args, screen);
    screen.flush(Some(LAST_WORDS));
    code
}

fn start_and_run(args: &RunArgs, screen: &'static Screen) -> ExitCode {
    let options = match args.resolve() {
        Ok(options) => options,
        Err(error) => {
            screen.error(&error.to_string());
            return ExitCode::from(run::USAGE);
        }
    };
    start_log(args.verbose, screen);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.error(&format!("the system gives no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run::run(options, screen));
    // A read of a terminal can not be taken back: its thread ends with the process.
    runtime.shutdown_background();
    code
}

/// Logs to standard error: what went wrong, and with `-v` what happens.
fn start_log(verbose: u8, screen: &'static Screen) {
    // The libraries below speak of their own matters.
    let (others, node, roles) = match verbose {
        0 => (LevelFilter::ERROR, LevelFilter::ERROR, LevelFilter::WARN),
        1 => (LevelFilter::WARN, LevelFilter::INFO, LevelFilter::INFO),
        _ => (LevelFilter::DEBUG, LevelFilter::DEBUG, LevelFilter::DEBUG),
    };
    let own = [("hivemind_node", node), ("hivemind_lite", node), ("hivemind_dns_processor", roles), ("hivemind_host", roles)];
    let lines = fmt::layer().with_ansi(screen.has_colours()).with_writer(screen);
    registry().with(Targets::new().with_default(others).with_targets(own)).with(lines).init();
}
