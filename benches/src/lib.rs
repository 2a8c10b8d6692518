//! What the benchmarks share: how figures are printed, and real hosts to measure.

pub mod hosts;
pub mod process;
pub mod report;
pub mod sent;
