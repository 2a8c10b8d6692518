//! A cluster of hosts, the first three of which vote.

use std::collections::BTreeMap;

use hivemind_node::http::model::{MemberState, Members, Part, Status, Voters};

use crate::host::{Daemon, Family, Host};
use crate::wait::until;
use crate::world::World;

/// Those that may vote.
pub(crate) const VOTERS: usize = 3;

/// Hosts, and the daemons on them.
pub(crate) struct Cluster {
    pub(crate) daemons: Vec<Option<Daemon>>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) world: World,
}

impl Cluster {
    /// `size` hosts, all of them members, the first three of them voters.
    pub(crate) fn new(size: usize, family: Family) -> Self {
        Cluster::on(size, family, |_| {})
    }

    /// The same, with something done to each host before.
    pub(crate) fn on(size: usize, family: Family, prepare: impl Fn(&Host)) -> Self {
        let world = World::new();
        let hosts: Vec<Host> = (1..=size).map(|number| Host::new(&world, number, family)).collect();
        hosts.iter().for_each(prepare);
        let founder = &hosts[0];
        founder.init().done();
        let mut daemons = vec![Some(founder.start())];
        let token = |more: &[&str]| founder.ask(&[&["token", "create", "--uses", "10"], more].concat()).done().trim().to_owned();
        let (to_vote, to_publish) = (token(&["--voter"]), token(&[]));
        for (at, host) in hosts.iter().enumerate().skip(1) {
            let said = if at < VOTERS { host.join(&to_vote, &["--voter"]) } else { host.join(&to_publish, &[]) };
            said.done();
            daemons.push(Some(host.spawn()));
        }
        for host in &hosts[1..] {
            host.ready();
        }
        let cluster = Cluster { daemons, hosts, world };
        cluster.all_well();
        cluster
    }

    /// Waits until no host that runs sees another one as unreachable, and three vote.
    pub(crate) fn all_well(&self) {
        let size = self.hosts.len();
        for (host, _) in self.running() {
            host.ask_until(&["members"], |list: &Members| {
                list.total == size as u64 && list.members.iter().all(|member| member.state == MemberState::Reachable)
            });
            host.ask_until(&["status"], |status: &Status| status.condition == Default::default());
        }
        let voters = VOTERS.min(size);
        self.hosts[0].ask_until(&["voters"], |list: &Voters| {
            list.leader.is_some() && list.voters.iter().filter(|voter| voter.part == Part::Voter).count() == voters
        });
    }

    /// Waits until all hosts that run know the same.
    pub(crate) fn at_one_position(&self) {
        until(
            || "all are at one position".to_owned(),
            || {
                let told: Option<Vec<Status>> = self.running().map(|(host, _)| host.tells(&["status"])).collect();
                let told = told?;
                told.iter().all(|status| status.position.is_some() && status.position == told[0].position).then_some(())
            },
        );
    }

    /// The hosts whose daemons run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (&Host, &Daemon)> {
        self.hosts.iter().zip(&self.daemons).filter_map(|(host, daemon)| Some((host, daemon.as_ref()?)))
    }

    /// The memberships, by name: who left and came back has another one.
    pub(crate) fn memberships(&self) -> BTreeMap<String, String> {
        let list: Members = self.hosts[0].ask_until(&["members"], |list: &Members| list.members.len() == self.hosts.len());
        list.members.into_iter().map(|member| (member.name, member.node)).collect()
    }

    /// Where the leader is, as one of these hosts knows it.
    pub(crate) fn leader(&self, among: &[usize]) -> usize {
        until(
            || "a leader".to_owned(),
            || {
                let mut told = among.iter().filter_map(|at| self.hosts[*at].tells::<Status>(&["status"])?.leader?.name);
                let name = told.next()?;
                let at = self.hosts.iter().position(|host| host.name == name)?;
                among.contains(&at).then_some(at)
            },
        )
    }

    /// Has the cluster commit something, as asked of one host.
    pub(crate) fn commits(&self, at: usize, label: &str) {
        let ask = || self.hosts[at].ask(&["credential", "create", "--right", "read", "--label", label]);
        until(|| format!("{label} is committed; {:?}", ask()), || (ask().status == 0).then_some(()));
    }
}
