//! Figures, as a line for people and a line of JSON.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

/// A program of the release build beside this one, of a package.
///
/// # Errors
/// It was not built; the message says how to.
pub fn beside(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is missing; build it: cargo build --release -p {package}", path.display());
    Ok(path)
}

/// Prints the median, the 99th percentile and the most of some durations. Sorts them; there must be one at least.
pub fn print_times(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    let (median, p99, most) = (at(50), at(99), at(100));
    println!("{what:<28} {} samples: median {median:.1} ms, p99 {p99:.1} ms, most {most:.1} ms", times.len());
    println!("{}", json!({ "what": what, "samples": times.len(), "median_ms": median, "p99_ms": p99, "max_ms": most }));
}

/// Prints the median and the most of some readings of one unit. Sorts them; there must be one at least.
pub fn print_readings(what: &str, unit: &str, readings: &mut [f64]) {
    readings.sort_by(f64::total_cmp);
    let (median, most) = (readings[readings.len() / 2], readings[readings.len() - 1]);
    println!("{what:<28} {} nodes: median {median:.2} {unit}, most {most:.2} {unit}", readings.len());
    println!("{}", json!({ "what": what, "unit": unit, "nodes": readings.len(), "median": median, "max": most }));
}
