//! How long a test of an embedder waits for its cluster: from nothing to nodes that all know each other and vote.
//!
//! `cargo run --release -p hivemind-benches --bin test_cluster -- [--nodes N] [--starts N]` (defaults: 5, 10). Prints the median and the
//! longest, and one line of JSON.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use hivemind_node::testing::TestCluster;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let (nodes, starts) = arguments()?;
    let mut times = Vec::new();
    for _ in 0..starts {
        let began = Instant::now();
        let cluster = TestCluster::start(nodes).await?;
        times.push(began.elapsed());
        cluster.stop().await;
    }
    times.sort();
    let (median, longest) = (times[times.len() / 2].as_millis(), times[times.len() - 1].as_millis());
    println!("{nodes} nodes know each other after {median} ms (median of {starts}), {longest} ms at most");
    println!("{}", json!({ "bench": "test_cluster", "nodes": nodes, "starts": starts, "median_ms": median, "longest_ms": longest }));
    Ok(())
}

fn arguments() -> Result<(u16, usize)> {
    let (mut nodes, mut starts) = (5, 10);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} wants a number"))?;
        match name.as_str() {
            "--nodes" => nodes = value.parse()?,
            "--starts" => starts = value.parse()?,
            _ => bail!("unknown argument {name}; there are --nodes N and --starts N"),
        }
    }
    ensure!(starts > 0, "--starts wants at least 1");
    Ok((nodes, starts))
}
