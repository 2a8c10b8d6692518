//! How a node is tuned. Every field: unit, default, and what raising and lowering it does.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::facts::NeighborhoodLimits;
use crate::wire::access::AdmissionPolicy;
use crate::wire::feature::{self, FeatureName};

/// The tuning of one machine. [`Settings::default`] suits a LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Failure detection.
    pub membership: MembershipSettings,
    /// The control plane.
    pub control: ControlSettings,
    /// The event log.
    pub events: EventSettings,
    /// Hosts' configs.
    pub configs: ConfigSettings,
    /// Changes are gathered this long before the roles are run. Default 10 ms. Raising it saves work
    /// in a storm of changes; lowering it brings a lone change out sooner.
    pub role_coalesce: Duration,
    /// A join, resume or resync without an answer is tried again after this, with jitter. Default
    /// 500 ms. Raising it spares a busy control plane; lowering it joins sooner where packets are lost.
    pub admission_retry: Duration,
    /// An older start of a node that is heard from this long after a newer one is a second live
    /// process. Default 3 s. Raising it forgives slower networks; lowering it finds clones sooner.
    pub duplicate_after: Duration,
    /// The optional features that this node supports. Default: all that this build knows. Leaving one out keeps it from being switched on;
    /// a node that lacks one that is switched on stops, and says so.
    pub features: BTreeSet<FeatureName>,
    /// The bug that this machine has, for the test of the checkers. Default none.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Planted>,
}

/// Failure detection by SWIM (Das, Gupta, Motivala, 2002), with the quorum as second opinion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipSettings {
    /// Each node probes one neighbor per period. Default 850 ms. Raising it saves traffic; lowering it
    /// finds crashes sooner: somebody probes a crashed node after one period at the median, but only
    /// after 4.6 periods at the 99th percentile.
    pub probe_period: Duration,
    /// An answer to a direct probe is awaited this long before others are asked to probe. Default
    /// 200 ms; less than half of `probe_period`, which is what it is cut to. Raising it forgives slow
    /// links.
    pub probe_timeout: Duration,
    /// How many others are asked to probe. Default 3. Raising it forgives loss, and costs packets.
    pub indirect_probes: usize,
    /// A suspect that does not refute within this is called down. Default 600 ms: who is called down is asked
    /// first-hand, so false alarms cost packets only. Raising it saves these; lowering it finds crashes sooner.
    pub suspicion: Duration,
    /// Pending updates are gossiped this often. Default 200 ms.
    pub gossip_period: Duration,
    /// To how many neighbors. Default 3.
    pub gossip_fanout: usize,
    /// How often one update is passed on by one node. Default 6.
    pub max_transmissions: u8,
    /// How often a node itself pings one that is called down before it gives evidence. Default 6. With
    /// `confirm_interval` it is how long a node may stand still without being taken for crashed: 1.5 s.
    pub confirm_pings: u32,
    /// How far apart these pings are. Default 250 ms.
    pub confirm_interval: Duration,
    /// Evidence is repeated this often while it lasts. Default 500 ms.
    pub evidence_interval: Duration,
    /// After a change of neighborhoods a node answers probes of the former one for this long. Default
    /// 10 s. Raising it spares false alarms of those who hear of the change late; lowering it saves
    /// little.
    pub overlap: Duration,
    /// So many members of other neighborhoods are linked to. Default 3. Raising it makes events cross
    /// faster where many nodes fail at once; lowering it saves traffic and connections. Below 2 the links
    /// may fall apart into several graphs.
    pub far_links: usize,
    /// Each far link is asked for a sample once in this time. Default 60 s. Raising it saves traffic, up to
    /// the idle timeout of connections, above which each sample costs a handshake; lowering it replaces
    /// dead links sooner.
    pub sample_period: Duration,
    /// A far link that does not answer is asked a second time after this, and given up after it once more.
    /// Default 2 s. Raising it forgives slow links.
    pub sample_timeout: Duration,
    /// Delegates of a neighborhood tell a voter this often that it lives, where there are several; one of
    /// which nothing was heard for three times as long is probed by voters. Default 5 s. Raising it saves
    /// traffic; lowering it finds the end of a whole neighborhood sooner.
    pub keepalive: Duration,
}

/// The control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Raft's unit of time. Default 50 ms.
    pub tick: Duration,
    /// The shortest election timeout, in ticks; the longest is twice that. Default 10. Raising it
    /// forgives slow voters; lowering it replaces a dead leader sooner.
    pub election_ticks: usize,
    /// A leader sends heartbeats this often, in ticks. Default 4: 200 ms. Raising it saves traffic, which in a small cluster is
    /// mostly this; it must stay well below `election_ticks`.
    pub heartbeat_ticks: usize,
    /// The wanted number of voters: eligible members are promoted up to it. Default 3. An even number
    /// tolerates no more failures than the odd one below it.
    pub voters: usize,
    /// A snapshot is made, and the log cut, after so many applied entries and, by node, up to half as many
    /// more: voters make theirs at different times. Default 1,024. Raising it makes snapshots rarer and the log longer.
    pub snapshot_entries: u64,
    /// The most proposals in flight. Default 1,024; more are refused as busy.
    pub max_proposals: usize,
    /// A proposal or read without an answer is given up after this: its outcome is unknown. Default 5 s.
    pub proposal_timeout: Duration,
    /// The leader counts a sign of life this often. Default 500 ms.
    pub beat: Duration,
    /// A voter that heard of no leader for this long is degraded. Default 3 s.
    pub voter_degraded_after: Duration,
    /// Another node that heard no new sign of life for this long is degraded. Default 15 s: what a beat takes from the voters over
    /// far links and through a full neighborhood, with a margin for loss.
    pub degraded_after: Duration,
    /// So many independent observers are needed for a leave by failure, where so many live. Default 3.
    pub observers: usize,
    /// Evidence counts this long. Default 2 s; above `evidence_interval`.
    pub evidence_window: Duration,
    /// The most leaves by failure that are committed in `leave_window`. Default 8: a mass false alarm
    /// must not empty the answers at once.
    pub max_leaves: usize,
    /// Over this time. Default 10 s.
    pub leave_window: Duration,
    /// The leader collects history when the tail holds so many events. Default 65,536.
    pub collect_events: u64,
    /// How large neighborhoods get: at most 48, merged below 12. Counts at the birth of a cluster alone, which fixes it for good:
    /// every voter must split alike. Raising `least` merges sooner; lowering `most` makes shorter SWIM lists, and more of them.
    pub neighborhoods: NeighborhoodLimits,
    /// Who may join: whoever the authority gave a certificate (the default), or enrolled keys alone. Counts at the birth of a cluster
    /// alone, which fixes it for good.
    pub admission: AdmissionPolicy,
}

/// The event log on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// A node keeps the last events up to so many bytes. Default 64 KiB.
    pub tail_bytes: usize,
    /// A voter keeps so many. Default 16 MiB.
    pub voter_tail_bytes: usize,
    /// The leader begins in so many neighborhoods besides its own. Default 4. Raising it forgives more crashed members, and costs
    /// the leader; it does not depend on the size of the cluster.
    pub push_fanout: usize,
    /// A lone event is passed on to so many neighbors, and comes from as many. Default 3. Raising it forgives loss and
    /// crashes; each copy of an event more per node is what it costs.
    pub push_neighbors: usize,
    /// Above so many events a second they are announced and pulled instead of pushed, so that each crosses each node about once. Default
    /// 10. Raising it keeps bursts fast; lowering it saves copies.
    pub push_rate: usize,
    /// A node announces its position at most this often. Default 50 ms. Raising it saves packets in a stream of events;
    /// lowering it spreads them sooner.
    pub announce_interval: Duration,
    /// To so many neighbors that were not heard to be there. Default 2.
    pub announce_neighbors: usize,
    /// And over so many far links. Default 3. Raising either forgives loss, and costs small packets.
    pub announce_far: usize,
    /// Before it pulls, a node that is behind waits for a random part of this. Default 50 ms.
    pub pull_jitter: Duration,
    /// A pull without an answer is tried elsewhere after this. Default 500 ms.
    pub pull_timeout: Duration,
    /// The most bytes of events in one answer. Default 256 KiB.
    pub range_bytes: usize,
    /// A node answers pulls with at most so many bytes a second. Default 16 MiB. Raising it brings many that are behind up sooner;
    /// lowering it keeps a node's link free.
    pub answer_bytes: usize,
    /// Of these a single member gets at most so many. Default 2 MiB. Lowering it holds a member that floods down sooner, and makes
    /// one that is far behind slower.
    pub peer_answer_bytes: usize,
    /// A member whose claim to be ahead came to nothing is not believed for this long; twice as long, up to sixteen times, where it
    /// lied again. Default 1 s. Raising it spares work for liars; lowering it forgives a mistake sooner.
    pub distrust: Duration,
}

/// Hosts' configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSettings {
    /// A host sends a new config to so many consumers. Default 2.
    pub consumers: usize,
    /// And to so many neighbors, who answer for it. Default 2.
    pub neighbors: usize,
    /// To those who did not answer it is sent again after this. Default 500 ms. A consumer that owes an answer for so
    /// long is silent: others pass on for it. Raising it forgives slow links; lowering it gets round a lost node sooner.
    pub offer_retry: Duration,
    /// A consumer passes a config on to so many others. Default 8. Raising it makes the way to the last one
    /// shorter; lowering it spreads the work among more.
    pub pass_on: usize,
    /// A consumer compares digests with another this often, with jitter. Default 2 s.
    pub compare: Duration,
    /// Sequence numbers are reserved on disk in blocks of so many. Default 256.
    pub seq_block: u64,
    /// So many configs that are ahead of their join event are kept. Default 1,024.
    pub ahead: usize,
    /// The most bytes of configs in one message. Default 512 KiB.
    pub batch_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            membership: MembershipSettings::default(),
            control: ControlSettings::default(),
            events: EventSettings::default(),
            configs: ConfigSettings::default(),
            role_coalesce: Duration::from_millis(10),
            admission_retry: Duration::from_millis(500),
            duplicate_after: Duration::from_secs(3),
            features: feature::known(),
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}

impl Settings {
    /// Settings for nodes of one machine, as in a test or a trial. Here no packet is lost and little is far: what is tried again was only
    /// too early, so it is tried again soon, and a start is quick. How failures are found keeps its pace, since a busy machine is no crash.
    #[must_use]
    pub fn one_machine() -> Self {
        let mut settings = Settings { admission_retry: Duration::from_millis(100), ..Settings::default() };
        // The same times of elections in finer steps: a voter that was not connected yet is told again sooner.
        settings.control.tick = Duration::from_millis(20);
        settings.control.election_ticks = 25;
        // A host may offer its config before its consumers have joined, or know each other.
        settings.configs.offer_retry = Duration::from_millis(100);
        settings.configs.compare = Duration::from_millis(250);
        settings
    }
}

impl Default for MembershipSettings {
    fn default() -> Self {
        MembershipSettings {
            probe_period: Duration::from_millis(850),
            probe_timeout: Duration::from_millis(200),
            indirect_probes: 3,
            suspicion: Duration::from_millis(600),
            gossip_period: Duration::from_millis(200),
            gossip_fanout: 3,
            max_transmissions: 6,
            confirm_pings: 6,
            confirm_interval: Duration::from_millis(250),
            evidence_interval: Duration::from_millis(500),
            overlap: Duration::from_secs(10),
            far_links: 3,
            sample_period: Duration::from_secs(60),
            sample_timeout: Duration::from_secs(2),
            keepalive: Duration::from_secs(5),
        }
    }
}

impl Default for ControlSettings {
    fn default() -> Self {
        ControlSettings {
            tick: Duration::from_millis(50),
            election_ticks: 10,
            heartbeat_ticks: 4,
            voters: 3,
            snapshot_entries: 1024,
            max_proposals: 1024,
            proposal_timeout: Duration::from_secs(5),
            beat: Duration::from_millis(500),
            voter_degraded_after: Duration::from_secs(3),
            degraded_after: Duration::from_secs(15),
            observers: 3,
            evidence_window: Duration::from_secs(2),
            max_leaves: 8,
            leave_window: Duration::from_secs(10),
            collect_events: 65_536,
            neighborhoods: NeighborhoodLimits::default(),
            admission: AdmissionPolicy::Open,
        }
    }
}

impl Default for EventSettings {
    fn default() -> Self {
        EventSettings {
            tail_bytes: 64 << 10,
            voter_tail_bytes: 16 << 20,
            push_fanout: 4,
            push_neighbors: 3,
            push_rate: 10,
            announce_interval: Duration::from_millis(50),
            announce_neighbors: 2,
            announce_far: 3,
            pull_jitter: Duration::from_millis(50),
            pull_timeout: Duration::from_millis(500),
            range_bytes: 256 << 10,
            answer_bytes: 16 << 20,
            peer_answer_bytes: 2 << 20,
            distrust: Duration::from_secs(1),
        }
    }
}

impl Default for ConfigSettings {
    fn default() -> Self {
        ConfigSettings {
            consumers: 2,
            neighbors: 2,
            offer_retry: Duration::from_millis(500),
            pass_on: 8,
            compare: Duration::from_secs(2),
            seq_block: 256,
            ahead: 1024,
            batch_bytes: 512 << 10,
        }
    }
}
