//! What becomes of what hosts publish: what is in force, what is rejected, and what an unreachable host leaves.

mod cluster;

use cluster::{Host, ask, cname, name, node, record, service, settings, txt, zone};
use domain::base::iana::{Rcode, Rtype};
use hivemind_core::ids::Seq;
use hivemind_dns_processor::name::NameFault;
use hivemind_dns_processor::zone::{HostFacts, LastGood, NameServer, Reason, Zone, ZoneSettings};
use hivemind_sections::{DnsSection, RecordData, Section, ServiceSection};

/// A zone after one more change of one host.
fn after(zone: &Zone, number: u64, facts: Option<HostFacts>) -> Zone {
    let mut edit = zone.edit();
    edit.set_host(node(number), facts);
    edit.finish()
}

fn reasons(zone: &Zone) -> Vec<Reason> {
    zone.rejected().into_iter().map(|rejected| rejected.reason).collect()
}

/// The only reason why this host's config is not in force as a whole.
fn reason_of(host: Host) -> Reason {
    let zone = zone(&[("a", host)]);
    let [reason] = &reasons(&zone)[..] else { panic!("one reason is expected: {:?}", zone.rejected()) };
    reason.clone()
}

#[test]
fn the_last_good_section_stays_in_force_for_a_bad_one() {
    let host = Host { addresses: vec!["10.0.0.1"], services: vec![service("web", 80, &[])], ..Host::default() };
    let first = zone(&[("a", host.clone())]);
    let mut facts = Host { addresses: vec!["10.0.0.2"], ..host.clone() }.facts("a", 10);
    facts.seq = Seq(2);
    facts.sections.insert(ServiceSection::kind(), vec![0xff; 9].into());
    let second = after(&first, 10, Some(facts.clone()));
    let [rejected] = &second.rejected()[..] else { panic!("one section is bad") };
    assert_eq!((rejected.host, &rejected.name, rejected.seq, &rejected.kind), (node(10), &name("a"), Seq(2), &ServiceSection::kind()));
    assert!(matches!(rejected.reason, Reason::Undecodable(_)));
    // The good sections of the same config are in force.
    assert_eq!(ask(&second, "web.service.hive", Rtype::A).answers(), ["web.service.hive. 5 A 10.0.0.2"]);
    // A good one ends the rejection; one that is no longer published takes its names along.
    facts.sections.insert(ServiceSection::kind(), ServiceSection { services: vec![service("db", 5432, &[])] }.encode().into());
    let third = after(&second, 10, Some(facts.clone()));
    assert_eq!(third.rejected(), []);
    assert_eq!(ask(&third, "web.service.hive", Rtype::A).rcode(), Rcode::NXDOMAIN);
    facts.sections.remove(&ServiceSection::kind());
    assert_eq!(ask(&after(&third, 10, Some(facts)), "db.service.hive", Rtype::A).rcode(), Rcode::NXDOMAIN);
}

#[test]
fn a_host_that_joined_again_keeps_its_last_good_sections() {
    let host = Host { addresses: vec!["10.0.0.1"], services: vec![service("web", 80, &[])], ..Host::default() };
    let first = zone(&[("a", host.clone())]);
    let mut facts = host.facts("a", 20);
    facts.sections.insert(ServiceSection::kind(), vec![0xff].into());
    let mut edit = first.edit();
    edit.set_host(node(20), Some(facts));
    edit.set_host(node(10), None);
    let second = edit.finish();
    assert_eq!(ask(&second, "web.service.hive", Rtype::A).answers().len(), 1);
    assert_eq!(second.hosts(), 1);
}

#[test]
fn what_was_in_force_is_in_force_again_where_only_the_wrong_sections_are_known() {
    let host = Host { addresses: vec!["10.0.0.1"], services: vec![service("web", 80, &[])], records: vec![txt("x.hive.", "a")] };
    let mut wrong = host.facts("a", 10);
    (wrong.seq, wrong.sections) =
        (Seq(2), [(ServiceSection::kind(), vec![0xff; 9].into()), (DnsSection::kind(), vec![0xff].into())].into());
    let before = after(&zone(&[("a", host.clone()), ("b", host.clone())]), 10, Some(wrong.clone()));
    let kept = before.last_good();
    let kinds = |last_good: &[LastGood]| -> Vec<String> {
        last_good.iter().flat_map(|host| host.sections.iter().map(|section| section.kind.to_string())).collect()
    };
    assert_eq!((kept.len(), &kept[0].name, kinds(&kept)), (1, &name("a"), vec!["dns".to_owned(), "service".to_owned()]));

    // Nobody remembers it, and nothing is made up.
    let forgetful = after(&Zone::new(settings()), 10, Some(wrong.clone()));
    assert_eq!((forgetful.names(), forgetful.last_good()), (0, vec![]));
    let started = Zone::new(settings()).remembering(&kept);
    assert_eq!(started.names(), 0, "it is no member yet, as far as is known");
    assert_eq!(kinds(&started.last_good()).len(), 2, "it may come");
    let mut known = after(&started, 20, Some(host.facts("b", 20))).edit();
    known.set_complete(true);
    assert_eq!(known.finish().last_good(), [], "who has gone is forgotten");
    let now = after(&started, 10, Some(wrong.clone()));
    assert_eq!((now.rejected().len(), now.last_good()), (2, kept.clone()));
    assert_eq!(ask(&now, "x.hive", Rtype::TXT).answers(), ask(&before, "x.hive", Rtype::TXT).answers());
    assert!(!ask(&now, "web.service.hive", Rtype::SRV).answers().is_empty());

    // A good one ends it, and what is not published any more does not come back with the next wrong one.
    let mended = after(&now, 10, Some(host.facts("a", 10)));
    assert_eq!((mended.rejected(), mended.last_good()), (vec![], vec![]));
    let mut without = wrong.clone();
    without.sections.remove(&DnsSection::kind());
    let again = after(&after(&now, 10, Some(without)), 10, Some(wrong));
    assert!(ask(&again, "x.hive", Rtype::TXT).answers().is_empty());
}

#[test]
fn what_is_remembered_is_judged_by_the_settings_of_now() {
    let host = Host { records: vec![txt("www.example.org.", "a")], ..Host::default() };
    let mut wrong = host.facts("a", 10);
    wrong.sections = [(DnsSection::kind(), vec![0xff].into())].into();
    let kept = after(&zone(&[("a", host)]), 10, Some(wrong.clone())).last_good();
    let narrower = Zone::new(ZoneSettings::new(&["hive."]).expect("a zone")).remembering(&kept);
    assert_eq!(after(&narrower, 10, Some(wrong)).names(), 0);
}

#[test]
fn a_host_that_left_leaves_nothing() {
    let a = Host { addresses: vec!["10.0.0.1"], services: vec![service("web", 80, &["v1"])], records: vec![txt("x.hive.", "a")] };
    let empty = zone(&[]);
    let full = after(&empty, 10, Some(a.facts("a", 10)));
    assert_ne!(full, empty);
    assert_eq!(after(&full, 10, None), empty);
}

#[test]
fn each_way_to_be_wrong_is_named() {
    let records = |records| Host { records, ..Host::default() };
    let services = |services| Host { services, ..Host::default() };
    let long = "x".repeat(64);
    let outside = reason_of(records(vec![txt("www.example.com.", "a")]));
    assert!(matches!(&outside, Reason::OutsideZones { name } if name.to_string() == "www.example.com."));
    let label = reason_of(records(vec![txt(&format!("{long}.hive."), "a")]));
    assert!(matches!(label, Reason::Name { fault: NameFault::LongLabel, .. }));
    let name = reason_of(records(vec![txt(&format!("{}hive.", "abcdefg.".repeat(32)), "a")]));
    assert!(matches!(name, Reason::Name { fault: NameFault::LongName, .. }));
    let target = reason_of(records(vec![cname("x.hive.", "a..b.")]));
    assert!(matches!(target, Reason::Name { fault: NameFault::Malformed, .. }));
    assert!(matches!(reason_of(records(vec![cname("x.hive.", "a.hive."), txt("x.hive.", "a")])), Reason::CnameBesideData { .. }));
    assert!(matches!(reason_of(records(vec![txt("x.hive.", "a"), cname("x.hive.", "a.hive.")])), Reason::CnameBesideData { .. }));
    assert!(matches!(reason_of(records(vec![cname("x.hive.", "a.hive."), cname("x.hive.", "b.hive.")])), Reason::CnameBesideData { .. }));
    assert!(matches!(reason_of(records(vec![cname("example.org.", "a.hive.")])), Reason::CnameBesideData { .. }));
    assert!(matches!(reason_of(records(vec![txt("*.hive.", "a")])), Reason::Wildcard { .. }));
    assert!(matches!(reason_of(records(vec![record("x.hive.", RecordData::Txt(vec![]))])), Reason::Text { .. }));
    assert!(matches!(reason_of(records(vec![record("x.hive.", RecordData::Txt(vec![vec![b'x'; 256]]))])), Reason::Text { .. }));
    let srv = RecordData::Srv { priority: 1, weight: 1, port: 0, target: "a.hive.".into() };
    assert!(matches!(reason_of(records(vec![record("x.hive.", srv)])), Reason::PortZero { .. }));
    assert!(matches!(reason_of(services(vec![service("web", 0, &[])])), Reason::PortZero { .. }));
    for bad in ["", "Web", "we b", "web.x", "w\u{e4}b"] {
        assert!(matches!(reason_of(services(vec![service(bad, 80, &[])])), Reason::Label { .. }), "{bad:?}");
        assert!(matches!(reason_of(services(vec![service("web", 80, &[bad])])), Reason::Label { .. }), "{bad:?}");
    }
    assert!(matches!(reason_of(services(vec![service(&long, 80, &[])])), Reason::Name { fault: NameFault::LongLabel, .. }));
    // 63 octets are a label, but not with the underscore of an SRV name.
    assert!(matches!(reason_of(services(vec![service(&long[1..], 80, &[])])), Reason::Name { fault: NameFault::LongLabel, .. }));
}

#[test]
fn between_hosts_the_earlier_joined_is_right_at_a_name_whoever_came_first() {
    let early = Host { records: vec![txt("x.hive.", "early")], ..Host::default() };
    let late = Host { records: vec![cname("x.hive.", "y.hive."), txt("late.hive.", "stays")], ..Host::default() };
    let forth = after(&after(&zone(&[]), 1, Some(early.facts("early", 1))), 2, Some(late.facts("late", 2)));
    let back = after(&after(&zone(&[]), 2, Some(late.facts("late", 2))), 1, Some(early.facts("early", 1)));
    assert_eq!(forth, back);
    assert_eq!(ask(&forth, "x.hive", Rtype::TXT).answers(), ["x.hive. 60 TXT \"early\""]);
    assert_eq!(ask(&forth, "late.hive", Rtype::TXT).answers().len(), 1);
    let [rejected] = &forth.rejected()[..] else { panic!("one record loses") };
    assert_eq!((rejected.host, rejected.kind.clone()), (node(2), DnsSection::kind()));
    assert!(matches!(&rejected.reason, Reason::Conflict { winner, .. } if *winner == node(1)));
    // When the winner goes, the other is in force.
    let alone = after(&forth, 1, None);
    assert_eq!(alone.rejected(), []);
    assert_eq!(ask(&alone, "x.hive", Rtype::CNAME).answers(), ["x.hive. 60 CNAME y.hive."]);
}

#[test]
fn a_cname_never_pushes_a_node_or_service_aside() {
    let early = Host { records: vec![cname("b.node.hive.", "x.hive."), cname("web.service.hive.", "x.hive.")], ..Host::default() };
    let late = Host { addresses: vec!["10.0.0.2"], services: vec![service("web", 80, &[])], ..Host::default() };
    let zone = zone(&[("a", early), ("b", late)]);
    assert_eq!(ask(&zone, "b.node.hive", Rtype::A).answers().len(), 1);
    assert_eq!(ask(&zone, "web.service.hive", Rtype::A).answers().len(), 1);
    assert_eq!(zone.rejected().len(), 2);
}

#[test]
fn equal_cnames_of_two_hosts_do_not_contradict() {
    let host = Host { records: vec![cname("x.hive.", "y.hive.")], ..Host::default() };
    let zone = zone(&[("a", host.clone()), ("b", host)]);
    assert_eq!(zone.rejected(), []);
    assert_eq!(ask(&zone, "x.hive", Rtype::CNAME).answers().len(), 1);
}

#[test]
fn an_unreachable_instance_is_left_out_but_never_the_last() {
    let host = |address| Host { addresses: vec![address], services: vec![service("web", 80, &["v1"])], ..Host::default() };
    let hosts = [host("10.0.0.1"), host("10.0.0.2")];
    let mut zone = zone(&[("a", hosts[0].clone()), ("b", hosts[1].clone())]);
    let web = |zone: &Zone| ask(zone, "web.service.hive", Rtype::A).answers().len();
    let both = zone.clone();
    for (joined, left) in [(10, 1), (11, 2)] {
        let mut facts = hosts[joined as usize - 10].facts(if joined == 10 { "a" } else { "b" }, joined);
        facts.reachable = false;
        zone = after(&zone, joined, Some(facts));
        assert_eq!(web(&zone), left);
        assert_eq!(ask(&zone, "v1.web.service.hive", Rtype::A).answers().len(), left);
        assert_eq!(ask(&zone, "_web._tcp.service.hive", Rtype::SRV).answers().len(), left);
        // A node's own name and address are facts, whether it is reached or not.
        assert_eq!(ask(&zone, "a.node.hive", Rtype::A).answers().len(), 1);
    }
    for (joined, host) in [(10, "a"), (11, "b")] {
        zone = after(&zone, joined, Some(hosts[joined as usize - 10].facts(host, joined)));
    }
    assert_eq!(zone, both);
}

#[test]
fn a_set_that_no_message_can_hold_is_cut_and_named() {
    let mut edit = Zone::new(settings()).edit();
    for number in 0..5000u64 {
        let mut facts = Host { services: vec![service("web", 80, &[])], ..Host::default() }.facts(&format!("h{number}"), number);
        let [high, low] = (number as u16).to_be_bytes();
        let section = hivemind_sections::HostSection { addresses: vec![[10, 0, high, low].into()] };
        facts.sections.insert(hivemind_sections::HostSection::kind(), section.encode().into());
        edit.set_host(node(number + 1), Some(facts));
    }
    edit.set_complete(true);
    let zone = edit.finish();
    let overfull: Vec<_> = zone.overfull().map(|name| name.to_string()).collect();
    assert_eq!(overfull, ["web.service.hive.", "_web._tcp.service.hive."]);
    let query = cluster::query("web.service.hive", Rtype::A);
    let response = cluster::respond(&zone, &query, hivemind_dns_processor::answer::Transport::Tcp);
    assert!(!response.message.header().tc());
    assert!(response.answers().len() > 3000);
}

#[test]
fn the_serial_grows_with_events_and_configs() {
    let host = Host { addresses: vec!["10.0.0.1"], ..Host::default() };
    let first = zone(&[("a", host.clone())]);
    let mut facts = host.facts("a", 10);
    facts.seq = Seq(2);
    let second = after(&first, 10, Some(facts));
    assert!(second.serial() > first.serial());
    let mut edit = second.edit();
    edit.set_index(8);
    edit.set_host(node(10), None);
    assert!(edit.finish().serial() > second.serial());
}

#[test]
fn name_servers_come_and_go() {
    let mut edit = zone(&[]).edit();
    edit.set_server(node(3), Some(NameServer { name: name("dns2"), joined: 3, addresses: vec!["10.0.0.54".parse().expect("an address")] }));
    let two = edit.finish();
    assert_eq!(ask(&two, "hive", Rtype::NS).answers(), ["hive. 5 NS dns1.ns.hive.", "hive. 5 NS dns2.ns.hive."]);
    assert_eq!(ask(&two, "dns2.ns.hive", Rtype::A).answers(), ["dns2.ns.hive. 5 A 10.0.0.54"]);
    let mut edit = two.edit();
    edit.set_server(node(3), None);
    assert_eq!(edit.finish(), zone(&[]));
}
