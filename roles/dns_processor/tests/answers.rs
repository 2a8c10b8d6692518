//! What is answered, RFC by RFC.

mod cluster;

use cluster::{Host, ask, cname, example, node, query, query_edns, query_in, record, respond, service, settings, txt, with_opt, zone};
use domain::base::iana::{Class, Rcode, Rtype};
use hivemind_dns_processor::answer::{Code, Outcome, Transport, answer};
use hivemind_dns_processor::zone::{Zone, ZoneSettings};
use hivemind_sections::RecordData;

#[test]
fn a_node_has_its_addresses() {
    let response = ask(&example(), "web1.node.hive", Rtype::A);
    assert_eq!(response.answers(), ["web1.node.hive. 5 A 10.0.0.11"]);
    assert_eq!(ask(&example(), "web1.node.hive", Rtype::AAAA).answers(), ["web1.node.hive. 5 AAAA fd00::11"]);
    let header = response.message.header();
    assert!(header.qr() && header.aa() && header.rd() && !header.ra() && !header.tc());
    assert_eq!(header.id(), 0x1234);
}

#[test]
fn a_service_has_the_addresses_of_all_its_instances() {
    let answers = ask(&example(), "web.service.hive", Rtype::A).answers();
    assert_eq!(answers, ["web.service.hive. 5 A 10.0.0.11", "web.service.hive. 5 A 10.0.0.12"]);
    assert_eq!(ask(&example(), "v2.web.service.hive", Rtype::A).answers(), ["v2.web.service.hive. 5 A 10.0.0.11"]);
}

#[test]
fn srv_names_the_nodes_and_brings_their_addresses() {
    for name in ["_web._tcp.service.hive", "web.service.hive"] {
        let [answers, _, additional] = ask(&example(), name, Rtype::SRV).sections();
        let expected = [format!("{name}. 5 SRV 1 1 8080 web1.node.hive"), format!("{name}. 5 SRV 1 1 8081 web2.node.hive")];
        assert_eq!(answers, expected);
        let expected = ["web1.node.hive. 5 A 10.0.0.11", "web1.node.hive. 5 AAAA fd00::11", "web2.node.hive. 5 A 10.0.0.12"];
        assert_eq!(additional, expected);
    }
    let tagged = ask(&example(), "_web._v2.service.hive", Rtype::SRV).answers();
    assert_eq!(tagged, ["_web._v2.service.hive. 5 SRV 1 1 8080 web1.node.hive"]);
}

#[test]
fn the_targets_of_srv_records_are_not_compressed() {
    // RFC 2782: "name compression is not to be used for this field".
    let response = ask(&example(), "_web._tcp.service.hive", Rtype::SRV);
    let target = b"\x04web1\x04node\x04hive\0";
    assert!(response.message.as_slice().windows(target.len()).any(|window| window == target));
}

#[test]
fn cname_chains_are_followed_inside_the_zones() {
    let answers = ask(&example(), "one.example.org", Rtype::A).answers();
    let expected = [
        "one.example.org. 60 CNAME two.example.org.",
        "two.example.org. 60 CNAME blog.example.org.",
        "blog.example.org. 60 CNAME web1.node.hive.",
        "web1.node.hive. 5 A 10.0.0.11",
    ];
    assert_eq!(answers, expected);
    assert_eq!(ask(&example(), "one.example.org", Rtype::CNAME).answers(), expected[..1]);
}

#[test]
fn a_chain_that_leaves_the_zones_ends_there() {
    let response = ask(&example(), "away.example.org", Rtype::A);
    assert_eq!(response.answers(), ["away.example.org. 60 CNAME www.example.com."]);
    assert_eq!(response.rcode(), Rcode::NOERROR);
}

#[test]
fn a_chain_to_a_name_that_does_not_exist_is_nxdomain() {
    // RFC 6604 section 2.1: the code is that of the last name.
    let response = ask(&example(), "dangling.example.org", Rtype::A);
    assert_eq!(response.rcode(), Rcode::NXDOMAIN);
    let [answers, authority, _] = response.sections();
    assert_eq!(answers, ["dangling.example.org. 60 CNAME nothing.hive."]);
    assert!(authority[0].starts_with("hive. 5 SOA "));
}

#[test]
fn loops_of_cnames_end() {
    assert_eq!(ask(&example(), "round.example.org", Rtype::A).answers().len(), 2);
    assert_eq!(ask(&example(), "self.example.org", Rtype::A).answers().len(), 1);
}

#[test]
fn long_chains_are_cut() {
    let names: Vec<_> = (0..20).map(|at| format!("c{at}.hive.")).collect();
    let records = names.windows(2).map(|pair| cname(&pair[0], &pair[1])).collect();
    let zone = zone(&[("a", Host { records, ..Host::default() })]);
    let response = ask(&zone, "c0.hive", Rtype::A);
    assert_eq!(response.answers().len(), 8);
    assert_eq!(response.rcode(), Rcode::NOERROR);
}

#[test]
fn nxdomain_and_nodata_carry_the_soa_with_the_lesser_ttl() {
    // RFC 2308 sections 2.1, 2.2 and 3.
    for (name, rtype, rcode) in [("nobody.node.hive", Rtype::A, Rcode::NXDOMAIN), ("web2.node.hive", Rtype::AAAA, Rcode::NOERROR)] {
        let response = ask(&example(), name, rtype);
        let [answers, authority, _] = response.sections();
        assert_eq!(response.rcode(), rcode);
        assert_eq!(answers, [""; 0]);
        let serial = example().serial();
        assert_eq!(authority, [format!("hive. 5 SOA dns1.ns.hive. hostmaster.hive. {serial} 3600 600 86400 5")]);
    }
}

#[test]
fn empty_names_above_others_exist() {
    // RFC 8020; RFC 4592 section 2.2.2.
    for name in ["node.hive", "service.hive", "_tcp.service.hive", "hive", "10.in-addr.arpa", "0.10.in-addr.arpa"] {
        let response = ask(&example(), name, Rtype::TXT);
        assert_eq!(response.outcome, Outcome::Responded { code: Code::NoData, truncated: false }, "{name}");
    }
    assert_eq!(ask(&example(), "ode.hive", Rtype::A).rcode(), Rcode::NXDOMAIN);
    assert_eq!(ask(&example(), "x.web1.node.hive", Rtype::A).rcode(), Rcode::NXDOMAIN);
}

#[test]
fn each_zone_has_soa_and_ns() {
    for apex in ["hive", "example.org", "10.in-addr.arpa", "d.f.ip6.arpa", "31.172.in-addr.arpa"] {
        let soa = ask(&example(), apex, Rtype::SOA).answers();
        assert!(soa[0].starts_with(&format!("{apex}. 3600 SOA dns1.ns.hive. hostmaster.{apex}. ")), "{soa:?}");
        let [answers, _, additional] = ask(&example(), apex, Rtype::NS).sections();
        assert_eq!(answers, [format!("{apex}. 5 NS dns1.ns.hive.")]);
        assert_eq!(additional, ["dns1.ns.hive. 5 A 127.0.0.53", "dns1.ns.hive. 5 AAAA ::1"]);
    }
}

#[test]
fn private_addresses_lead_back_to_their_node() {
    let v4 = ask(&example(), "11.0.0.10.in-addr.arpa", Rtype::PTR).answers();
    assert_eq!(v4, ["11.0.0.10.in-addr.arpa. 5 PTR web1.node.hive."]);
    let name = format!("1.1.{}0.0.d.f.ip6.arpa", "0.".repeat(26));
    assert_eq!(ask(&example(), &name, Rtype::PTR).answers(), [format!("{name}. 5 PTR web1.node.hive.")]);
    assert_eq!(ask(&example(), "99.0.0.10.in-addr.arpa", Rtype::PTR).rcode(), Rcode::NXDOMAIN);
}

#[test]
fn public_reverse_zones_are_answered_only_where_they_are_named() {
    let host = Host { addresses: vec!["203.0.114.7"], ..Host::default() };
    assert_eq!(ask(&zone(&[("a", host.clone())]), "7.114.0.203.in-addr.arpa", Rtype::PTR).rcode(), Rcode::REFUSED);
    let mut edit = Zone::new(ZoneSettings::new(&["hive", "114.0.203.in-addr.arpa"]).expect("zones")).edit();
    edit.set_host(node(1), Some(host.facts("a", 1)));
    let answers = ask(&edit.finish(), "7.114.0.203.in-addr.arpa", Rtype::PTR).answers();
    assert_eq!(answers, ["7.114.0.203.in-addr.arpa. 5 PTR a.node.hive."]);
}

#[test]
fn names_outside_the_zones_are_refused() {
    let response = ask(&example(), "www.example.com", Rtype::A);
    assert_eq!(response.rcode(), Rcode::REFUSED);
    assert!(!response.message.header().aa());
    assert_eq!(ask(&example(), ".", Rtype::NS).rcode(), Rcode::REFUSED);
}

#[test]
fn the_case_of_the_question_comes_back() {
    let response = ask(&example(), "wEb1.NOde.hIVe", Rtype::A);
    let name = b"\x04wEb1\x04NOde\x04hIVe\0";
    assert_eq!(&response.message.as_slice()[12..12 + name.len()], name);
    assert_eq!(response.answers(), ["wEb1.NOde.hIVe. 5 A 10.0.0.11"]);
}

#[test]
fn any_is_answered_with_one_set() {
    // RFC 8482 section 4.1.
    assert_eq!(ask(&example(), "web.service.hive", Rtype::ANY).answers().len(), 2);
    assert_eq!(ask(&example(), "one.example.org", Rtype::ANY).answers(), ["one.example.org. 60 CNAME two.example.org."]);
    assert_eq!(ask(&example(), "nobody.hive", Rtype::ANY).rcode(), Rcode::NXDOMAIN);
}

#[test]
fn txt_is_answered_as_published() {
    assert_eq!(ask(&example(), "example.org", Rtype::TXT).answers(), ["example.org. 60 TXT \"hello\""]);
}

#[test]
fn class_any_is_answered_without_authority_and_others_are_refused() {
    let any = respond(&example(), &query_in("web1.node.hive", Rtype::A, Class::ANY), Transport::Udp);
    assert_eq!(any.answers().len(), 1);
    assert!(!any.message.header().aa());
    let chaos = respond(&example(), &query_in("version.bind", Rtype::TXT, Class::CH), Transport::Udp);
    assert_eq!(chaos.rcode(), Rcode::REFUSED);
}

#[test]
fn transfers_are_refused_and_other_operations_are_not_implemented() {
    assert_eq!(ask(&example(), "hive", Rtype::AXFR).rcode(), Rcode::REFUSED);
    assert_eq!(ask(&example(), "hive", Rtype::MAILB).rcode(), Rcode::NOTIMP);
    let mut update = query("hive", Rtype::SOA);
    update[2] |= 5 << 3;
    let response = respond(&example(), &update, Transport::Udp);
    assert_eq!(response.rcode(), Rcode::NOTIMP);
    assert_eq!(response.message.header().opcode(), domain::base::iana::Opcode::UPDATE);
}

#[test]
fn responses_and_fragments_get_no_response() {
    let mut out = Vec::new();
    let mut response = query("web1.node.hive", Rtype::A);
    response[2] |= 0x80;
    assert_eq!(answer(&example(), &response, Transport::Udp, &mut out), Outcome::NotAQuery);
    assert_eq!(answer(&example(), &response[..11], Transport::Udp, &mut out), Outcome::Short);
    assert_eq!(answer(&example(), &[], Transport::Udp, &mut out), Outcome::Short);
    assert_eq!(out, [0; 0]);
}

#[test]
fn what_has_a_header_and_no_sense_is_formerr() {
    let good = query("web1.node.hive", Rtype::A);
    let none = {
        let mut bytes = good[..12].to_vec();
        bytes[5] = 0;
        bytes
    };
    let two = {
        let mut bytes = good.clone();
        bytes.extend_from_slice(&good[12..]);
        bytes[5] = 2;
        bytes
    };
    let pointer = {
        let mut bytes = good.clone();
        bytes[12] = 0xc0;
        bytes[13] = 0x0c;
        bytes
    };
    let extended = {
        let mut bytes = good.clone();
        bytes[12] = 0x41;
        bytes
    };
    let trailing = {
        let mut bytes = good.clone();
        bytes.push(0);
        bytes
    };
    let two_opts = with_opt(query_edns("web1.node.hive", Rtype::A, 1232, 0), 1232, 0);
    let bad_option = {
        let mut bytes = query_edns("web1.node.hive", Rtype::A, 1232, 0);
        *bytes.last_mut().expect("octets") = 1;
        bytes.push(0);
        bytes
    };
    let opt_asked = query("web1.node.hive", Rtype::OPT);
    for bytes in
        [&good[..12], &good[..20], &good[..good.len() - 1], &none, &two, &pointer, &extended, &trailing, &two_opts, &bad_option, &opt_asked]
    {
        let response = respond(&example(), bytes, Transport::Udp);
        assert_eq!(response.rcode(), Rcode::FORMERR, "{bytes:?}");
        assert_eq!(response.message.header().id(), 0x1234);
    }
}

#[test]
fn edns_is_answered_with_edns_and_an_unknown_version_with_badvers() {
    // RFC 6891 sections 6.1.1 and 6.1.3.
    let response = respond(&example(), &query_edns("web1.node.hive", Rtype::A, 4096, 0), Transport::Udp);
    let opt = response.message.opt().expect("an OPT record");
    assert_eq!((opt.udp_payload_size(), opt.version(), opt.dnssec_ok()), (1232, 0, true));
    assert_eq!(response.answers().len(), 1);
    let response = respond(&example(), &query_edns("web1.node.hive", Rtype::A, 4096, 1), Transport::Udp);
    let opt = response.message.opt().expect("an OPT record");
    assert_eq!(opt.rcode(response.message.header()), domain::base::iana::OptRcode::BADVERS);
    assert_eq!(response.answers().len(), 0);
    assert!(ask(&example(), "web1.node.hive", Rtype::A).message.opt().is_none());
}

#[test]
fn what_is_not_answered_still_gets_its_question_and_its_edns_back() {
    // RFC 6891 section 6.1.1, and NOTIFY (RFC 1996 section 3.8) as the operation.
    let mut notify = query_edns("hive", Rtype::SOA, 4096, 0);
    notify[2] |= 4 << 3;
    let trailing = [query_edns("hive", Rtype::SOA, 4096, 0), vec![0; 3]].concat();
    let twice = with_opt(query_edns("hive", Rtype::SOA, 4096, 0), 1232, 0);
    for (bytes, rcode) in [(notify, Rcode::NOTIMP), (trailing, Rcode::FORMERR), (twice, Rcode::FORMERR)] {
        let response = respond(&example(), &bytes, Transport::Udp);
        let opt = response.message.opt().expect("an OPT record");
        assert_eq!((response.rcode(), opt.udp_payload_size(), opt.dnssec_ok()), (rcode, 1232, true));
        let question = response.message.sole_question().expect("the question");
        assert_eq!((question.qname().to_string(), question.qtype()), ("hive".to_owned(), Rtype::SOA));
    }
    let mut plain = query("hive", Rtype::SOA);
    plain[2] |= 4 << 3;
    let response = respond(&example(), &plain, Transport::Udp);
    assert_eq!((response.message.opt().is_none(), response.message.header_counts().qdcount()), (true, 1));
}

/// A service with `count` instances.
fn large(count: u8) -> Zone {
    let names: Vec<_> = (0..count).map(|at| format!("h{at}")).collect();
    let hosts: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let address: &'static str = Box::leak(format!("10.1.0.{at}").into_boxed_str());
            let host = Host { addresses: vec![address], services: vec![service("web", 80, &[])], ..Host::default() };
            (name.as_str(), host)
        })
        .collect();
    zone(&hosts)
}

#[test]
fn a_response_that_does_not_fit_is_truncated_at_a_whole_set() {
    let zone = large(100);
    let plain = ask(&zone, "web.service.hive", Rtype::A);
    assert!(plain.message.header().tc());
    assert_eq!(plain.answers(), [""; 0]);
    assert!(plain.message.as_slice().len() <= 512);
    let edns = respond(&zone, &query_edns("web.service.hive", Rtype::A, 60_000, 0), Transport::Udp);
    assert!(edns.message.header().tc() && edns.message.as_slice().len() <= 1232);
    let tcp = respond(&zone, &query("web.service.hive", Rtype::A), Transport::Tcp);
    assert!(!tcp.message.header().tc());
    assert_eq!(tcp.answers().len(), 100);
}

#[test]
fn the_senders_payload_size_counts_within_512_and_1232() {
    let zone = large(50);
    for (payload, truncated) in [(0, true), (512, true), (1232, false), (65_535, false)] {
        let response = respond(&zone, &query_edns("web.service.hive", Rtype::A, payload, 0), Transport::Udp);
        assert_eq!(response.message.header().tc(), truncated, "{payload}");
    }
}

#[test]
fn additional_records_that_do_not_fit_are_left_out_without_truncation() {
    // RFC 2181 section 9.
    let zone = large(12);
    let response = ask(&zone, "_web._tcp.service.hive", Rtype::SRV);
    let [answers, _, additional] = response.sections();
    assert_eq!(answers.len(), 12);
    assert!(additional.len() < 12);
    assert!(!response.message.header().tc());
}

#[test]
fn a_chain_keeps_the_part_that_fits() {
    let mut hosts = vec![("alias", Host { records: vec![cname("www.hive.", "big.hive.")], ..Host::default() })];
    let text = "x".repeat(200);
    let records = (0..4).map(|at| txt("big.hive.", &format!("{at}{text}"))).collect();
    hosts.push(("big", Host { records, ..Host::default() }));
    let response = ask(&zone(&hosts), "www.hive", Rtype::TXT);
    assert!(response.message.header().tc());
    assert_eq!(response.answers(), ["www.hive. 60 CNAME big.hive."]);
}

#[test]
fn a_set_has_the_least_ttl_of_its_records() {
    // RFC 2181 section 5.2.
    let mut short = record("x.hive.", RecordData::A([10, 0, 0, 1].into()));
    short.ttl = 7;
    let long = record("x.hive.", RecordData::A([10, 0, 0, 2].into()));
    let hosts = [("a", Host { records: vec![long], ..Host::default() }), ("b", Host { records: vec![short], ..Host::default() })];
    let answers = ask(&zone(&hosts), "x.hive", Rtype::A).answers();
    assert_eq!(answers, ["x.hive. 7 A 10.0.0.1", "x.hive. 7 A 10.0.0.2"]);
}

#[test]
fn an_incomplete_zone_answers_what_it_knows_and_denies_nothing() {
    let mut edit = example().edit();
    edit.set_complete(false);
    let zone = edit.finish();
    assert_eq!(ask(&zone, "web1.node.hive", Rtype::A).answers().len(), 1);
    assert_eq!(ask(&zone, "hive", Rtype::SOA).answers().len(), 1);
    assert_eq!(ask(&zone, "www.example.com", Rtype::A).rcode(), Rcode::REFUSED);
    for (name, rtype) in [("nobody.node.hive", Rtype::A), ("web2.node.hive", Rtype::AAAA), ("dangling.example.org", Rtype::A)] {
        let response = ask(&zone, name, rtype);
        assert_eq!(response.rcode(), Rcode::SERVFAIL, "{name}");
        assert_eq!(response.sections(), [vec![], vec![], vec![]] as [Vec<String>; 3]);
    }
}

#[test]
fn the_closest_zone_says_that_a_name_does_not_exist() {
    let mut edit = Zone::new(ZoneSettings::new(&["hive.", "dev.hive."]).expect("zones")).edit();
    edit.set_complete(true);
    let [_, authority, _] = ask(&edit.finish(), "x.dev.hive", Rtype::A).sections();
    assert!(authority[0].starts_with("dev.hive. "), "{authority:?}");
}

#[test]
fn zones_that_can_not_be_served_are_named() {
    assert!(ZoneSettings::new::<&str>(&[]).is_err());
    for zone in ["", ".", "a..b", &"x".repeat(64), &format!("{}hive.", "abcdefg.".repeat(14))] {
        assert!(ZoneSettings::new(&[zone]).is_err(), "{zone}");
    }
    assert_eq!(settings().cluster().to_string(), "hive.");
}
