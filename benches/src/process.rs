//! What a process costs, by its id.

use std::fs;

use anyhow::{Context, Result};

/// The system's clock ticks per second, in which it counts the time of processes: 100 on every Linux.
const TICKS: f64 = 100.0;

/// Resident memory, in MB.
///
/// # Errors
/// It does not run.
pub fn resident_mb(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in its status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
}

/// The processor time that it has used, in seconds.
///
/// # Errors
/// It does not run.
pub fn processor_seconds(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the name, in parentheses, and may hold anything.
    let (_, rest) = text.rsplit_once(')').context("no name in its stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = [11, 12].iter().map(|at| fields[*at].parse::<f64>()).sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS)
}
