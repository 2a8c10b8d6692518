//! Optional features.

use super::client::Client;
use super::failure::Failure;
use super::show::{Screen, table};
use crate::http::model::{Feature, FeatureResult, Features};

pub(super) async fn list(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let features: Features = client.get("/api/v1/features").await?;
    screen.data(&features, |features| {
        let row = |feature: &Feature| {
            let lacking = if feature.lacking.is_empty() { "-".to_owned() } else { feature.lacking.join(",") };
            let enabled = if feature.enabled { "on" } else { "off" };
            vec![feature.name.clone(), enabled.to_owned(), lacking, feature.summary.clone().unwrap_or_default()]
        };
        let rows: Vec<_> = features.features.iter().map(row).collect();
        table(&["FEATURE", "STATE", "LACKED BY", "WHAT IT DOES"], &rows)
    })?;
    if features.features.is_empty() {
        screen.note("this version has no optional feature");
    } else if !features.complete {
        screen.note("this node does not know all members; ask a voter, who does");
    }
    Ok(())
}

pub(super) async fn enable(client: &Client, name: &str, screen: &Screen) -> Result<(), Failure> {
    let done: FeatureResult = client.post(&format!("/api/v1/features/{name}/enable"), &serde_json::json!({})).await?;
    screen.done(&done, |done| format!("feature {} is on; whoever joins from now on must support it\n", done.feature))
}
