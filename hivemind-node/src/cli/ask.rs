//! Looking at the cluster, and ending memberships.

use serde::de::DeserializeOwned;

use super::client::Client;
use super::failure::Failure;
use super::show::{Screen, table};
use crate::http::model::{ActionBody, ActionResult, Certificate, Configs, MemberRef, Members, Part, Services, Status};

/// A list that comes in pages.
pub(super) trait Paged: DeserializeOwned {
    /// The `after` of the page behind this one.
    fn next(&mut self) -> Option<String>;
    /// Takes what the next page has.
    fn append(&mut self, next: Self);
}

macro_rules! paged {
    ($($list:ident.$items:ident),+) => {
        $(impl Paged for $list {
            fn next(&mut self) -> Option<String> {
                self.next.take()
            }

            fn append(&mut self, mut next: Self) {
                self.$items.append(&mut next.$items);
                self.complete &= next.complete;
                self.next = next.next;
            }
        })+
    };
}

paged!(Members.members, Configs.configs, Services.services);

/// All pages of a list.
async fn all<T: Paged>(client: &Client, path: &str) -> Result<T, Failure> {
    let mut list: T = client.get(path).await?;
    while let Some(after) = list.next() {
        // What pages end with are names and what stands between them.
        let after: String = after.bytes().map(|octet| format!("%{octet:02x}")).collect();
        list.append(client.get(&format!("{path}?after={after}")).await?);
    }
    Ok(list)
}

fn say_lacking(screen: &Screen, complete: bool, what: &str) {
    if !complete {
        screen.note(&format!("this node does not know all {what}; one with the role observer does"));
    }
}

pub(super) fn part(part: Part) -> &'static str {
    match part {
        Part::None => "",
        Part::Learner => "learner",
        Part::Voter => "voter",
    }
}

pub(super) fn name_of(member: &MemberRef) -> String {
    member.name.clone().unwrap_or_else(|| member.node.clone())
}

/// All that the asked node knows.
pub(super) async fn members_of(client: &Client) -> Result<Members, Failure> {
    all(client, "/api/v1/members").await
}

pub(super) async fn members(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let members = members_of(client).await?;
    screen.data(&members, |members| {
        let row = |member: &crate::http::model::Member| {
            let addresses: Vec<String> = member.addresses.iter().map(ToString::to_string).collect();
            vec![
                member.name.clone(),
                member.node.clone(),
                screen.state(member.state),
                part(member.part).to_owned(),
                member.roles.join(","),
                addresses.join(","),
            ]
        };
        let rows: Vec<_> = members.members.iter().map(row).collect();
        table(&["NAME", "ID", "STATE", "PART", "ROLES", "ADDRESSES"], &rows)
    })?;
    say_lacking(screen, members.complete, "members");
    Ok(())
}

pub(super) async fn status(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let status: Status = client.get("/api/v1/status").await?;
    screen.data(&status, |status| {
        let condition = status.condition;
        let trouble = [(condition.degraded, "degraded"), (condition.stale, "stale"), (condition.incomplete, "incomplete")];
        let trouble: Vec<&str> = trouble.iter().filter(|(there, _)| *there).map(|(_, word)| *word).collect();
        let phase = serde_json::to_value(status.phase).ok().and_then(|phase| phase.as_str().map(str::to_owned)).unwrap_or_default();
        let lines = [
            ("name", status.name.clone()),
            ("member", status.node.clone().unwrap_or_default()),
            ("cluster", status.cluster.clone().unwrap_or_default()),
            ("phase", phase),
            ("condition", if trouble.is_empty() { "ok".to_owned() } else { trouble.join(", ") }),
            ("part", part(status.part).to_owned()),
            ("leader", status.leader.as_ref().map(name_of).unwrap_or_default()),
            ("leader heard", format!("{} ms ago", status.leader_heard_ms)),
            ("position", status.position.clone().unwrap_or_default()),
            ("members", status.members.to_string()),
            ("configs", status.configs.to_string()),
            ("roles", status.roles.iter().map(|role| role.name.clone()).collect::<Vec<_>>().join(",")),
            ("certificate", status.certificate.as_ref().map(valid).unwrap_or_default()),
            ("version", status.version.clone()),
        ];
        lines.iter().map(|(what, value)| format!("{what:<13} {value}").trim_end().to_owned() + "\n").collect()
    })
}

pub(super) async fn configs(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let configs: Configs = all(client, "/api/v1/configs").await?;
    screen.data(&configs, |configs| {
        let row = |config: &crate::http::model::Config| {
            let sections: Vec<String> = config.sections.iter().map(|section| format!("{} ({} B)", section.kind, section.bytes)).collect();
            vec![config.host.clone(), config.node.clone(), config.seq.to_string(), sections.join(", ")]
        };
        let rows: Vec<_> = configs.configs.iter().map(row).collect();
        table(&["HOST", "ID", "VERSION", "SECTIONS"], &rows)
    })?;
    say_lacking(screen, configs.complete, "configs");
    Ok(())
}

fn valid(certificate: &Certificate) -> String {
    let late = if certificate.late { ": it should have been renewed; look at the daemon's log" } else { "" };
    format!("until {}{late}", certificate.until)
}

pub(super) async fn services(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let services: Services = all(client, "/api/v1/services").await?;
    screen.data(&services, |services| {
        let row = |service: &crate::http::model::ServiceInstance| {
            let addresses: Vec<String> = service.addresses.iter().map(ToString::to_string).collect();
            let port = service.port.to_string();
            vec![service.name.clone(), service.host.clone(), screen.state(service.state), addresses.join(","), port, service.tags.join(",")]
        };
        let rows: Vec<_> = services.services.iter().map(row).collect();
        table(&["SERVICE", "HOST", "STATE", "ADDRESSES", "PORT", "TAGS"], &rows)
    })?;
    say_lacking(screen, services.complete, "services");
    Ok(())
}

pub(super) async fn leave(client: &Client, name: Option<&hivemind_core::ids::NodeName>, screen: &Screen) -> Result<(), Failure> {
    let name = match name {
        Some(name) => name.to_string(),
        None => client.get::<Status>("/api/v1/status").await?.name,
    };
    let waiting = screen.wait(format!("{name} leaves"));
    let done: ActionResult = client.post(&format!("/api/v1/members/{name}/leave"), &ActionBody::default()).await?;
    drop(waiting);
    screen.done(&done, |done| format!("{} left: member {} is none any more\n", name_of(&done.member), done.member.node))
}

pub(super) async fn evict(client: &Client, name: &hivemind_core::ids::NodeName, screen: &Screen) -> Result<(), Failure> {
    let done: ActionResult = client.post(&format!("/api/v1/members/{name}/evict"), &ActionBody::default()).await?;
    screen.done(&done, |done| format!("{} was put out, and its key is revoked\n", name_of(&done.member)))
}
