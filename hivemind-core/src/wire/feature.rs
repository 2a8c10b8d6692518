//! Optional features: what a member may support, and what the cluster has switched on.
//!
//! A feature is something that members must all support before anyone uses it, since one that does not would misunderstand the others. It is
//! switched on by a [command](super::command::Command::FeatureOn), once and for good; from then on nobody joins who lacks it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::NameError;
use crate::ids::SectionKind;

/// The most features that a node supports, and that are switched on.
pub const MAX_FEATURES: usize = 64;

/// The optional features that this build knows: name, and what it does, for people. There is none yet: all that this version does, every
/// member of its wire version does.
pub const KNOWN: [(&str, &str); 0] = [];

/// The name of a feature: of the same alphabet as a section kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureName(SectionKind);

impl FeatureName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        SectionKind::new(name).map(FeatureName)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for FeatureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for FeatureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The names of [`KNOWN`].
pub fn known() -> BTreeSet<FeatureName> {
    KNOWN.iter().map(|(name, _)| FeatureName::new(name).expect("a known feature has a valid name")).collect()
}

/// Names for a sentence.
pub(crate) fn listed<T: fmt::Display>(names: &[T]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
