//! What is decided before a node starts.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::keys::Keys;
use hivemind_core::machine::{Birth, Startup};
use hivemind_core::rng::Rng;
use hivemind_core::role::{Apply, InstalledRole, Role};
use hivemind_core::settings::Settings;
use hivemind_core::storage::Recovered;
use hivemind_core::wire::access::Admits;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot, watch};

use super::error::StartFailure;
use super::{Node, NodeHandle};
use crate::authority::{Authority, NodeIdentity};
use crate::driver::{Driver, DriverError, Inlets, Outlets};
use crate::enroll::{self, Custody, Desk, EnrollFailure, Entry, Renewal, Safe};
use crate::feed::Source;
use crate::keys::{Ed25519Keys, KeyError};
use crate::reconciler::{ApplyStatus, Reconcile, Reconciler};
use crate::storage::{NodeKey, Options, Storage};
use crate::tasks::Tasks;
use crate::transport::{Transport, TransportSettings};

/// The UDP port where nodes listen for peers unless told otherwise.
pub const DEFAULT_PORT: u16 = 6550;

/// The most requests that wait for the machine.
const REQUESTS: usize = 256;

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
    seeds: Vec<SocketAddr>,
    voter: bool,
    named: bool,
    roles: Vec<InstalledRole>,
    reconcilers: Vec<Option<Box<dyn Reconcile>>>,
    settings: Settings,
    transport_settings: TransportSettings,
}

enum Place {
    Folder(PathBuf),
    Memory,
}

enum Proof {
    Identity(NodeIdentity),
    Authority(Arc<Authority>),
    Certified(Entry),
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

    /// Where members may listen that can take its join on.
    pub fn seeds(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.seeds = addresses.into_iter().collect();
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
            Place::Folder(folder) => Some(folder.clone()),
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
        let (own_name, own_seeds) = (name.clone(), seeds.clone());
        let startup =
            Startup { name, addresses, roles, voter_eligible: voter, seeds, birth, recovered, settings, keys, seed: random_seed()? };
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
        if let Some(safe) = safe {
            let folder = safe.keeps().then_some(folder).flatten();
            office(&node, Office { name: own_name, identity, safe, folder, seeds: own_seeds, chance: random_seed()?, named: self.named });
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

/// Opens the data. The disk may take its time, so the runtime is not made to wait.
async fn open(place: Place, proof: &Proof) -> Result<(Storage, Recovered, NodeKey), StartFailure> {
    let new = match proof {
        Proof::Identity(identity) => identity.keys().clone(),
        Proof::Authority(_) | Proof::Certified(_) => Arc::new(Ed25519Keys::generate()?),
    };
    let open = move || {
        let new_key = || new.pkcs8().to_vec();
        match place {
            Place::Folder(folder) => Storage::open(&folder, &Options::new(&new_key)),
            Place::Memory => Ok(Storage::in_memory(&Options::new(&new_key))),
        }
    };
    Ok(tokio::task::spawn_blocking(open).await.expect("opening a folder neither panics nor is aborted")?)
}

/// What a node proves itself with, and where it has the authority, if it may have it.
struct Proven {
    identity: NodeIdentity,
    safe: Option<Arc<Safe>>,
}

async fn prove(proof: Proof, key: &NodeKey, name: &NodeName, folder: Option<&PathBuf>, wants: &Admits) -> Result<Proven, StartFailure> {
    let keys = Arc::new(Ed25519Keys::from_pkcs8(key.as_pkcs8())?);
    match proof {
        Proof::Identity(identity) if identity.public() == keys.public() => Ok(Proven { identity, safe: None }),
        Proof::Identity(_) => Err(StartFailure::OtherKey(name.clone())),
        Proof::Authority(authority) => {
            let identity = authority.issue(keys, name)?;
            Ok(Proven { identity, safe: Some(Arc::new(Safe::of(authority))) })
        }
        Proof::Certified(entry) => certify(entry, keys, name, folder, wants).await,
    }
}

async fn certify(
    entry: Entry,
    keys: Arc<Ed25519Keys>,
    name: &NodeName,
    folder: Option<&PathBuf>,
    wants: &Admits,
) -> Result<Proven, StartFailure> {
    let safe = Arc::new(Safe::open(folder)?);
    let kept = match folder {
        Some(folder) => enroll::load(folder, &keys)?,
        None => None,
    };
    let identity = match (kept, entry) {
        (Some(identity), Entry::Kept | Entry::Token(_) | Entry::Founder(_)) => return Ok(Proven { identity, safe: Some(safe) }),
        (None, Entry::Kept) => return Err(EnrollFailure::NoCertificate.into()),
        (None, Entry::Token(token)) => enroll::by_token(&token, keys, name, wants).await?,
        (None, Entry::Founder(authority)) => {
            let identity = authority.issue(keys, name)?;
            safe.put(authority)?;
            identity
        }
    };
    if let Some(folder) = folder {
        enroll::save(folder, &identity)?;
    }
    Ok(Proven { identity, safe: Some(safe) })
}

/// What deals with certificates beside a running node.
struct Office {
    name: NodeName,
    identity: NodeIdentity,
    safe: Arc<Safe>,
    folder: Option<PathBuf>,
    seeds: Vec<SocketAddr>,
    chance: u64,
    named: bool,
}

fn office(node: &Node, office: Office) {
    let Office { name, identity, safe, folder, seeds, chance, named } = office;
    let (handle, transport, tasks) = (&node.handle, &node.transport, &node.tasks);
    let desk = Desk { handle: handle.clone(), safe: safe.clone(), keys: identity.keys().clone() };
    tasks.spawn(desk.serve(transport.enrollments(enroll::AT_ONCE), tasks.clone()));
    tasks.spawn(Custody { name: name.clone(), safe: safe.clone(), handle: handle.clone() }.run());
    let (handle, transport, rng) = (handle.clone(), transport.clone(), Rng::new(chance));
    tasks.spawn(Renewal { name, identity, safe, handle, transport, folder, seeds, rng, named }.run());
}

fn check_cluster(identity: &NodeIdentity, recovered: &Recovered, birth: Option<Birth>) -> Result<(), StartFailure> {
    let expected = identity.cluster().ok_or(StartFailure::NoAuthority)?;
    let check = |what, found: Option<ClusterId>| match found {
        Some(found) if found != expected => Err(StartFailure::OtherCluster { what, found, expected }),
        Some(_) | None => Ok(()),
    };
    check("the birth", birth.map(|birth| birth.cluster))?;
    check("the data folder", recovered.identity.as_ref().map(|identity| identity.cluster))
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

/// Connects all ends, and lets everything run.
fn run(
    driver: Driver,
    incoming: mpsc::Receiver<crate::transport::Incoming>,
    transport: Transport,
    reconcilers: Vec<Option<Box<dyn Reconcile>>>,
    safe: Option<Arc<Safe>>,
) -> Node {
    let tasks = Tasks::new();
    let mut desired = Vec::new();
    let mut applies = Vec::new();
    for reconciler in reconcilers {
        let (wish, apply) = reconciler.map(|reconciler| start_reconciler(reconciler, &tasks)).unzip();
        desired.push(wish);
        applies.push(apply);
    }
    let (requests_in, requests) = mpsc::channel(REQUESTS);
    let (ending, ended) = oneshot::channel();
    let (view_in, view) = watch::channel(None);
    let (account_in, account) = watch::channel(driver.account());
    let (stopped_in, stopped) = watch::channel(None);
    let outlets =
        Outlets { view: view_in, account: account_in, stopped: stopped_in, events: Source::new(), reports: Source::new(), desired };
    let handle = NodeHandle {
        requests: requests_in,
        view,
        account,
        applies: applies.into(),
        stopped,
        events: outlets.events.ears(),
        reports: outlets.reports.ears(),
        transport: transport.clone(),
        clock: driver.clock(),
        safe,
    };
    driver.start(Inlets { incoming, requests, ending: ended }, outlets, transport.clone(), &tasks);
    Node { handle, transport, tasks, ending }
}

type Wishes = watch::Sender<Option<hivemind_core::role::AnyDesired>>;

fn start_reconciler(reconciler: Box<dyn Reconcile>, tasks: &Tasks) -> (Wishes, watch::Receiver<ApplyStatus>) {
    let (wishes, desired) = watch::channel(None);
    let (status, apply) = watch::channel(ApplyStatus::default());
    reconciler.start(desired, status, tasks);
    (wishes, apply)
}
