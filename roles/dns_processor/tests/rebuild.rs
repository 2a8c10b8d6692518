//! The zone of a node that saw every change equals the zone of one that was told everything at once, in any order.

mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::{Host, ask, cname, name, node, record, service, settings, txt};
use domain::base::iana::Rtype;
use hivemind_core::facts::{Facts, NeighborhoodLimits};
use hivemind_core::ids::{ClusterId, Epoch, NodeId, PublicKey, Seq};
use hivemind_core::keys::Signature;
use hivemind_core::role::Role;
use hivemind_core::time::Timestamp;
use hivemind_core::view::{Changed, Condition, View};
use hivemind_core::wire::config::{HostConfig, Section, SignedConfig};
use hivemind_core::wire::event::{Event, LeaveReason, LogEvent};
use hivemind_core::wire::member::MemberRecord;
use hivemind_dns_processor::role::DnsProcessor;
use hivemind_dns_processor::zone::{HostFacts, NameServer, Zone};
use hivemind_sections::{DnsRecord, DnsSection, RecordData, Section as _, Service};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

/// Few names, so that hosts meet at them.
fn records() -> impl Strategy<Value = Vec<DnsRecord>> {
    let owner = select(vec!["x.hive.", "y.example.org.", "web.service.hive.", "h1.node.hive.", "1.0.0.10.in-addr.arpa.", "a.x.hive."]);
    let one = (owner, 0..5u8, 0..3u8).prop_map(|(owner, kind, value)| match kind {
        0 => record(owner, RecordData::A([10, 9, 0, value].into())),
        1 => cname(owner, ["x.hive.", "y.example.org.", "away.example.com."][value as usize]),
        2 => txt(owner, &value.to_string()),
        3 => record(owner, RecordData::Ptr("h1.node.hive.".into())),
        _ => DnsRecord { ttl: value.into(), ..record(owner, RecordData::A([10, 9, 0, 9].into())) },
    });
    vec(one, 0..3)
}

fn services() -> impl Strategy<Value = Vec<Service>> {
    let one = (select(vec!["web", "db", "web2"]), select(vec![80u16, 81]), select(vec![&[][..], &["v1"], &["v1", "v2"]]));
    vec(one.prop_map(|(name, port, tags)| service(name, port, tags)), 0..3)
}

fn host() -> impl Strategy<Value = Host> {
    let addresses = vec(select(vec!["10.0.0.1", "10.0.0.2", "fd00::1", "203.0.113.9", "8.8.8.8"]), 0..3);
    (addresses, services(), records()).prop_map(|(addresses, services, records)| Host { addresses, services, records })
}

#[derive(Clone, Debug)]
enum Change {
    Host(u64, Host),
    /// A section that does not decode.
    BadHost(u64, Host),
    Gone(u64),
    Reachable(u64, bool),
    Server(u64, bool),
}

const MEMBERS: u64 = 5;

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (1..=MEMBERS, host()).prop_map(|(number, host)| Change::Host(number, host)),
        1 => (1..=MEMBERS, host()).prop_map(|(number, host)| Change::BadHost(number, host)),
        2 => (1..=MEMBERS).prop_map(Change::Gone),
        2 => (1..=MEMBERS, any::<bool>()).prop_map(|(number, up)| Change::Reachable(number, up)),
        1 => (1..=2u64, any::<bool>()).prop_map(|(number, there)| Change::Server(number, there)),
    ]
}

fn facts_of(number: u64, seq: u64, host: &Host) -> HostFacts {
    // Joined in the opposite order of the ids, so that the two can not be mistaken for each other.
    HostFacts { seq: Seq(seq), ..host.facts(&format!("h{number}"), 100 - number) }
}

fn server_of(number: u64) -> NameServer {
    NameServer { name: name(&format!("h{number}")), joined: 100 - number, addresses: vec![[127, 0, 0, number as u8].into()] }
}

/// What each member published, version by version, since it last came: what the last good sections follow from.
type Histories = BTreeMap<u64, Vec<HostFacts>>;

/// Feeds the histories to an empty zone, host by host, in this order.
fn rebuilt(order: &[u64], histories: &Histories, servers: &BTreeMap<u64, bool>) -> Zone {
    let mut zone = Zone::new(settings());
    for number in order {
        let history = histories.get(number).into_iter().flatten();
        // Of the past only the sections count.
        let reachable = history.clone().last().is_some_and(|last| last.reachable);
        for facts in history {
            let mut edit = zone.edit();
            edit.set_host(node(*number), Some(HostFacts { reachable, ..facts.clone() }));
            zone = edit.finish();
        }
        let mut edit = zone.edit();
        edit.set_server(node(*number), servers.get(number).filter(|there| **there).map(|_| server_of(*number)));
        zone = edit.finish();
    }
    zone
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_order_of_arrival_leaves_no_trace(
        changes in vec(change(), 1..40),
        order in Just((1..=MEMBERS).collect::<Vec<_>>()).prop_shuffle(),
        batch in 1..5usize,
    ) {
        let mut zone = Zone::new(settings());
        let (mut histories, mut servers) = (Histories::new(), BTreeMap::new());
        let mut seq = 0;
        for changes in changes.chunks(batch) {
            let mut edit = zone.edit();
            for change in changes {
                seq += 1;
                let (number, facts) = match change {
                    Change::Server(number, there) => {
                        servers.insert(*number, *there);
                        edit.set_server(node(*number), there.then(|| server_of(*number)));
                        continue;
                    }
                    Change::Host(number, host) => (*number, Some(facts_of(*number, seq, host))),
                    Change::BadHost(number, host) => {
                        let mut facts = facts_of(*number, seq, host);
                        facts.sections.insert(DnsSection::kind(), vec![0xff; 3].into());
                        (*number, Some(facts))
                    }
                    Change::Gone(number) => (*number, None),
                    Change::Reachable(number, up) => {
                        let last = histories.get(number).and_then(|history| history.last()).cloned();
                        let Some(facts) = last else { continue };
                        (*number, Some(HostFacts { reachable: *up, ..facts }))
                    }
                };
                match &facts {
                    Some(facts) => histories.entry(number).or_default().push(facts.clone()),
                    None => drop(histories.remove(&number)),
                }
                edit.set_host(node(number), facts);
            }
            zone = edit.finish();
        }
        assert_eq!(zone, rebuilt(&order, &histories, &servers));
    }

    #[test]
    fn the_role_from_its_last_zone_equals_the_role_from_nothing(steps in vec((1..=MEMBERS, host(), any::<bool>(), 0..5u8), 1..30)) {
        let role = DnsProcessor::new(settings());
        let mut world = World::new(&role);
        let mut last = None;
        for (number, host, up, kind) in steps {
            let changed = world.step(number, &host, up, kind);
            let desired = role.desired(&world.view, &changed, last.as_ref());
            assert_eq!(desired, role.desired(&world.view, &Changed::everything(), None));
            last = Some(desired);
        }
    }
}

/// A daemon that restarts says nothing of the services beside it.
#[test]
fn one_that_announced_its_restart_is_no_instance_less() {
    let role = DnsProcessor::new(settings());
    let mut world = World::new(&role);
    let host = |address| Host { addresses: vec![address], services: vec![service("web", 80, &[])], ..Host::default() };
    let hosts = [host("10.0.0.1"), host("10.0.0.2")];
    let mut zone = None;
    let mut served = |world: &mut World, up: bool, kind: u8| {
        let changed = world.step(1, &hosts[0], up, kind);
        let desired = role.desired(&world.view, &changed, zone.as_ref());
        let count = ask(&desired, "web.service.hive", Rtype::A).answers().len();
        zone = Some(desired);
        count
    };
    let (publish, reach, restart) = (4, 1, 3);
    world.step(2, &hosts[1], true, publish);
    assert_eq!(served(&mut world, true, publish), 2);
    assert_eq!(served(&mut world, true, restart), 2);
    assert_eq!(served(&mut world, false, reach), 2, "it said so");
    assert_eq!(served(&mut world, true, restart), 1, "it said that it is back, and is not");
    assert_eq!(served(&mut world, true, reach), 2);
}

/// A view that events and configs are put into.
struct World {
    view: View,
    dns: MemberRecord,
    seq: u64,
    ids: BTreeMap<u64, NodeId>,
}

impl World {
    fn new(role: &DnsProcessor) -> Self {
        let dns = MemberRecord {
            node: node(1000),
            name: name("dns1"),
            key: PublicKey([1; 32]),
            addresses: vec!["127.0.0.1:6550".parse().expect("an address")],
            roles: vec![role.spec()],
            voter_eligible: true,
            features: Default::default(),
            address_seq: 0,
            joined: hivemind_core::ids::Index(0),
        };
        let facts = Facts::birth(ClusterId(1), Epoch { generation: 1, number: 0, tag: 1 }, NeighborhoodLimits::default(), dns.clone());
        let (configs, unreachable) = (Default::default(), Default::default());
        let view = View { node: dns.node, facts, configs, unreachable, condition: Condition::default() };
        World { view, dns, seq: 0, ids: BTreeMap::new() }
    }

    fn happen(&mut self, event: &Event) {
        let index = self.view.facts.position().index.next();
        self.view.facts.apply(&LogEvent::new(index, event)).expect("an event that fits");
    }

    /// One thing happens to one host; what moved.
    fn step(&mut self, number: u64, host: &Host, up: bool, kind: u8) -> Changed {
        let mut changed = Changed::default();
        self.seq += 1;
        match (kind, self.ids.get(&number).copied()) {
            (0, Some(id)) => {
                self.happen(&Event::Left { node: id, reason: LeaveReason::Asked, listed: vec![] });
                self.ids.remove(&number);
                self.view.configs.remove(&id);
                self.view.unreachable.remove(&id);
                changed.members.insert(id);
                changed.configs.insert(id);
            }
            (1, Some(id)) => {
                match up {
                    true => self.view.unreachable.remove(&id),
                    false => self.view.unreachable.insert(id),
                };
                changed.reachability.insert(id);
            }
            (2, _) => {
                self.view.condition.incomplete = up;
                changed.condition = true;
            }
            (3, Some(id)) => {
                let until = Timestamp(60_000);
                match self.view.facts.restarting_until(id) {
                    Some(_) => self.happen(&Event::Restarted { node: id }),
                    None => self.happen(&Event::Restarting { node: id, until }),
                }
                changed.members.insert(id);
            }
            (_, Some(id)) => {
                self.publish(id, host);
                changed.configs.insert(id);
            }
            (_, None) => {
                let id = node(self.seq);
                self.ids.insert(number, id);
                let joined = self.view.facts.position().index.next();
                let name = name(&format!("h{number}"));
                let key = PublicKey([100 + number as u8; 32]);
                let member = MemberRecord { node: id, name, key, joined, roles: vec![], ..self.dns.clone() };
                let neighborhood = self.view.facts.assignment();
                self.happen(&Event::Joined { member, neighborhood, supersedes: None, listed: vec![] });
                self.publish(id, host);
                changed.members.insert(id);
                changed.configs.insert(id);
            }
        }
        changed
    }

    /// Publishes what is good by itself: a bad section would make the result follow from more than the view.
    fn publish(&mut self, id: NodeId, host: &Host) {
        let mut good = host.clone();
        let owners: Vec<_> = good.records.iter().map(|record| record.name.clone()).collect();
        good.records.retain(|record| {
            let alone = owners.iter().filter(|owner| **owner == record.name).count() == 1;
            alone || !matches!(record.data, RecordData::Cname(_))
        });
        let sections = good.facts("any", 0).sections.into_iter().map(|(kind, body)| Section { kind, body });
        let config = HostConfig { node: id, seq: Seq(self.seq), sections: sections.collect() };
        self.view.configs.insert(id, Arc::new(SignedConfig { config, signature: Signature([0; 64]) }));
    }
}
