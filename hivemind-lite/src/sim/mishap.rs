//! What can happen to nodes and links, and how often: plain data.

/// One thing that goes wrong, or that ends what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// A few processes are killed; what they had not made durable is lost, perhaps in the middle of a record.
    Crash,
    /// A few dead processes are started again, on their disks; a full disk gets room first.
    Restart,
    /// A process is killed, perhaps just after it was asked to publish, and started again at once.
    Bounce,
    /// All voters are killed, and started again one after another.
    BounceVoters,
    /// A process is killed, and its whole disk is lost.
    LoseDisk,
    /// A voter is killed, and its Raft data is lost; its identity is not.
    LoseLog,
    /// A process is killed, and its rebuildable records are lost.
    LoseCache,
    /// A process is killed, and what its disk held some time ago is put back.
    OldDisk,
    /// A disk is full: the next write fails, and the node stops.
    FillDisk,
    /// Two groups of nodes do not hear each other.
    TwoWay,
    /// One group of nodes is not heard by the other.
    OneWay,
    /// Some single links are cut, each in one direction.
    Partial,
    /// A few nodes hear nobody and are heard by nobody.
    Isolate,
    /// A fifth of the packets from some nodes are lost.
    Lossy,
    /// All links are whole again.
    Heal,
    /// A node handles each input late.
    Slow,
    /// A node handles its inputs in bursts, with pauses between them.
    Starve,
    /// A process stands still for seconds, as a garbage collection or a suspended machine lets it.
    Pause,
    /// A wall clock jumps, forward or back.
    JumpClock,
    /// A member alters, invents, replays and forks events, and forges configs, in what it sends.
    Lie,
    /// A member sends far more than it should.
    Flood,
}

/// How many kinds there are.
const KINDS: usize = 21;

impl Mishap {
    /// All kinds.
    pub const ALL: [Mishap; KINDS] = [
        Mishap::Crash,
        Mishap::Restart,
        Mishap::Bounce,
        Mishap::BounceVoters,
        Mishap::LoseDisk,
        Mishap::LoseLog,
        Mishap::LoseCache,
        Mishap::OldDisk,
        Mishap::FillDisk,
        Mishap::TwoWay,
        Mishap::OneWay,
        Mishap::Partial,
        Mishap::Isolate,
        Mishap::Lossy,
        Mishap::Heal,
        Mishap::Slow,
        Mishap::Starve,
        Mishap::Pause,
        Mishap::JumpClock,
        Mishap::Lie,
        Mishap::Flood,
    ];

    /// Whether it ends what went wrong.
    pub fn mends(self) -> bool {
        matches!(self, Mishap::Restart | Mishap::Heal)
    }

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Mishap::Crash => "up to 3 processes crash",
            Mishap::Restart => "up to 6 dead processes restart",
            Mishap::Bounce => "a process crashes and restarts at once",
            Mishap::BounceVoters => "all voters crash and restart",
            Mishap::LoseDisk => "a whole disk is lost",
            Mishap::LoseLog => "a voter's Raft data is lost",
            Mishap::LoseCache => "rebuildable records are lost",
            Mishap::OldDisk => "an old disk is brought back",
            Mishap::FillDisk => "a disk is full",
            Mishap::TwoWay => "two-way partition",
            Mishap::OneWay => "one-way partition",
            Mishap::Partial => "single links cut in one direction",
            Mishap::Isolate => "up to 3 nodes cut off",
            Mishap::Lossy => "20 % loss from some nodes",
            Mishap::Heal => "all links healed",
            Mishap::Slow => "a slow node",
            Mishap::Starve => "a starved node",
            Mishap::Pause => "a process pauses",
            Mishap::JumpClock => "a wall clock jumps",
            Mishap::Lie => "a lying member",
            Mishap::Flood => "a flooding member",
        }
    }
}

/// How often each kind happens in a whole cluster, in times a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([u32; KINDS]);

impl Rates {
    /// Nothing happens.
    pub const NONE: Rates = Rates::of(&[]);
    /// Processes crash.
    pub const LAN: Rates = Rates::of(&[(Mishap::Crash, 4), (Mishap::Restart, 6), (Mishap::Bounce, 2)]);
    /// Links fail, too, and nodes are slow.
    pub const WAN: Rates = Rates::of(&[
        (Mishap::Crash, 4),
        (Mishap::Restart, 6),
        (Mishap::Bounce, 2),
        (Mishap::TwoWay, 2),
        (Mishap::OneWay, 1),
        (Mishap::Partial, 1),
        (Mishap::Lossy, 2),
        (Mishap::Heal, 4),
        (Mishap::Slow, 2),
        (Mishap::Pause, 2),
        (Mishap::JumpClock, 1),
    ]);
    /// Everything.
    pub const CHAOS: Rates = Rates::of(&[
        (Mishap::Crash, 14),
        (Mishap::Restart, 16),
        (Mishap::Bounce, 12),
        (Mishap::BounceVoters, 3),
        (Mishap::LoseDisk, 4),
        (Mishap::LoseLog, 3),
        (Mishap::LoseCache, 3),
        (Mishap::OldDisk, 4),
        (Mishap::FillDisk, 4),
        (Mishap::TwoWay, 5),
        (Mishap::OneWay, 5),
        (Mishap::Partial, 5),
        (Mishap::Isolate, 4),
        (Mishap::Lossy, 4),
        (Mishap::Heal, 12),
        (Mishap::Slow, 3),
        (Mishap::Starve, 4),
        (Mishap::Pause, 5),
        (Mishap::JumpClock, 4),
        (Mishap::Lie, 4),
        (Mishap::Flood, 3),
    ]);

    const fn of(rates: &[(Mishap, u32)]) -> Rates {
        let mut all = [0; KINDS];
        let mut next = 0;
        while next < rates.len() {
            all[rates[next].0 as usize] = rates[next].1;
            next += 1;
        }
        Rates(all)
    }

    /// Each kind with its rate.
    pub fn all(&self) -> impl Iterator<Item = (Mishap, u32)> {
        Mishap::ALL.into_iter().map(|mishap| (mishap, self.0[mishap as usize]))
    }

    /// The same without those kinds that do not `fit`.
    pub fn only(&self, mut fits: impl FnMut(Mishap) -> bool) -> Rates {
        let mut rates = *self;
        for mishap in Mishap::ALL {
            if !fits(mishap) {
                rates.0[mishap as usize] = 0;
            }
        }
        rates
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.all().map(|(mishap, rate)| (mishap.title(), format!("{rate} / min")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_in_its_own_place() {
        assert!(Mishap::ALL.iter().enumerate().all(|(place, mishap)| place == *mishap as usize));
        assert!(Rates::CHAOS.all().all(|(_, rate)| rate > 0), "chaos has everything");
        let crashes = Rates::CHAOS.only(|mishap| mishap == Mishap::Crash);
        assert_eq!(crashes.all().filter(|(_, rate)| *rate > 0).collect::<Vec<_>>(), [(Mishap::Crash, 14)]);
    }
}
