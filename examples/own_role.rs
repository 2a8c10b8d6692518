//! A role of one's own: keeps a list of upstreams, from the services that the hosts of a cluster publish.
//!
//! `cargo run -p hivemind-node --example own_role`

use std::{collections::BTreeSet, convert::Infallible, error::Error, sync::Arc};

use hivemind_core::ids::{ClusterId, NodeName, SectionKind};
use hivemind_core::machine::Birth;
use hivemind_core::role::{Apply, Role, RoleSpec};
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::config;
use hivemind_node::{Node, authority::Authority};
use hivemind_sections::{Section, Service, ServiceSection};
use tokio::sync::watch;

type List = Arc<BTreeSet<String>>;

/// The pure half: which upstreams there should be. It also publishes services, to have some.
struct Upstreams;

impl Role for Upstreams {
    type Desired = List;

    fn spec(&self) -> RoleSpec {
        let (name, kinds) = (SectionKind::new("upstreams").expect("a valid name"), vec![ServiceSection::kind()]);
        RoleSpec { name, requires: vec![], bootstraps_from: vec![], publishes: kinds.clone(), consumes: kinds }
    }

    fn desired(&self, view: &View, _changed: &Changed, _last: Option<&List>) -> List {
        let found = view.hosts().filter_map(|(host, of)| Some((host, of.config.section(&ServiceSection::kind())?)));
        let read = found.filter_map(|(host, section)| Some((host, ServiceSection::decode(&section.body).ok()?)));
        Arc::new(read.flat_map(|(host, of)| of.services.into_iter().map(|it| format!("{}:{}", host.name, it.port))).collect())
    }
}

/// The other half makes it so: this one shows the list; another would write a proxy's file.
struct Show(watch::Sender<List>);

impl Apply<List> for Show {
    type Error = Infallible;

    async fn apply(&mut self, upstreams: Arc<List>) -> Result<(), Infallible> {
        self.0.send_replace(List::clone(&upstreams));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (show, mut shown) = watch::channel(List::default());
    let authority = Arc::new(Authority::new(ClusterId(1))?);
    let node = Node::builder(NodeName::new("web1")?).in_memory().authority(authority).listen("127.0.0.1:0".parse()?);
    let node = node.birth(Birth { cluster: ClusterId(1), tag: 1 }).role(Upstreams, Show(show)).start().await?;
    let web = ServiceSection { services: vec![Service { name: "web".into(), port: 8080, tags: vec![] }] };
    node.handle().publish(vec![config::Section { kind: ServiceSection::kind(), body: web.encode().into() }]).await?;
    println!("upstreams: {:?}", *shown.wait_for(|list| !list.is_empty()).await?);
    node.stop().await;
    Ok(())
}
