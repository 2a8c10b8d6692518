//! The Raft group, and who leads it.

use hivemind_core::ids::NodeName;

use super::ask::{name_of, part};
use super::client::Client;
use super::failure::Failure;
use super::show::{Screen, table};
use crate::http::model::{ActionBody, ActionResult, Part, TransferBody, Transferred, Voter, VoterWish, Voters};

pub(super) async fn list(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let voters: Voters = client.get("/api/v1/voters").await?;
    screen.data(&voters, |voters| {
        let row = |voter: &Voter| {
            let leads = voters.leader.as_ref().is_some_and(|leader| leader.node == voter.member.node);
            let wish = match voter.wish {
                None => "",
                Some(VoterWish::Vote) => "added",
                Some(VoterWish::Abstain) => "removed",
            };
            vec![
                name_of(&voter.member),
                voter.member.node.clone(),
                part(voter.part).to_owned(),
                screen.state(voter.state),
                if leads { "leader" } else { "" }.to_owned(),
                wish.to_owned(),
            ]
        };
        let rows: Vec<_> = voters.voters.iter().map(row).collect();
        table(&["NAME", "ID", "PART", "STATE", "LEADER", "BY HAND"], &rows)
    })
}

pub(super) async fn add(client: &Client, name: &NodeName, screen: &Screen) -> Result<(), Failure> {
    let waiting = screen.wait(format!("{name} catches up with the log"));
    let done: ActionResult = client.post(&format!("/api/v1/voters/{name}/add"), &ActionBody::default()).await?;
    drop(waiting);
    screen.done(&done, |done| format!("{} votes from {} on, and stays a voter\n", name_of(&done.member), done.position))?;
    say_what_they_bear(client, screen).await;
    Ok(())
}

pub(super) async fn remove(client: &Client, name: &NodeName, screen: &Screen) -> Result<(), Failure> {
    let waiting = screen.wait(format!("the voters go on without {name}"));
    let done: ActionResult = client.post(&format!("/api/v1/voters/{name}/remove"), &ActionBody::default()).await?;
    drop(waiting);
    screen.done(&done, |done| format!("{} votes no more, from {} on, until it is added again\n", name_of(&done.member), done.position))?;
    say_what_they_bear(client, screen).await;
    Ok(())
}

/// Says how many of the voters may fail. What was asked for is done, whether this is answered or not.
async fn say_what_they_bear(client: &Client, screen: &Screen) {
    let voters: Voters = match client.get("/api/v1/voters").await {
        Ok(voters) => voters,
        Err(failure) => {
            let why = failure.message().unwrap_or_default();
            return screen.note(&format!("{why}; `hivemind voters list` says how many vote now"));
        }
    };
    let count = voters.voters.iter().filter(|voter| voter.part == Part::Voter).count();
    let bears = count.saturating_sub(1) / 2;
    let even = if count.is_multiple_of(2) { "; one more would let another one fail" } else { "" };
    screen.note(&format!("{count} vote: {bears} of them may fail{even}"));
}

pub(super) async fn transfer(client: &Client, name: Option<&NodeName>, screen: &Screen) -> Result<(), Failure> {
    let body = TransferBody { to: name.map(ToString::to_string) };
    let waiting = screen.wait("another voter takes over".to_owned());
    let done: Transferred = client.post("/api/v1/leader/transfer", &body).await?;
    drop(waiting);
    screen.done(&done, |done| match &done.leader {
        Some(leader) => format!("{} leads now\n", name_of(leader)),
        None => "another voter leads now; `hivemind voters list` at a voter says which\n".to_owned(),
    })
}
