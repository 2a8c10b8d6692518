//! Commands under load, and what the cluster said that it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use hivemind_node::http::model::{Credentials, NewCredential};

use crate::host::Host;
use crate::wait::until;

/// Every so many-th credential that was made stays; the others are revoked again, as a cluster has no more than a thousand.
pub(crate) const KEPT: usize = 5;

/// The label of what is committed after the load: who has it has all that was before it.
pub(crate) const FENCE: &str = "fence";

/// Load that goes on.
pub(crate) struct Load<'a> {
    voters: &'a [Host],
    acknowledged: AtomicUsize,
    done: AtomicBool,
}

/// What was asked for, and what came of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By label: made for sure, and not asked to be revoked.
    standing: BTreeSet<String>,
    /// Not there for sure: refused, not asked, or revoked.
    absent: BTreeSet<String>,
    /// It may be there or not.
    open: BTreeSet<String>,
    acknowledged: usize,
}

/// Does something while these voters are asked for credentials one after another, and have most of them revoked.
pub(crate) fn under_load(voters: &[Host], act: impl FnOnce(&Load<'_>)) -> Ledger {
    let load = Load { voters, acknowledged: AtomicUsize::new(0), done: AtomicBool::new(false) };
    thread::scope(|scope| {
        let loading = scope.spawn(|| load.ask());
        // It ends where what is done meanwhile fails, too.
        let ending = Ending(&load.done);
        act(&load);
        drop(ending);
        loading.join().unwrap()
    })
}

/// Ends the load.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Load<'_> {
    /// Waits until so many more commands are acknowledged.
    pub(crate) fn acknowledges(&self, more: usize) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until(
            || format!("commands are acknowledged after {before}; {}", self.voters[0].log()),
            || (self.acknowledged.load(Ordering::Relaxed) >= before + more).then_some(()),
        );
    }

    fn ask(&self) -> Ledger {
        let mut ledger = Ledger::default();
        let mut number = 0;
        while !self.done.load(Ordering::Relaxed) {
            number += 1;
            let (label, host) = (format!("load {number}"), &self.voters[number % self.voters.len()]);
            let said = host.ask(&["credential", "create", "--right", "read", "--label", &label, "--json"]);
            match said.status {
                0 => {
                    let made: NewCredential = said.json();
                    if self.acknowledged.fetch_add(1, Ordering::Relaxed).is_multiple_of(KEPT) {
                        ledger.standing.insert(label);
                        continue;
                    }
                    // Revoked at another voter than the one that made it.
                    let revoked = self.voters[(number + 1) % self.voters.len()].ask(&["credential", "revoke", &made.id]);
                    match revoked.status {
                        0 => ledger.absent.insert(label),
                        // A view that has not got it yet refuses; nobody asked is nothing done.
                        1 | 3 => ledger.standing.insert(label),
                        4 => ledger.open.insert(label),
                        other => panic!("{other}: {revoked:?}"),
                    };
                }
                1 | 3 => drop(ledger.absent.insert(label)),
                4 => drop(ledger.open.insert(label)),
                other => panic!("{other}: {said:?}"),
            }
        }
        ledger.acknowledged = self.acknowledged.load(Ordering::Relaxed);
        ledger
    }
}

impl Ledger {
    /// Looks whether each of these hosts has what was acknowledged, once, and nothing that was not done. [`FENCE`] was committed after all of it.
    pub(crate) fn stands_at(&self, hosts: &[Host]) {
        for host in hosts {
            let list: Credentials = host.ask_until(&["credential", "list"], |list: &Credentials| {
                list.credentials.iter().any(|credential| credential.label == FENCE)
            });
            let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
            for credential in &list.credentials {
                *listed.entry(&credential.label).or_default() += 1;
            }
            for label in &self.standing {
                assert_eq!(listed.get(label.as_str()), Some(&1), "{label} was acknowledged, and {} has not got it once", host.name);
            }
            for label in &self.absent {
                assert_eq!(listed.get(label.as_str()), None, "{label} is there at {}, though it was revoked or not made", host.name);
            }
        }
    }

    /// How many credentials stand for sure.
    pub(crate) fn standing(&self) -> usize {
        self.standing.len()
    }
}

impl std::fmt::Display for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (standing, absent, open) = (self.standing.len(), self.absent.len(), self.open.len());
        write!(f, "acknowledged: {}, standing: {standing}, absent: {absent}, open: {open}", self.acknowledged)
    }
}
