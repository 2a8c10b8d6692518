//! What all nodes of the process share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hivemind_core::ids::NodeName;
use hivemind_core::machine::Birth;
use hivemind_core::settings::Settings;
use hivemind_dns_processor::zone::ZoneSettings;
use hivemind_node::authority::Authority;
use tokio::sync::watch;

use super::front::Front;
use super::journal::Journal;
use crate::home::Home;
use crate::screen::Screen;
use crate::show::Kind;

/// What all nodes share.
pub(super) struct Shared {
    pub(super) home: Home,
    pub(super) authority: Arc<Authority>,
    /// Where the cluster is not born yet: voter1 begins it.
    pub(super) birth: Option<Birth>,
    pub(super) settings: Settings,
    pub(super) zones: ZoneSettings,
    pub(super) screen: &'static Screen,
    pub(super) journal: Journal,
    /// Where voter1 is spoken to over HTTP.
    pub(super) front: Front,
    /// Told whenever a node, its view or a zone changed.
    pub(super) moved: watch::Sender<()>,
    /// Where each node listens or listened last.
    places: Mutex<BTreeMap<NodeName, (Kind, SocketAddr)>>,
}

impl Shared {
    pub(super) fn new(
        home: Home,
        authority: Authority,
        birth: Option<Birth>,
        settings: Settings,
        zones: ZoneSettings,
        screen: &'static Screen,
        front: Front,
    ) -> Self {
        Shared {
            home,
            authority: Arc::new(authority),
            birth,
            settings,
            zones,
            screen,
            journal: Journal::default(),
            front,
            moved: watch::Sender::new(()),
            places: Mutex::default(),
        }
    }

    /// Notes where a node listens, or is to be looked for.
    pub(super) fn place(&self, name: &NodeName, kind: Kind, address: SocketAddr) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), (kind, address));
    }

    /// Where a node listened last.
    pub(super) fn place_of(&self, name: &NodeName) -> Option<SocketAddr> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(|(_, address)| *address)
    }

    /// Where members may be found that can take a join on: the voters, except `name` itself.
    pub(super) fn seeds(&self, name: &NodeName) -> Vec<SocketAddr> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().filter(|(other, (kind, _))| *kind == Kind::Voter && *other != name).map(|(_, (_, address))| *address).collect()
    }

    /// Writes down where the nodes listen. The next start works without it, only slower.
    pub(super) fn keep_places(&self) {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ports = places.into_iter().map(|(name, (_, address))| (name, address)).collect();
        if let Err(error) = self.home.set_ports(&ports) {
            tracing::warn!(%error, "where the nodes listen was not written down");
        }
    }
}
