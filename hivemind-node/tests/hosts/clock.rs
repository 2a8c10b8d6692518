//! Wall clocks that are wrong.

use hivemind_node::http::model::Status;
use rustix::process::Signal;

use crate::cluster::{Cluster, VOTERS};
use crate::host::{Family, Host};
use crate::world::World;

/// A machine without a battery.
const IN_1970: &str = "@1970-01-01 00:01:00";
const MONTH_AHEAD: &str = "+31d";
const MONTH_BEHIND: &str = "-31d";

/// Restarts the daemon of a host with another clock.
fn restart(cluster: &mut Cluster, at: usize, clock: &'static str) {
    let daemon = cluster.daemons[at].take().unwrap();
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
    let host = &cluster.hosts[at];
    let right = host.date();
    host.set_clock(clock);
    assert_ne!(host.date(), right, "libfaketime is missing: install it");
    cluster.daemons[at] = Some(host.start());
}

#[test]
fn members_go_on_whatever_their_clocks_say() {
    let mut cluster = Cluster::new(5, Family::V4);
    let before = cluster.memberships();
    for (at, clock) in [(0, IN_1970), (1, MONTH_AHEAD), (2, MONTH_BEHIND), (3, IN_1970), (4, MONTH_AHEAD)] {
        restart(&mut cluster, at, clock);
        cluster.commits(at.min(VOTERS - 1), &format!("clock {at}"));
    }
    cluster.all_well();
    assert_eq!(cluster.memberships(), before, "nobody left");
    // The time of the log goes ahead with a leader whose clock is ahead: a token is to outlast that.
    let token = cluster.hosts[0].ask(&["token", "create", "--ttl", "2000h", "--uses", "2"]).done();
    for (number, clock) in [(6, IN_1970), (7, MONTH_BEHIND)] {
        let host = Host::new(&cluster.world, number, Family::V4);
        host.set_clock(clock);
        host.join(token.trim(), &[]).done();
        cluster.daemons.push(Some(host.start()));
        cluster.hosts.push(host);
    }
    cluster.all_well();
    // Clocks are set right, and nobody is put out for it.
    let before = cluster.memberships();
    for at in 0..cluster.hosts.len() {
        restart(&mut cluster, at, "+0");
    }
    cluster.all_well();
    assert_eq!(cluster.memberships(), before, "nobody left");
}

/// Ends all daemons at once, and starts them all at once with another clock.
fn off_and_on(cluster: &mut Cluster, how: Signal, clock: &'static str) {
    cluster.running().for_each(|(_, daemon)| daemon.signal(how));
    for daemon in &mut cluster.daemons {
        let status = daemon.take().unwrap().ended();
        assert!(status == Some(0) || how == Signal::KILL, "{status:?}");
    }
    for host in &cluster.hosts {
        host.set_clock(clock);
    }
    cluster.daemons = cluster.hosts.iter().map(|host| Some(host.spawn())).collect();
    cluster.hosts.iter().for_each(Host::ready);
    cluster.all_well();
}

/// When the certificate of each host ends, once that is in time by its own clock and not before this.
fn certified(cluster: &Cluster, until_ms: u64) -> u64 {
    let ends = cluster.hosts.iter().map(|host| {
        let status = host.ask_until(&["status"], |status: &Status| {
            status.certificate.as_ref().is_some_and(|certificate| !certificate.late && certificate.until_ms >= until_ms)
        });
        status.certificate.unwrap().until_ms
    });
    ends.min().unwrap()
}

#[test]
fn a_cluster_that_was_off_for_months_comes_back_by_itself() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let mut cluster = Cluster::new(VOTERS + 2, Family::V4);
    let before = cluster.memberships();
    let mut end = certified(&cluster, 0);
    // A certificate is for a day: all of them have expired, and the second time nearly beyond what is forgiven.
    for (days, clock, how) in [(30, "+30d", Signal::TERM), (80, "+110d", Signal::KILL)] {
        off_and_on(&mut cluster, how, clock);
        // Some may have been renewed a few minutes before they were stopped.
        end = certified(&cluster, end + (days - 1) * DAY);
        assert_eq!(cluster.memberships(), before, "the same members after {days} days");
        (0..VOTERS).for_each(|at| cluster.commits(at, &format!("after {days} days, at {at}")));
    }
    // Nobody has a battery, and then all clocks are set.
    for (how, clock) in [(Signal::KILL, IN_1970), (Signal::TERM, "+110d")] {
        off_and_on(&mut cluster, how, clock);
        assert_eq!(cluster.memberships(), before, "the same members at {clock}");
        (0..VOTERS).for_each(|at| cluster.commits(at, &format!("{clock}, at {at}")));
    }
    certified(&cluster, end);
    cluster.at_one_position();
}

#[test]
fn no_cluster_is_made_in_1970() {
    let world = World::new();
    let host = Host::new(&world, 1, Family::V4);
    host.set_clock(IN_1970);
    let said = host.init();
    assert!(said.status == 1 && said.err.contains("set the clock"), "{said:?}");
    assert!(!host.path("data/unfinished").exists() && !host.path("node.toml").exists(), "nothing was made");
}
