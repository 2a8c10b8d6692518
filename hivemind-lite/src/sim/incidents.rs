//! What happened in a run: a run in which nothing happened proves nothing.

/// One kind of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// A leader with a quorum in a later term than any before.
    LeaderChange,
    /// Links were cut: in both directions, in one, or some single ones.
    Partition,
    /// A process was killed.
    Crash,
    /// A crash cut the writes of a ticket short.
    TornWrite,
    /// A crash undid rebuildable records that nobody had synced.
    UnsyncedLoss,
    /// A disk was lost, or a part of it.
    LostDisk,
    /// An old disk was brought back.
    OldDisk,
    /// A full disk stopped its node.
    FullDisk,
    /// A node was slow, starved or stood still.
    Slowness,
    /// A wall clock jumped.
    ClockJump,
    /// A member altered, invented, forked, forged or replayed something.
    LieTold,
    /// What a liar sent was dropped as junk.
    LieRefused,
    /// A member flooded another.
    Flood,
    /// A membership began.
    Join,
    /// A membership ended.
    Leave,
    /// History was collected.
    EpochAdvance,
    /// A neighborhood split.
    Split,
    /// Two neighborhoods merged.
    Merge,
    /// A member restarted and kept its id.
    Resume,
    /// A member restarted and joined anew.
    Rejoin,
    /// A member dropped what it knew and resynced.
    Fenced,
    /// A member came to vote in a group that had been complete before.
    VoterReplacement,
}

/// How many kinds there are.
const KINDS: usize = 22;

impl Incident {
    /// All kinds.
    pub const ALL: [Incident; KINDS] = [
        Incident::LeaderChange,
        Incident::Partition,
        Incident::Crash,
        Incident::TornWrite,
        Incident::UnsyncedLoss,
        Incident::LostDisk,
        Incident::OldDisk,
        Incident::FullDisk,
        Incident::Slowness,
        Incident::ClockJump,
        Incident::LieTold,
        Incident::LieRefused,
        Incident::Flood,
        Incident::Join,
        Incident::Leave,
        Incident::EpochAdvance,
        Incident::Split,
        Incident::Merge,
        Incident::Resume,
        Incident::Rejoin,
        Incident::Fenced,
        Incident::VoterReplacement,
    ];

    /// In words, for many.
    pub fn title(self) -> &'static str {
        match self {
            Incident::LeaderChange => "leader changes",
            Incident::Partition => "partitions",
            Incident::Crash => "crashes",
            Incident::TornWrite => "torn writes",
            Incident::UnsyncedLoss => "unsynced losses",
            Incident::LostDisk => "lost disks",
            Incident::OldDisk => "old disks",
            Incident::FullDisk => "full disks",
            Incident::Slowness => "slow nodes",
            Incident::ClockJump => "clock jumps",
            Incident::LieTold => "lies told",
            Incident::LieRefused => "lies refused",
            Incident::Flood => "floods",
            Incident::Join => "joins",
            Incident::Leave => "leaves",
            Incident::EpochAdvance => "epoch advances",
            Incident::Split => "splits",
            Incident::Merge => "merges",
            Incident::Resume => "resumes",
            Incident::Rejoin => "rejoins",
            Incident::Fenced => "fenced nodes",
            Incident::VoterReplacement => "voter replacements",
        }
    }

    /// The key in JSON.
    pub fn key(self) -> String {
        self.title().replace(' ', "_")
    }
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incidents([u64; KINDS]);

impl Incidents {
    /// It happened once.
    pub fn count(&mut self, incident: Incident) {
        self.add(incident, 1);
    }

    /// It happened so many times.
    pub fn add(&mut self, incident: Incident, times: u64) {
        self.0[incident as usize] += times;
    }

    /// How often it happened.
    pub fn of(&self, incident: Incident) -> u64 {
        self.0[incident as usize]
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Incidents) {
        for incident in Incident::ALL {
            self.add(incident, other.of(incident));
        }
    }

    /// What happened at all.
    pub fn happened(&self) -> impl Iterator<Item = (Incident, u64)> {
        Incident::ALL.into_iter().map(|incident| (incident, self.of(incident))).filter(|(_, count)| *count > 0)
    }
}

impl FromIterator<Incident> for Incidents {
    fn from_iter<I: IntoIterator<Item = Incident>>(all: I) -> Self {
        let mut incidents = Incidents::default();
        all.into_iter().for_each(|incident| incidents.count(incident));
        incidents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_on_its_own_and_runs_add_up() {
        let mut one = Incidents::default();
        for (times, incident) in Incident::ALL.into_iter().enumerate() {
            one.add(incident, times as u64);
        }
        let mut sum = one;
        sum.merge(&one);
        assert!(Incident::ALL.into_iter().enumerate().all(|(times, incident)| sum.of(incident) == 2 * times as u64));
        assert_eq!(sum.happened().count(), KINDS - 1, "the first has not happened");
        assert_eq!(Incident::VoterReplacement.key(), "voter_replacements");
    }
}
