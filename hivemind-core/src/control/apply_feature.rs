//! Features: what members support, and what is switched on for all.

use std::collections::BTreeSet;

use super::applied::Applied;
use crate::ids::{NodeId, NodeName};
use crate::wire::command::{MAX_LACKING, Refusal};
use crate::wire::event::Event;
use crate::wire::feature::{FeatureName, MAX_FEATURES};

impl Applied {
    /// Only what every member supports is switched on. There is no way back: what uses it is in the log, and everywhere, from then on.
    pub(super) fn feature_on(&self, feature: &FeatureName) -> Result<Option<Event>, Refusal> {
        if self.facts.features().contains(feature) {
            return Ok(None);
        }
        if self.facts.features().len() >= MAX_FEATURES {
            return Err(Refusal::Invalid { why: format!("{MAX_FEATURES} features are switched on; that is the most") });
        }
        let lacking = self.facts.members().values().filter(|member| !member.features.contains(feature));
        let members: Vec<NodeName> = lacking.map(|member| member.name.clone()).take(MAX_LACKING).collect();
        if members.is_empty() {
            Ok(Some(Event::FeatureOn { feature: feature.clone() }))
        } else {
            Err(Refusal::Unsupported { feature: feature.clone(), members })
        }
    }

    /// A member runs another version than at its join.
    pub(super) fn supports(&self, node: NodeId, features: &BTreeSet<FeatureName>) -> Result<Option<Event>, Refusal> {
        let known = self.expect_member(node)?;
        self.expect_features(features)?;
        Ok((known.features != *features).then(|| Event::Features { node, features: features.clone() }))
    }

    /// Refuses who lacks what is switched on.
    pub(super) fn expect_features(&self, features: &BTreeSet<FeatureName>) -> Result<(), Refusal> {
        check(features)?;
        let lacking: Vec<FeatureName> = self.facts.lacking(features).take(MAX_LACKING).collect();
        if lacking.is_empty() { Ok(()) } else { Err(Refusal::LacksFeatures { features: lacking }) }
    }
}

/// Whether a node can support so many at all.
///
/// # Errors
/// [`Refusal::Invalid`]; the node is at fault.
pub(super) fn check(features: &BTreeSet<FeatureName>) -> Result<(), Refusal> {
    if features.len() > MAX_FEATURES {
        return Err(Refusal::Invalid { why: format!("{} features; {MAX_FEATURES} is the most", features.len()) });
    }
    Ok(())
}
