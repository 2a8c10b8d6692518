//! A small cluster to ask: hosts with short ways to say what they publish, and queries.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ParsedRecord, ToName};
use domain::rdata::AllRecordData;
use hivemind_core::ids::{NodeId, NodeName, Seq};
use hivemind_dns_processor::answer::{Outcome, Transport, answer};
use hivemind_dns_processor::zone::{HostFacts, NameServer, Zone, ZoneSettings};
use hivemind_sections::{DnsRecord, DnsSection, HostSection, RecordData, Section, Service, ServiceSection};

/// What a host publishes, to be filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    pub(crate) addresses: Vec<&'static str>,
    pub(crate) services: Vec<Service>,
    pub(crate) records: Vec<DnsRecord>,
}

pub(crate) fn node(number: u64) -> NodeId {
    NodeId::new(1, number)
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

pub(crate) fn service(name: &str, port: u16, tags: &[&str]) -> Service {
    Service { name: name.into(), port, tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

pub(crate) fn record(name: &str, data: RecordData) -> DnsRecord {
    DnsRecord { name: name.into(), ttl: 60, data }
}

pub(crate) fn cname(name: &str, target: &str) -> DnsRecord {
    record(name, RecordData::Cname(target.into()))
}

pub(crate) fn txt(name: &str, text: &str) -> DnsRecord {
    record(name, RecordData::Txt(vec![text.as_bytes().to_vec()]))
}

impl Host {
    pub(crate) fn facts(&self, host: &str, joined: u64) -> HostFacts {
        let addresses = self.addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let mut sections = BTreeMap::new();
        sections.insert(HostSection::kind(), HostSection { addresses }.encode().into());
        sections.insert(ServiceSection::kind(), ServiceSection { services: self.services.clone() }.encode().into());
        sections.insert(DnsSection::kind(), DnsSection { records: self.records.clone() }.encode().into());
        HostFacts { name: name(host), joined, seq: Seq(1), sections, reachable: true }
    }
}

pub(crate) fn settings() -> ZoneSettings {
    ZoneSettings::new(&["hive.", "example.org."]).expect("zones")
}

/// A complete zone with one name server, dns1, and these hosts, which joined in this order.
pub(crate) fn zone(hosts: &[(&str, Host)]) -> Zone {
    let mut edit = Zone::new(settings()).edit();
    for (at, (host, published)) in hosts.iter().enumerate() {
        let joined = at as u64 + 10;
        edit.set_host(node(joined), Some(published.facts(host, joined)));
    }
    let addresses = vec!["127.0.0.53".parse().expect("an address"), "::1".parse().expect("an address")];
    edit.set_server(node(2), Some(NameServer { name: name("dns1"), joined: 2, addresses }));
    edit.set_index(7);
    edit.set_complete(true);
    edit.finish()
}

/// web1 and web2 offer the service web; web1 has aliases.
pub(crate) fn example() -> Zone {
    let web1 = Host {
        addresses: vec!["10.0.0.11", "fd00::11"],
        services: vec![service("web", 8080, &["v2"])],
        records: vec![
            cname("blog.example.org.", "web1.node.hive."),
            cname("one.example.org.", "two.example.org."),
            cname("two.example.org.", "blog.example.org."),
            cname("away.example.org.", "www.example.com."),
            cname("dangling.example.org.", "nothing.hive."),
            cname("round.example.org.", "round2.example.org."),
            cname("round2.example.org.", "round.example.org."),
            cname("self.example.org.", "self.example.org."),
            txt("example.org.", "hello"),
        ],
    };
    let web2 = Host { addresses: vec!["10.0.0.12"], services: vec![service("web", 8081, &[])], ..Host::default() };
    zone(&[("web1", web1), ("web2", web2)])
}

/// The bytes of a query for `name` (recursion desired).
pub(crate) fn query(name: &str, rtype: Rtype) -> Vec<u8> {
    query_in(name, rtype, Class::IN)
}

pub(crate) fn query_in(name: &str, rtype: Rtype, class: Class) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(0x1234);
    message.header_mut().set_rd(true);
    let mut question = message.question();
    question.push((name.parse::<Name<Vec<u8>>>().expect("a name"), rtype, class)).expect("a Vec has room");
    question.finish()
}

/// The bytes of a query with an OPT record.
pub(crate) fn query_edns(name: &str, rtype: Rtype, payload: u16, version: u8) -> Vec<u8> {
    let bytes = query(name, rtype);
    with_opt(bytes, payload, version)
}

pub(crate) fn with_opt(mut bytes: Vec<u8>, payload: u16, version: u8) -> Vec<u8> {
    let [high, low] = payload.to_be_bytes();
    bytes.extend([0, 0, 41, high, low, 0, version, 0x80, 0, 0, 0]);
    bytes[11] += 1;
    bytes
}

/// A response, taken apart.
pub(crate) struct Response {
    pub(crate) outcome: Outcome,
    pub(crate) message: Message<Vec<u8>>,
}

impl Response {
    pub(crate) fn rcode(&self) -> Rcode {
        self.message.header().rcode()
    }

    /// `owner TTL class type data` of each record, section by section.
    pub(crate) fn sections(&self) -> [Vec<String>; 3] {
        let (_, answer, authority, additional) = self.message.sections().expect("a well-formed message");
        [answer, authority, additional].map(|section| {
            let records = section.map(|record| record.expect("a well-formed record"));
            records.filter(|record| record.rtype() != Rtype::OPT).map(|record| show(&record)).collect()
        })
    }

    pub(crate) fn answers(&self) -> Vec<String> {
        let [answer, _, _] = self.sections();
        answer
    }
}

fn show(record: &ParsedRecord<'_, Vec<u8>>) -> String {
    let record = record.to_record::<AllRecordData<_, _>>().expect("well-formed data").expect("any data");
    format!("{} {} {} {}", record.owner().fmt_with_dot(), record.ttl().as_secs(), record.rtype(), record.data())
}

pub(crate) fn respond(zone: &Zone, query: &[u8], transport: Transport) -> Response {
    let mut out = Vec::new();
    let outcome = answer(zone, query, transport, &mut out);
    Response { outcome, message: Message::from_octets(out).expect("a response has a header") }
}

/// Asks over UDP.
pub(crate) fn ask(zone: &Zone, name: &str, rtype: Rtype) -> Response {
    respond(zone, &query(name, rtype), Transport::Udp)
}
