//! From the options to nodes that start.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hivemind_core::ids::ClusterId;
use hivemind_core::machine::Birth;
use hivemind_core::settings::Settings;
use hivemind_dns_processor::role::DnsProcessor;
use hivemind_dns_processor::server::{BindError, Server};
use hivemind_host::FolderChange;
use hivemind_node::authority::{Authority, AuthorityError};
use hivemind_node::http::BindFailure;
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;
use tokio::task::JoinSet;

use super::Cluster;
use super::front::Front;
use super::keeper::{Keeper, Order, Plan};
use super::shared::Shared;
use crate::args::{RunOptions, dns_name, voter_name};
use crate::home::{Home, HomeError};
use crate::screen::Screen;
use crate::show::Kind;

/// Why there can be no cluster. Nothing runs.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The folder that it is to be kept in can not be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The authority can not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness; no cluster can be born")]
    NoRandomness,
    /// A DNS address can not be had.
    #[error("--dns-listen: {0}")]
    Dns(#[from] BindError),
    /// The HTTP address can not be had.
    #[error("--http-listen: {0}")]
    Http(#[from] BindFailure),
}

impl Cluster {
    /// Takes the folder, makes or loads the authority, and binds the addresses of DNS and HTTP. No node runs yet.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn prepare(options: &RunOptions, screen: &'static Screen) -> Result<Arc<Self>, PrepareError> {
        let home = match &options.data_dir {
            Some(folder) => Home::keep(folder)?,
            None => Home::temporary()?,
        };
        let empty = DnsProcessor::new(options.zones.clone()).empty_zone();
        let servers: Vec<Server> = options.dns.iter().map(|address| Server::bind(&[*address], empty.clone())).collect::<Result<_, _>>()?;
        let front = Front::bind(options.http)?;
        let (authority, birth) = authority(&home)?;
        let spare = home.spare_voters(options.voters)?;
        if !spare.is_empty() {
            screen.notice(&format!(
                "kept here and not run: {}; more --voters run them, and they count in a quorum until they leave",
                spare.join(", ")
            ));
        }
        let settings = settings(options.voters);
        let shared = Arc::new(Shared::new(home, authority, birth, settings, options.zones.clone(), screen, front));
        for (name, address) in shared.home.ports() {
            let kind = if (1..=options.voters).any(|number| voter_name(number) == name) { Kind::Voter } else { Kind::Host };
            shared.place(&name, kind, address);
        }
        let cluster = Cluster {
            shared: shared.clone(),
            keepers: Mutex::default(),
            wrong: Mutex::default(),
            standing: Mutex::default(),
            voters: usize::from(options.voters),
        };
        for number in 1..=options.voters {
            let plan = Plan { name: voter_name(number), kind: Kind::Voter, dns: None };
            cluster.keep(Keeper::new(plan, None, shared.clone()));
        }
        for (number, server) in (1..).zip(servers) {
            let at: Option<SocketAddr> = server.addresses().first().copied();
            let plan = Plan { name: dns_name(number), kind: Kind::Dns, dns: at };
            cluster.keep(Keeper::new(plan, Some(server), shared.clone()));
        }
        Ok(Arc::new(cluster))
    }

    /// Starts all nodes, those of the hosts among them. What does not start says so, and is left out.
    /// [`Cluster::ready`] waits for the rest.
    pub async fn start_all(self: &Arc<Self>, hosts: FolderChange) {
        // The first one is where the others join.
        let (first, others): (Vec<Keeper>, Vec<Keeper>) = self.keepers().into_iter().partition(|keeper| keeper.plan.name == voter_name(1));
        for keeper in first {
            self.start_one(&keeper).await;
        }
        let mut starting = JoinSet::new();
        for keeper in others {
            let cluster = self.clone();
            starting.spawn(async move { cluster.start_one(&keeper).await });
        }
        self.take(hosts).await;
        while starting.join_next().await.is_some() {}
    }

    async fn start_one(&self, keeper: &Keeper) {
        if let Err(error) = keeper.order(Order::Start).await {
            self.shared.screen.error(&error.to_string());
        }
    }

    /// Notes that all nodes are there: from now on this folder is resumed and nothing is born in it.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn settled(&self) -> Result<(), HomeError> {
        self.shared.keep_places();
        self.shared.home.set_born()
    }
}

fn settings(voters: u16) -> Settings {
    let mut settings = Settings::one_machine();
    settings.control.voters = usize::from(voters);
    settings
}

/// The authority, and, where the cluster was never complete, what its birth is called.
fn authority(home: &Home) -> Result<(Authority, Option<Birth>), PrepareError> {
    let folder = home.authority();
    let found = Authority::load(&folder).map_err(HomeError::from)?;
    if home.is_born() {
        let authority = found.ok_or_else(|| HomeError::NoAuthority { path: home.path().to_owned() })?;
        return Ok((authority, None));
    }
    home.begin_birth()?;
    let authority = match found {
        Some(authority) => authority,
        None => {
            let made = Authority::new(ClusterId(chance()?))?;
            made.save(&folder).map_err(HomeError::from)?;
            made
        }
    };
    let birth = Birth { cluster: authority.cluster(), tag: chance()? };
    Ok((authority, Some(birth)))
}

fn chance() -> Result<u64, PrepareError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PrepareError::NoRandomness)?;
    Ok(u64::from_be_bytes(bytes))
}
