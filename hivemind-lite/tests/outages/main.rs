//! Permanent scripts of what brought others down, as users would have seen it: by the answers of DNS. The simulator's checkers
//! look on at every step. The part of these stories that plays between machines is in `hivemind-core/tests/whole/outages`.

mod dead_data;
mod old_plan;
mod poison;
mod rolling_restart;

use std::time::Duration;

use hivemind_core::ids::{NodeId, NodeName};
use hivemind_core::machine::Phase;
use hivemind_core::settings::Settings;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_lite::sim::cluster::{Cluster, ClusterOptions, NodeSpec};
use hivemind_lite::sim::node::Part;
use hivemind_lite::sim::profile::Faults;
use hivemind_lite::sim::roles;

const VOTERS: [&str; 3] = ["voter1", "voter2", "voter3"];
const DNS: [&str; 2] = ["dns1", "dns2"];
const HOSTS: [&str; 5] = ["web1", "web2", "web3", "web4", "web5"];

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("the names in tests are valid")
}

fn everyone() -> impl Iterator<Item = &'static str> {
    VOTERS.into_iter().chain(DNS).chain(HOSTS)
}

/// Three voters, two that answer DNS, five hosts, on a LAN that loses one packet in a hundred; all know all.
fn cluster(seed: u64) -> Cluster {
    with_settings(seed, Settings::default())
}

fn with_settings(seed: u64, settings: Settings) -> Cluster {
    let spec = |text: &str, part, sections| NodeSpec { name: name(text), part, sections };
    let voters = VOTERS.iter().map(|text| spec(text, Part::Voter, vec![]));
    let dns = DNS.iter().map(|text| spec(text, Part::Consumer, vec![]));
    let hosts = HOSTS.iter().zip(1..).map(|(text, number)| spec(text, Part::Host, roles::sections(number, 0)));
    let options = ClusterOptions { seed, profile: Faults::Lan.profile(), settings };
    let mut cluster = Cluster::start(options, voters.chain(dns).chain(hosts).collect()).expect("it starts");
    cluster.wait("everybody is there", Duration::from_secs(60), |cluster| is_whole(cluster) && votes(cluster) == 3).expect("it forms");
    cluster
}

fn votes(cluster: &Cluster) -> usize {
    cluster.views().values().map(|view| view.facts.voters().len()).min().unwrap_or(0)
}

/// Whether all run, are members, know the same, and both answer for all hosts.
fn is_whole(cluster: &Cluster) -> bool {
    let position = cluster.views().values().map(|view| view.facts.position()).next();
    everyone().all(|node| is_back(cluster, node) && cluster.status(node).is_some_and(|status| status.position == position))
        && DNS.iter().all(|dns| answers_all(cluster, dns))
}

/// Whether a node runs, is a member, and knows all that there is to know for it.
fn is_back(cluster: &Cluster, node: &str) -> bool {
    cluster.status(node).is_some_and(|status| {
        let condition = status.condition;
        status.phase == Phase::Member && !(condition.stale || condition.incomplete || condition.degraded)
    })
}

fn answers_all(cluster: &Cluster, dns: &str) -> bool {
    HOSTS.iter().all(|host| cluster.is_answered(dns, &name(host)))
}

/// The ids of all, in order: who is evicted comes back under another one.
fn ids(cluster: &Cluster) -> Vec<NodeId> {
    everyone().map(|node| cluster.status(node).expect("it runs").node).collect()
}

/// Commits a command that does no harm if it is done twice: a voter that has just come back may know no leader yet, or the
/// connection to one that was killed may swallow it.
fn commit(cluster: &mut Cluster, at: &str, command: Command) {
    for _ in 0..20 {
        match cluster.propose(at, command.clone()).expect("it runs") {
            Outcome::Committed { .. } => return,
            Outcome::Refused(Refusal::Degraded) | Outcome::OutcomeUnknown => {
                cluster.run_for(Duration::from_millis(200)).expect("nothing breaks")
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the control plane stays degraded");
}

/// Lets time pass in small steps, looking on.
fn watch(cluster: &mut Cluster, time: Duration, mut look: impl FnMut(&Cluster)) {
    let end = cluster.now() + time;
    while cluster.now() < end {
        cluster.run_for(Duration::from_millis(20)).unwrap_or_else(|violation| panic!("{violation}"));
        look(cluster);
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
