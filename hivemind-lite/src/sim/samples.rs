//! Measured durations and their percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// From an event's commit until every live member has applied it.
    EventKnown,
    /// From a node's start until it is a member.
    Member,
    /// From its start until its view is at the last committed event.
    CaughtUp,
    /// From its start until it is in the view of every live member.
    InViews,
    /// From a host's crash until its name is gone from the answers of every consumer.
    Gone,
    /// From its crash until its leave is committed.
    LeaveCommitted,
    /// From the crash of half of the nodes until 99.9 % of the others have applied the next event.
    MostKnown,
    /// From the end of a partition until all consumers answer alike.
    Equal,
    /// From a publish until every consumer answers with it.
    Everywhere,
}

impl Series {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Series::EventKnown => "event known by all",
            Series::Member => "start to member",
            Series::CaughtUp => "start to caught up",
            Series::InViews => "start to in all views",
            Series::Gone => "crash to gone from answers",
            Series::LeaveCommitted => "crash to leave committed",
            Series::MostKnown => "event known by 99.9 % of half",
            Series::Equal => "healed to equal",
            Series::Everywhere => "publish to all answers",
        }
    }

    /// For programs.
    pub fn key(self) -> &'static str {
        match self {
            Series::EventKnown => "event_known",
            Series::Member => "member",
            Series::CaughtUp => "caught_up",
            Series::InViews => "in_views",
            Series::Gone => "gone",
            Series::LeaveCommitted => "leave_committed",
            Series::MostKnown => "most_known",
            Series::Equal => "equal",
            Series::Everywhere => "everywhere",
        }
    }
}

/// All durations measured in a run, in virtual time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    series: BTreeMap<Series, Vec<Duration>>,
}

/// What is told of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// How many samples.
    pub count: usize,
    /// Half took no longer.
    pub median: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Samples {
    /// Adds one.
    pub fn add(&mut self, series: Series, took: Duration) {
        self.series.entry(series).or_default().push(took);
    }

    /// How many of a series there are.
    pub fn count(&self, series: Series) -> usize {
        self.series.get(&series).map_or(0, Vec::len)
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Samples) {
        for (&series, samples) in &other.series {
            self.series.entry(series).or_default().extend(samples);
        }
    }

    /// What was measured.
    pub fn distributions(&self) -> impl Iterator<Item = (Series, Distribution)> {
        self.series.iter().filter_map(|(&series, samples)| Distribution::of(samples.clone()).map(|of| (series, of)))
    }
}

impl Distribution {
    /// Of these samples; `None` where there are none. Percentiles are by nearest rank: always a sample.
    pub fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        let rank = |percent: usize| samples[(samples.len() * percent).div_ceil(100).max(1) - 1];
        let max = *samples.last()?;
        Some(Distribution { count: samples.len(), median: rank(50), p95: rank(95), p99: rank(99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let millis = Duration::from_millis;
        assert_eq!(Distribution::of(Vec::new()), None);
        let one = Distribution::of(vec![millis(7)]).expect("a sample");
        assert_eq!((one.median, one.p99, one.max), (millis(7), millis(7), millis(7)));
        let many = Distribution::of((1..=200).rev().map(millis).collect()).expect("samples");
        assert_eq!((many.median, many.p95, many.p99, many.max, many.count), (millis(100), millis(190), millis(198), millis(200), 200));
    }
}
