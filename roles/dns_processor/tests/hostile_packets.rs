//! Whatever bytes come: silence, or a well-formed response no larger than allowed.

mod cluster;

use cluster::{example, query, query_edns};
use domain::base::Message;
use domain::base::iana::Rtype;
use hivemind_core::rng::Rng;
use hivemind_dns_processor::answer::{Outcome, Transport, answer};

const SEED: u64 = 0x6d61_6c66_6f72_6d65;
const PACKETS: usize = 1_000_000;

/// Queries of every kind, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let names = [
        "web1.node.hive",
        "web.service.hive",
        "_web._tcp.service.hive",
        "one.example.org",
        "round.example.org",
        "hive",
        "nobody.hive",
        ".",
    ];
    let types = [Rtype::A, Rtype::AAAA, Rtype::SRV, Rtype::TXT, Rtype::CNAME, Rtype::PTR, Rtype::SOA, Rtype::NS, Rtype::ANY, Rtype::AXFR];
    let plain = names.iter().flat_map(|name| types.iter().map(|rtype| query(name, *rtype)));
    let edns = names.iter().flat_map(|name| types.iter().map(|rtype| query_edns(name, *rtype, 1232, 0)));
    plain.chain(edns).collect()
}

fn damage(packet: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let length = packet.len() as u64;
        let at = rng.below(length) as usize;
        match rng.below(8) {
            0 => packet.truncate(at),
            1 => packet[at] = rng.next() as u8,
            2 => packet[at] ^= 1 << rng.below(8),
            3 => packet.insert(at, rng.next() as u8),
            4 => packet[at] = [0x00, 0x3f, 0x40, 0x80, 0xc0, 0xff][rng.below(6) as usize],
            5 => packet.extend((0..rng.below(40)).map(|_| 0xc0)),
            // The header, where a change matters most.
            6 => packet[rng.below(length.min(12)) as usize] = rng.below(4) as u8,
            _ => {
                let copy = packet[at..].to_vec();
                packet.extend_from_slice(&copy);
            }
        }
        if packet.is_empty() {
            return;
        }
    }
}

/// Takes the whole message apart; every name, record and length in it must hold.
fn is_well_formed(bytes: &[u8]) -> bool {
    let Ok(message) = Message::from_octets(bytes) else { return false };
    let Ok((questions, answers, authority, additional)) = message.sections() else { return false };
    let question = questions.count() == usize::from(message.header_counts().qdcount());
    question && [answers, authority, additional].into_iter().all(|mut section| section.all(|record| record.is_ok()))
}

#[test]
fn damaged_queries_get_silence_or_a_well_formed_response_within_the_limit() {
    let (zone, seeds, mut rng) = (example(), seeds(), Rng::new(SEED));
    let (mut silent, mut responses, mut out) = (0, 0, Vec::new());
    for number in 0..PACKETS {
        let mut packet = seeds[rng.below(seeds.len() as u64) as usize].clone();
        damage(&mut packet, &mut rng);
        let (transport, limit) = [(Transport::Udp, 1232), (Transport::Tcp, 65_535)][number % 2];
        out.clear();
        match answer(&zone, &packet, transport, &mut out) {
            Outcome::Short | Outcome::NotAQuery => {
                assert!(out.is_empty(), "{packet:02x?}");
                silent += 1;
            }
            Outcome::Responded { .. } => {
                assert!(out.len() <= limit && is_well_formed(&out), "{packet:02x?} got {out:02x?}");
                assert_eq!((out[..2] == packet[..2], out[2] & 0x80), (true, 0x80), "{packet:02x?}");
                responses += 1;
            }
        }
    }
    // Both must have happened, or the damage was none.
    assert!(silent > PACKETS / 50 && responses > PACKETS / 2, "{silent} silent, {responses} responses");
}

#[test]
fn bytes_without_any_order_get_the_same() {
    let (zone, mut rng, mut out) = (example(), Rng::new(SEED + 1), Vec::new());
    for _ in 0..50_000 {
        let packet: Vec<u8> = (0..rng.below(80)).map(|_| rng.next() as u8).collect();
        out.clear();
        answer(&zone, &packet, Transport::Udp, &mut out);
        assert!(out.is_empty() || (out.len() <= 512 && is_well_formed(&out)), "{packet:02x?} got {out:02x?}");
    }
}

#[test]
fn a_response_over_udp_without_edns_never_passes_512_octets() {
    let zone = example();
    for seed in seeds() {
        let mut out = Vec::new();
        answer(&zone, &seed, Transport::Udp, &mut out);
        let limit = if seed[11] == 1 { 1232 } else { 512 };
        assert!(out.len() <= limit && is_well_formed(&out));
    }
}
