//! Where a node of a test cluster is: its name, data and address outlive each of its starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::machine::Birth;
use hivemind_core::settings::Settings;
use tokio::sync::watch;

use super::TestClusterError;
use crate::authority::{Authority, AuthorityError};
use crate::node::{Node, NodeBuilder};

/// The cluster of every test: their authorities keep them apart.
pub(super) const BIRTH: Birth = Birth { cluster: ClusterId(0x7e57), tag: 1 };

/// What makes a node do something.
pub(super) type Configure = dyn Fn(&NodeName, NodeBuilder) -> NodeBuilder + Send + Sync;

/// What all nodes of a cluster share.
#[derive(Clone)]
pub(super) struct Ground {
    folder: PathBuf,
    authority: Arc<Authority>,
    address: IpAddr,
    settings: Settings,
    configure: Arc<Configure>,
}

/// A node's place.
pub(super) struct Place {
    pub(super) name: NodeName,
    folder: PathBuf,
    /// The system chooses the port at the first start; later ones use it again.
    pub(super) listen: SocketAddr,
    pub(super) seeds: Vec<SocketAddr>,
    voter: bool,
    pub(super) running: Option<Running>,
}

/// A start of it.
pub(super) struct Running {
    pub(super) node: Node,
}

impl Ground {
    pub(super) fn new(folder: &Path, settings: Settings, configure: Arc<Configure>) -> Result<Self, AuthorityError> {
        let authority = Arc::new(Authority::new(BIRTH.cluster)?);
        Ok(Ground { folder: folder.to_owned(), authority, address: own_address(), settings, configure })
    }

    pub(super) fn place(&self, number: u16, voter: bool) -> Place {
        let name = NodeName::new(&format!("node{number}")).expect("a stem and a number make a name");
        let folder = self.folder.join(name.as_str());
        Place { name, folder, listen: SocketAddr::new(self.address, 0), seeds: Vec::new(), voter, running: None }
    }

    /// Starts a node in its place, and tells `moved` of every change of its view.
    pub(super) async fn run(&self, place: &Place, birth: Option<Birth>, moved: &watch::Sender<()>) -> Result<Running, TestClusterError> {
        let mut builder = Node::builder(place.name.clone())
            .data_dir(&place.folder)
            .authority(Arc::clone(&self.authority))
            .listen(place.listen)
            .seeds(place.seeds.clone())
            .voter(place.voter)
            .settings(self.settings.clone());
        if let Some(birth) = birth {
            builder = builder.birth(birth);
        }
        let started = (self.configure)(&place.name, builder).start().await;
        let node = started.map_err(|source| TestClusterError::Start { name: place.name.clone(), source })?;
        let (mut views, moved) = (node.handle().clone(), moved.clone());
        // Ends with the node.
        tokio::spawn(async move {
            while views.changed().await.is_some() {
                moved.send_replace(());
            }
            moved.send_replace(());
        });
        Ok(Running { node })
    }
}

/// A loopback address of its own for each cluster, so that a port which a killed node left is there when it comes back: the system gives
/// out the ports of each address apart.
fn own_address() -> IpAddr {
    static CLUSTERS: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    IpAddr::V4(Ipv4Addr::new(127, high | 1, low, cluster))
}
