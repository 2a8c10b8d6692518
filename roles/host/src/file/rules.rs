//! What a cluster allows in its host files: the zones that may be published into, the names that are taken.

use hivemind_core::ids::NodeName;
use thiserror::Error;

use super::names;

/// What a cluster allows in its host files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    cluster_zone: String,
    other_zones: Vec<String>,
    reserved_stems: Vec<String>,
}

/// Why a zone is not one. The caller's settings are at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the zone `{zone}` is not a DNS name: {reason}")]
pub struct ZoneError {
    /// As it was given.
    pub zone: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl Rules {
    /// Allows records in `cluster_zone` (such as `hive.`) and, for pointers, in [`PRIVATE_REVERSE_ZONES`](hivemind_sections::PRIVATE_REVERSE_ZONES).
    ///
    /// # Errors
    /// The zone is not a DNS name.
    pub fn new(cluster_zone: &str) -> Result<Self, ZoneError> {
        Ok(Rules { cluster_zone: zone(cluster_zone)?, other_zones: Vec::new(), reserved_stems: Vec::new() })
    }

    /// Allows records in one more zone.
    ///
    /// # Errors
    /// The zone is not a DNS name.
    pub fn with_zone(mut self, name: &str) -> Result<Self, ZoneError> {
        self.other_zones.push(zone(name)?);
        Ok(self)
    }

    /// Reserves `stem` followed by a number: with `voter`, no host may be called `voter1`.
    #[must_use]
    pub fn reserving(mut self, stem: &str) -> Self {
        self.reserved_stems.push(stem.to_owned());
        self
    }

    /// The cluster's own zone: lower case, with the final dot.
    pub fn cluster_zone(&self) -> &str {
        &self.cluster_zone
    }

    /// All zones that a host may publish records into, the cluster's first.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.cluster_zone).chain(&self.other_zones).map(String::as_str)
    }

    /// The reserved pattern that `name` falls under, as it is shown (`voterN`).
    pub(crate) fn reserved_pattern(&self, name: &NodeName) -> Option<String> {
        let is_numbered = |stem: &str| {
            let number = name.as_str().strip_prefix(stem);
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()))
        };
        self.reserved_stems.iter().find(|stem| is_numbered(stem)).map(|stem| format!("{stem}N"))
    }
}

fn zone(written: &str) -> Result<String, ZoneError> {
    names::absolute(written).map_err(|problem| ZoneError { zone: written.to_owned(), reason: problem.to_string() })
}
