//! One of many hosts changes: how long until its node has the new zone?
//!
//! `zone_change [--hosts N] [--changes N]` (defaults: 10000, 400). The time is that of running the role over the view, as
//! a node does: from what changed to a zone that can be put in force. Prints a table and one line of JSON per row.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use hivemind_core::facts::{Facts, NeighborhoodLimits};
use hivemind_core::ids::{ClusterId, Epoch, Index, NodeId, NodeName, PublicKey, Seq};
use hivemind_core::keys::Signature;
use hivemind_core::role::{InstalledRole, Role, Roles};
use hivemind_core::time::Time;
use hivemind_core::view::{Changed, Condition, View};
use hivemind_core::wire::config::{HostConfig, Section, SignedConfig};
use hivemind_core::wire::event::{Event, LeaveReason, LogEvent};
use hivemind_core::wire::member::MemberRecord;
use hivemind_dns_processor::role::DnsProcessor;
use hivemind_dns_processor::zone::ZoneSettings;
use hivemind_sections::{HostSection, Section as _, Service, ServiceSection};

/// Services of the shape `spread`; in the shape `shared` there is one for all hosts.
const SERVICES: u64 = 500;
/// What a change may take.
const LIMIT: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let (mut hosts, mut changes) = (10_000, 400);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--hosts" => hosts = value.parse()?,
            [name, value] if name == "--changes" => changes = value.parse()?,
            _ => bail!("unknown option {pair:?}; known are --hosts N and --changes N"),
        }
    }
    ensure!(hosts > 0 && changes > 0, "all numbers must be above 0");
    println!("{:<8} {:<13} {:>11} {:>11} {:>11}", "shape", "change", "median ms", "p99 ms", "first ms");
    for (shape, services) in [("spread", SERVICES), ("shared", 1)] {
        let mut world = World::new(hosts, services)?;
        let first = world.run(Changed::everything());
        for (name, change) in CHANGES {
            let mut times: Vec<Duration> = (0..changes)
                .map(|number| {
                    let changed = change(&mut world, number * 7_919 % hosts);
                    world.run(changed)
                })
                .collect();
            times.sort_unstable();
            report(shape, name, hosts, first, &times);
        }
    }
    Ok(())
}

type Change = fn(&mut World, u64) -> Changed;

const CHANGES: [(&str, Change); 3] =
    [("config", World::change_config), ("reachability", World::change_reachability), ("leave and join", World::leave_and_join)];

fn report(shape: &str, change: &str, hosts: u64, first: Duration, times: &[Duration]) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{shape:<8} {change:<13} {:>11.3} {:>11.3} {:>11.1}", ms(median), ms(p99), ms(first));
    let line = serde_json::json!({
        "bench": "zone_change", "shape": shape, "change": change, "hosts": hosts, "samples": times.len(),
        "median_ms": ms(median), "p99_ms": ms(p99), "from_nothing_ms": ms(first), "within_limit": p99 <= LIMIT,
    });
    println!("{line}");
}

/// A node's view of many hosts, and the role that runs over it.
struct World {
    view: View,
    roles: Roles,
    template: MemberRecord,
    services: u64,
    ids: Vec<NodeId>,
    seq: u64,
}

impl World {
    fn new(hosts: u64, services: u64) -> Result<Self> {
        let role = DnsProcessor::new(ZoneSettings::new(&["hive."])?);
        let template = MemberRecord {
            node: NodeId::new(1, 1),
            name: NodeName::new("dns1")?,
            key: PublicKey([0; 32]),
            addresses: vec!["127.0.0.1:6550".parse()?],
            roles: vec![role.spec()],
            voter_eligible: true,
            features: Default::default(),
            address_seq: 0,
            joined: Index(0),
        };
        let facts = Facts::birth(ClusterId(1), Epoch { generation: 1, number: 0, tag: 1 }, NeighborhoodLimits::default(), template.clone());
        let (configs, unreachable) = (Default::default(), Default::default());
        let view = View { node: template.node, facts, configs, unreachable, condition: Condition::default() };
        let roles = Roles::new(vec![InstalledRole::new(role)]);
        let mut world = World { view, roles, template, services, ids: Vec::new(), seq: 0 };
        for number in 0..hosts {
            let id = world.join(number);
            world.ids.push(id);
        }
        Ok(world)
    }

    /// Runs the role; the time that took.
    fn run(&mut self, changed: Changed) -> Duration {
        self.roles.gather(changed);
        let start = Instant::now();
        let states = self.roles.run(&self.view, Time::ZERO);
        let took = start.elapsed();
        assert_eq!(states.len(), 1, "every change makes another zone");
        took
    }

    fn happen(&mut self, event: &Event) {
        let index = self.view.facts.position().index.next();
        self.view.facts.apply(&LogEvent::new(index, event)).expect("the events of this bench fit");
    }

    fn join(&mut self, number: u64) -> NodeId {
        let joined = self.view.facts.position().index.next();
        let node = NodeId::new(1, joined.0 + 1);
        let mut key = [1; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let name = NodeName::new(&format!("h{number:05}")).expect("a name of letters and digits");
        let member = MemberRecord { node, name, key: PublicKey(key), roles: vec![], joined, ..self.template.clone() };
        let neighborhood = self.view.facts.assignment();
        self.happen(&Event::Joined { member, neighborhood, supersedes: None, listed: vec![] });
        self.publish(number, node);
        node
    }

    fn publish(&mut self, number: u64, node: NodeId) {
        self.seq += 1;
        let addresses = vec![Ipv4Addr::from((10 << 24) + ((number as u32) << 8) + (self.seq as u32 & 0xff)).into()];
        let service = Service { name: format!("s{}", number % self.services), port: 8080, tags: vec!["v1".to_owned(), "v2".to_owned()] };
        let sections = vec![
            Section { kind: HostSection::kind(), body: HostSection { addresses }.encode().into() },
            Section { kind: ServiceSection::kind(), body: ServiceSection { services: vec![service] }.encode().into() },
        ];
        let config = HostConfig { node, seq: Seq(self.seq), sections };
        self.view.configs.insert(node, Arc::new(SignedConfig { config, signature: Signature([0; 64]) }));
    }

    fn change_config(&mut self, number: u64) -> Changed {
        let node = self.ids[number as usize];
        self.publish(number, node);
        Changed { configs: [node].into_iter().collect(), ..Changed::default() }
    }

    fn change_reachability(&mut self, number: u64) -> Changed {
        let node = self.ids[number as usize];
        if self.view.unreachable.remove(&node).is_none() {
            self.view.unreachable.insert(node);
        }
        Changed { reachability: [node].into_iter().collect(), ..Changed::default() }
    }

    fn leave_and_join(&mut self, number: u64) -> Changed {
        let old = self.ids[number as usize];
        self.happen(&Event::Left { node: old, reason: LeaveReason::Asked, listed: vec![] });
        self.view.configs.remove(&old);
        let new = self.join(number);
        self.ids[number as usize] = new;
        Changed { members: [old, new].into_iter().collect(), configs: [old, new].into_iter().collect(), ..Changed::default() }
    }
}
