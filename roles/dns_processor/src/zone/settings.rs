//! The zones that the server answers for, and the times in its records.

use thiserror::Error;

use super::reverse::private_zones;
use crate::name::{DnsName, NameFault, NameKey};

/// The zone of a cluster that names none.
pub const DEFAULT_ZONE: &str = "hive.";

/// The most octets of the cluster's zone, so that no name that is made from services and nodes can pass 255.
const CLUSTER_ZONE_LIMIT: usize = 100;

/// Why zones can not be served. Who gave them is at fault; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// No zone at all.
    #[error("no zone is given; the first one is the cluster's, for example {DEFAULT_ZONE}")]
    NoZone,
    /// A zone is no name.
    #[error("the zone {zone:?} can not be served: {fault}")]
    Name {
        /// The text given.
        zone: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// The root: this server would answer for the whole world.
    #[error("the root zone can not be served; name the zone that belongs to this cluster, for example {DEFAULT_ZONE}")]
    Root,
    /// The cluster's zone leaves no room for the names below it.
    #[error("the cluster's zone {zone} is too long; names of services are made below it, so use at most {CLUSTER_ZONE_LIMIT} octets")]
    Long {
        /// The zone.
        zone: DnsName,
    },
}

/// Which zones are served, and how long answers may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// Seconds; default 5. The TTL of the records that are made from hosts and services. Raising it
    /// spares queries; lowering it makes resolvers notice a change sooner.
    pub ttl: u32,
    /// Seconds; default 5. How long a resolver may keep a negative answer (the SOA's minimum, RFC 2308).
    /// Raising it spares queries; lowering it makes a new name visible sooner.
    pub negative_ttl: u32,
    cluster: DnsName,
    /// Longest first, so that the first that fits is the closest.
    zones: Vec<(DnsName, NameKey)>,
}

impl ZoneSettings {
    /// Settings for `zones`: the first is the cluster's, hosts may publish records into all of them. The
    /// private reverse zones of RFC 6303 are always served; another reverse zone is served where it is named.
    ///
    /// # Errors
    /// [`SettingsError`] says which zone can not be served and why.
    pub fn new<S: AsRef<str>>(zones: &[S]) -> Result<Self, SettingsError> {
        let mut names = Vec::with_capacity(zones.len());
        for zone in zones {
            let zone = zone.as_ref();
            names.push(DnsName::parse(zone).map_err(|fault| SettingsError::Name { zone: zone.to_owned(), fault })?);
        }
        let cluster = names.first().cloned().ok_or(SettingsError::NoZone)?;
        if names.iter().any(|name| name.wire() == [0]) {
            return Err(SettingsError::Root);
        }
        if cluster.wire().len() > CLUSTER_ZONE_LIMIT {
            return Err(SettingsError::Long { zone: cluster });
        }
        names.extend(private_zones());
        names.sort_by(|a, b| b.wire().len().cmp(&a.wire().len()).then_with(|| a.cmp(b)));
        names.dedup();
        let zones = names.into_iter().map(|name| (name.clone(), name.key())).collect();
        Ok(ZoneSettings { ttl: 5, negative_ttl: 5, cluster, zones })
    }

    /// The cluster's zone, where the names of nodes and services are made.
    pub fn cluster(&self) -> &DnsName {
        &self.cluster
    }

    /// All zones that are answered for, the reverse zones among them.
    pub fn zones(&self) -> impl Iterator<Item = &DnsName> {
        self.zones.iter().map(|(name, _)| name)
    }

    /// The closest zone that the name of `key` is in, and whether the name is its apex.
    pub(crate) fn zone_of(&self, key: &[u8]) -> Option<(&DnsName, bool)> {
        let (name, apex) = self.zones.iter().find(|(_, zone)| key.starts_with(zone.as_slice()))?;
        Some((name, apex.as_slice().len() == key.len()))
    }
}
