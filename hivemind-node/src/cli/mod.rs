//! The operator's tool `hivemind`: a client of a node's HTTP interface, and what makes a host a node.

mod args;
mod ask;
mod authority;
mod client;
mod clock;
mod doctor;
mod event;
mod failure;
mod feature;
mod found;
mod grants;
mod join;
mod man;
mod offline;
mod place;
mod prepare;
mod progress;
mod service;
mod show;
mod voters;
mod why;

use std::process::ExitCode;

use clap::Parser as _;

pub use args::Cli;
use args::{AuthorityJob, CredentialJob, FeatureJob, Job, LeaderJob, TokenJob, VotersJob};
use client::Client;
use failure::Failure;
use show::Screen;

/// The program: carries out its command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new(cli.json);
    let done = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let done = runtime.block_on(carry_out(cli, &screen));
            // The look-up of a name that the system's resolver does not come back from is not waited for.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(Failure::Refused(format!("the system gives no threads: {error}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("hivemind: {message}");
            }
            ExitCode::from(failure.status())
        }
    }
}

async fn carry_out(cli: Cli, screen: &Screen) -> Result<(), Failure> {
    let client = || Client::new(&cli.server, screen);
    match &cli.job {
        Job::Init(args) => found::init(&cli.server, args, screen).await,
        Job::Join(args) => join::join(&cli.server, args, screen).await,
        Job::Token { job: TokenJob::Create(args) } => grants::create_token(&client()?, args, screen).await,
        Job::Token { job: TokenJob::List } => grants::tokens(&client()?, screen).await,
        Job::Admitted => grants::admitted(&client()?, screen).await,
        Job::Token { job: TokenJob::Revoke { id } } => grants::revoke_token(&client()?, id, screen).await,
        Job::Credential { job: CredentialJob::Create { right, label } } => {
            grants::create_credential(&client()?, *right, label.as_ref(), screen).await
        }
        Job::Credential { job: CredentialJob::List } => grants::credentials(&client()?, screen).await,
        Job::Credential { job: CredentialJob::Revoke { id } } => grants::revoke_credential(&client()?, id, screen).await,
        Job::Members => ask::members(&client()?, screen).await,
        Job::Status => ask::status(&client()?, screen).await,
        Job::Events { follow } => event::events(&client()?, *follow, screen).await,
        Job::Configs => ask::configs(&client()?, screen).await,
        Job::Services => ask::services(&client()?, screen).await,
        Job::Voters { job: None | Some(VotersJob::List) } => voters::list(&client()?, screen).await,
        Job::Voters { job: Some(VotersJob::Add { name }) } => voters::add(&client()?, name, screen).await,
        Job::Voters { job: Some(VotersJob::Remove { name }) } => voters::remove(&client()?, name, screen).await,
        Job::Leader { job: LeaderJob::Transfer { name } } => voters::transfer(&client()?, name.as_ref(), screen).await,
        Job::Why { name } => why::why(&client()?, name, screen).await,
        Job::Leave { name } => ask::leave(&client()?, name.as_ref(), screen).await,
        Job::Evict { name } => ask::evict(&client()?, name, screen).await,
        Job::Features { job: FeatureJob::List } => feature::list(&client()?, screen).await,
        Job::Features { job: FeatureJob::Enable { name } } => feature::enable(&client()?, name.as_str(), screen).await,
        Job::Authority { job: None } => offline::authority(&cli.server, screen),
        Job::Authority { job: Some(AuthorityJob::Show) } => authority::show(&client()?, screen).await,
        Job::Authority { job: Some(AuthorityJob::Rotate) } => authority::rotate(&client()?, screen).await,
        Job::Authority { job: Some(AuthorityJob::Retire { now }) } => authority::retire(&client()?, *now, screen).await,
        Job::Doctor => doctor::doctor(&cli.server, screen).await,
        Job::Check(args) => offline::check(&cli.server, args, screen),
        Job::Completions { shell } => offline::completions(*shell, screen),
        Job::Man { dir } => man::write(dir, screen),
    }
}
