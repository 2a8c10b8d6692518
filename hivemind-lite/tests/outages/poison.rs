//! A record that poisons its consumers, seen through DNS: Fly.io, September 2024 (see
//! `hivemind-core/tests/whole/outages/poison.rs`).
//!
//! Here, a section that a role can not accept is reported with host, version, kind and reason; the last good one stays in force;
//! the host's other sections and everybody else's changes go on.

use bytes::Bytes;
use hivemind_core::ids::Seq;
use hivemind_core::wire::config::Section;
use hivemind_dns_processor::zone::Rejected;
use hivemind_lite::sim::cluster::Cluster;
use hivemind_lite::sim::roles;

use super::{DNS, answers_all, cluster, is_whole, name, seconds, watch};

fn rejected(cluster: &Cluster, dns: &str) -> Vec<Rejected> {
    let slot = cluster.world().named(&name(dns)).expect("it is there");
    let zone = cluster.world().node(slot).process.as_ref().and_then(|process| process.zone.as_ref());
    zone.map(|zone| zone.rejected()).unwrap_or_default()
}

fn poisons() -> Vec<Vec<u8>> {
    let good = roles::sections(1, 1).remove(1).body.to_vec();
    let cut = good[..good.len() - 1].to_vec();
    let trailing = [good.as_slice(), b"more"].concat();
    let endless = [&[253_u8][..], &u64::MAX.to_le_bytes()].concat();
    vec![vec![0xFF; 64], cut, trailing, endless, vec![0; 8_000]]
}

#[test]
fn a_section_that_no_consumer_can_read_is_named_and_the_last_good_one_stays() {
    let mut cluster = cluster(31);
    for (round, body) in (1..).zip(poisons()) {
        let poison = Section { kind: roles::kind("host"), body: Bytes::from(body) };
        let seq = cluster.publish("web1", vec![poison]).expect("the cluster carries what it does not look into");
        watch(&mut cluster, seconds(3), |cluster| assert!(DNS.iter().all(|dns| answers_all(cluster, dns)), "poison {round}"));
        for dns in DNS {
            let found = rejected(&cluster, dns);
            let told: Vec<_> = found.iter().map(|one| (one.name.to_string(), one.seq, one.kind.to_string())).collect();
            assert_eq!(told, [("web1".to_owned(), seq, "host".to_owned())], "poison {round} at {dns}: {found:?}");
            assert!(!found[0].reason.to_string().is_empty());
        }
        // Everybody else's changes go on, and reach all within moments.
        let next = cluster.publish("web2", roles::sections(2, round)).expect("it is published");
        let has = |cluster: &Cluster| DNS.iter().all(|dns| seq_of(cluster, dns, "web2") == Some(next));
        cluster.wait("another host's change is everywhere", seconds(2), has).expect("it is");
    }
    cluster.publish("web1", roles::sections(1, 2)).expect("it is published");
    cluster.wait("a good one ends it", seconds(3), |cluster| DNS.iter().all(|dns| rejected(cluster, dns).is_empty())).expect("it does");
    assert!(is_whole(&cluster));
}

#[test]
fn a_consumer_that_starts_amid_the_poison_answers_from_everything_else() {
    let mut cluster = cluster(32);
    let poison = Section { kind: roles::kind("dns"), body: Bytes::from_static(&[0xFF; 64]) };
    cluster.publish("web1", vec![poison]).expect("it is published");
    cluster.run_for(seconds(3)).expect("nothing breaks");
    cluster.kill("dns2").expect("it is there");
    cluster.restart("dns2").expect("it starts");
    let answers = |cluster: &Cluster| answers_all(cluster, "dns2");
    cluster.wait("it answers for all, from the sections that it can read", seconds(10), answers).expect("it does");
    assert!(answers_all(&cluster, "dns1"));
    assert_eq!(rejected(&cluster, "dns2").len(), 1);
}

fn seq_of(cluster: &Cluster, dns: &str, host: &str) -> Option<Seq> {
    Some(cluster.answers(dns)?.get(&name(host))?.seq)
}
