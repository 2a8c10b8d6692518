//! Optional features: what is switched on, and what could be.

use serde::{Deserialize, Serialize};

use super::actions::ActionStage;

/// The optional features that the asked node, or a member that it knows, has heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Features {
    /// By name.
    pub features: Vec<Feature>,
    /// Whether the asked node knows all members; else more may lack a feature than stands here.
    pub complete: bool,
}

/// An optional feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What it does, where the asked node's version knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Whether it is switched on: then it stays on, and nobody joins who lacks it.
    pub enabled: bool,
    /// The members that do not support it: while there is one it can not be switched on.
    pub lacking: Vec<String>,
}

/// What became of switching a feature on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct FeatureResult {
    /// Which.
    pub feature: String,
    /// How far it went.
    pub stage: ActionStage,
    /// The position at which it is on; in a dry run, that of the view that it was judged by.
    pub position: String,
}
