//! What is decided before a node starts.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use hivemind_core::ids::NodeName;
use hivemind_core::keys::Keys;
use hivemind_core::machine::{Birth, Startup};
use hivemind_core::role::{Apply, InstalledRole, Role};
use hivemind_core::settings::Settings;
use hivemind_core::wire::access::Admits;
use ring::rand::{SecureRandom, SystemRandom};

use super::Node;
use super::assembly::{Office, look_names_up, office, run};
use super::error::StartFailure;
use super::proof::{Place, Proof, Proven, check_cluster, open, prove};
use crate::authority::{Authority, NodeIdentity};
use crate::driver::{Driver, DriverError};
use crate::enroll::Entry;
use crate::keys::KeyError;
use crate::reconciler::{Reconcile, Reconciler};
use crate::seeds::Seed;
use crate::transport::{Transport, TransportSettings};

/// The UDP port where nodes listen for peers unless told otherwise.
pub const DEFAULT_PORT: u16 = 6550;

/// The decisions before a node starts, in the order that they are usually made:
///
/// 1. its name: [`Node::builder`];
/// 2. where it keeps its data: [`data_dir`](Self::data_dir) or [`in_memory`](Self::in_memory), one of the two;
/// 3. what it proves itself with: [`authority`](Self::authority), [`identity`](Self::identity) or
///    [`certified`](Self::certified), one of the three;
/// 4. where it listens: [`listen`](Self::listen), and where others reach it: [`advertise`](Self::advertise);
/// 5. how it becomes a member: [`birth`](Self::birth) for the first node of a cluster, [`seeds`](Self::seeds) for
///    every other; a node with data needs neither;
/// 6. whether it may vote: [`voter`](Self::voter);
/// 7. what it does: [`role`](Self::role), [`role_without_apply`](Self::role_without_apply);
/// 8. how it is tuned: [`settings`](Self::settings), [`transport_settings`](Self::transport_settings).
///
/// [`start`](Self::start) ends it.
pub struct NodeBuilder {
    name: NodeName,
    place: Option<Place>,
    proof: Option<Proof>,
    listen: SocketAddr,
    advertise: Vec<SocketAddr>,
    birth: Option<Birth>,
    seeds: Vec<Seed>,
    voter: bool,
    named: bool,
    roles: Vec<InstalledRole>,
    reconcilers: Vec<Option<Box<dyn Reconcile>>>,
    settings: Settings,
    transport_settings: TransportSettings,
}

impl NodeBuilder {
    pub(super) fn new(name: NodeName) -> Self {
        NodeBuilder {
            name,
            place: None,
            proof: None,
            listen: (Ipv6Addr::UNSPECIFIED, DEFAULT_PORT).into(),
            advertise: Vec::new(),
            birth: None,
            seeds: Vec::new(),
            voter: false,
            named: false,
            roles: Vec::new(),
            reconcilers: Vec::new(),
            settings: Settings::default(),
            transport_settings: TransportSettings::default(),
        }
    }

    /// Keeps its data, its key among it, in this folder, which is made where it is missing. A start with
    /// the same folder goes on as the same member.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.place = Some(Place::Folder(folder.into()));
        self
    }

    /// Gets a certificate that names its addresses as soon as it is a member, and whenever they change, instead of with the first
    /// renewal at half of its life: for a node that serves HTTPS beyond its machine. Default: no.
    pub fn names_addresses(mut self, named: bool) -> Self {
        self.named = named;
        self
    }

    /// Keeps nothing: each start is another node. Its name stays with its key until the old membership
    /// ended, so one that is to come back under its name needs the same [`identity`](Self::identity).
    pub fn in_memory(mut self) -> Self {
        self.place = Some(Place::Memory);
        self
    }

    /// Proves itself with this key and certificate. A data folder must hold the same key, or none yet.
    pub fn identity(mut self, identity: NodeIdentity) -> Self {
        self.proof = Some(Proof::Identity(identity));
        self
    }

    /// Proves itself with its own key and a certificate that this authority issues at the start: where
    /// the authority is at hand, as in one process or on the first voter.
    pub fn authority(mut self, authority: Arc<Authority>) -> Self {
        self.proof = Some(Proof::Authority(authority));
        self
    }

    /// Proves itself with its own key and the certificate that it keeps in its data folder, which is renewed at half of its life;
    /// where it has none yet, it comes by one as `entry` says. A voter keeps the authority's key there too.
    pub fn certified(mut self, entry: Entry) -> Self {
        self.proof = Some(Proof::Certified(entry));
        self
    }

    /// Listens for peers here, by UDP. Default `[::]:6550`. Port 0 lets the system choose.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Tells others that it is reached at these addresses, best first. Default: where it listens, which
    /// must then be one address. Port 0 stands for the port that it listens on.
    pub fn advertise(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.advertise = addresses.into_iter().collect();
        self
    }

    /// Begins a new cluster as its first voter, where it has no data. A restart may say it again.
    pub fn birth(mut self, birth: Birth) -> Self {
        self.birth = Some(birth);
        self.voter = true;
        self
    }

    /// Where members may listen that can take its join on: addresses, or names of DNS. Names are looked up as long as the node is
    /// no member, again and again, so that what appears or changes there is found; one that is not resolved does not hold the
    /// start up.
    pub fn seeds<S: Into<Seed>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// Whether it may become a voter. Default: no; [`birth`](Self::birth) says yes.
    pub fn voter(mut self, eligible: bool) -> Self {
        self.voter = eligible;
        self
    }

    /// Performs a role: its pure half, and the half that changes the outside world.
    pub fn role<R: Role, A: Apply<R::Desired>>(mut self, role: R, apply: A) -> Self {
        self.roles.push(InstalledRole::new(role));
        self.reconcilers.push(Some(Box::new(Reconciler::<R::Desired, A>::new(apply))));
        self
    }

    /// Performs a role that only publishes, or whose wishes are of no interest here.
    pub fn role_without_apply<R: Role>(mut self, role: R) -> Self {
        self.roles.push(InstalledRole::new(role));
        self.reconcilers.push(None);
        self
    }

    /// How the machine is tuned. Default: for a LAN.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How the transport is tuned. Default: for a LAN.
    pub fn transport_settings(mut self, settings: TransportSettings) -> Self {
        self.transport_settings = settings;
        self
    }

    /// Opens the data folder ahead of the start, so that it is this process's before roles take hold of anything outside, as of a port. What
    /// proves the node is decided by then; where it is not, or nothing is kept, this changes nothing.
    ///
    /// # Errors
    /// [`StartFailure`]: above all that another process holds the folder.
    pub async fn open(mut self) -> Result<Self, StartFailure> {
        if let (Some(Place::Folder(folder)), Some(proof)) = (&self.place, &self.proof) {
            let opened = open(Place::Folder(folder.clone()), proof).await?;
            self.place = Some(Place::Open(folder.clone(), Box::new(opened)));
        }
        Ok(self)
    }

    /// Starts the node: opens its data, listens, and lets it find its cluster. Must be called within a
    /// tokio runtime with time and io. It is not a member yet when this returns:
    /// [`NodeHandle::view`] is there once it is.
    ///
    /// # Errors
    /// [`StartFailure`].
    pub async fn start(self) -> Result<Node, StartFailure> {
        let NodeBuilder { name, place, proof, listen, advertise, birth, seeds, voter, roles, reconcilers, .. } = self;
        let place = place.ok_or_else(|| StartFailure::NoStorage(name.clone()))?;
        let proof = proof.ok_or_else(|| StartFailure::NoIdentity(name.clone()))?;
        if advertise.is_empty() && listen.ip().is_unspecified() {
            return Err(StartFailure::NoAddress(name));
        }
        let folder = match &place {
            Place::Folder(folder) | Place::Open(folder, _) => Some(folder.clone()),
            Place::Memory => None,
        };
        let (storage, recovered, key) = open(place, &proof).await?;
        let wants = Admits { roles: roles.iter().map(|role| role.spec().name.clone()).collect(), voter };
        let Proven { identity, safe } = prove(proof, &key, &name, folder.as_ref(), &wants).await?;
        check_cluster(&identity, &recovered, birth)?;

        let transport_settings = TransportSettings { features: self.settings.features.clone(), ..self.transport_settings };
        let (transport, incoming) = Transport::bind(listen, &identity, transport_settings)?;
        let addresses = addresses(&advertise, transport.local_addr());
        let keys: Arc<dyn Keys> = identity.keys().clone();
        let settings = self.settings;
        let own_name = name.clone();
        let startup = Startup {
            name,
            addresses,
            roles,
            voter_eligible: voter,
            seeds: seeds.iter().filter_map(Seed::address).collect(),
            awaits_seeds: seeds.iter().any(|seed| seed.address().is_none()),
            birth,
            recovered,
            settings,
            keys,
            seed: random_seed()?,
        };
        let driver = match Driver::new(startup, storage) {
            Ok(driver) => driver,
            Err(error) => {
                drop(incoming);
                transport.close().await;
                return Err(match error {
                    DriverError::Start(error) => error.into(),
                    DriverError::Panicked(text) => StartFailure::Panicked(text),
                });
            }
        };
        let node = run(driver, incoming, transport, reconcilers, safe.clone());
        look_names_up(&node, own_name.clone(), seeds.clone());
        if let Some(safe) = safe {
            let folder = safe.keeps().then_some(folder).flatten();
            office(&node, Office { name: own_name, identity, safe, folder, seeds, chance: random_seed()?, named: self.named });
        }
        Ok(node)
    }
}

impl std::fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("name", &self.name)
            .field("listen", &self.listen)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

fn addresses(advertise: &[SocketAddr], listening: SocketAddr) -> Vec<SocketAddr> {
    if advertise.is_empty() {
        return vec![listening];
    }
    let with_port = |address: &SocketAddr| match address.port() {
        0 => SocketAddr::new(address.ip(), listening.port()),
        _ => *address,
    };
    advertise.iter().map(with_port).collect()
}

fn random_seed() -> Result<u64, KeyError> {
    let mut seed = [0; 8];
    SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
    Ok(u64::from_be_bytes(seed))
}
