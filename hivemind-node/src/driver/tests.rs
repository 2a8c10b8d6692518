//! A machine that panics takes its own node down, in order, and says why; so does the disk's thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hivemind_core::ids::{ClusterId, Digest256, PublicKey};
use hivemind_core::keys::{Keys, Signature};
use hivemind_core::machine::{Birth, Phase};
use hivemind_core::settings::Settings;
use hivemind_core::storage::Write;
use hivemind_core::wire::command::Command;
use tokio::sync::watch;

use super::*;
use crate::authority::Authority;
use crate::feed::Source;
use crate::keys::Ed25519Keys;
use crate::storage::Options;
use crate::transport::TransportSettings;

const BOUND: Duration = Duration::from_secs(20);

/// Signs until it is told to panic.
struct Panicky {
    keys: Ed25519Keys,
    armed: AtomicBool,
}

impl Keys for Panicky {
    fn public(&self) -> PublicKey {
        self.keys.public()
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        assert!(!self.armed.load(Ordering::Relaxed), "planted panic");
        self.keys.sign(digest)
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        self.keys.verify(key, digest, signature)
    }
}

struct Rig {
    keys: Arc<Panicky>,
    /// Lets the disk's thread panic.
    disk_armed: Arc<AtomicBool>,
    account: watch::Receiver<Account>,
    stopped: watch::Receiver<Option<StopReason>>,
    requests: mpsc::Sender<Request>,
    transport: Transport,
    tasks: Tasks,
    _ending: oneshot::Sender<Ending>,
}

fn start() -> Rig {
    let cluster = ClusterId(3);
    let name = NodeName::new("voter1").unwrap();
    let own = Ed25519Keys::generate().unwrap();
    let identity = Authority::new(cluster).unwrap().issue(Arc::new(Ed25519Keys::from_pkcs8(own.pkcs8()).unwrap()), &name).unwrap();
    let keys = Arc::new(Panicky { keys: own, armed: AtomicBool::new(false) });
    let new_key = || identity.keys().pkcs8().to_vec();
    let (storage, recovered, _) = Storage::in_memory(&Options::new(&new_key));
    let (transport, incoming) = Transport::bind("127.0.0.1:0".parse().unwrap(), &identity, TransportSettings::default()).unwrap();
    let startup = Startup {
        name,
        addresses: vec![transport.local_addr()],
        roles: Vec::new(),
        voter_eligible: true,
        seeds: Vec::new(),
        awaits_seeds: false,
        birth: Some(Birth { cluster, tag: 1 }),
        recovered,
        settings: Settings::default(),
        keys: keys.clone(),
        seed: 1,
    };
    let driver = Driver::new(startup, storage).unwrap();
    let (requests, requests_out) = mpsc::channel(16);
    let (ending, ended) = oneshot::channel();
    let (account_in, account) = watch::channel(driver.account());
    let (stopped_in, stopped) = watch::channel(None);
    let outlets = Outlets {
        view: watch::Sender::new(None),
        account: account_in,
        stopped: stopped_in,
        events: Source::new(),
        reports: Source::new(),
        desired: Vec::new(),
    };
    let tasks = Tasks::new();
    let disk_armed = Arc::new(AtomicBool::new(false));
    let panics = disk_armed.clone();
    let disk = move |mut storage: Storage, tasks: &Tasks| {
        let write = move |writes: &[Write]| {
            assert!(!panics.load(Ordering::Relaxed), "planted panic");
            storage.write(writes)
        };
        Disk::of(write, tasks)
    };
    driver.start_with(disk, Inlets { incoming, requests: requests_out, ending: ended }, outlets, transport.clone(), &tasks);
    Rig { keys, disk_armed, account, stopped, requests, transport, tasks, _ending: ending }
}

/// Proposes something once the node leads; why it stopped, after that all of it has ended.
async fn stopped_by_a_proposal(mut rig: Rig, arm: impl FnOnce(&Rig)) -> Option<StopReason> {
    let leads = rig.account.wait_for(|account| account.machine.phase == Phase::Member && account.machine.leader.is_some());
    let node = tokio::time::timeout(BOUND, leads).await.unwrap().unwrap().machine.node;
    arm(&rig);
    let (answer, answered) = oneshot::channel();
    let command = Command::Restarting { node, grace: Duration::from_secs(1) };
    rig.requests.send(Request::Propose { command, answer }).await.unwrap();
    let stopped = rig.stopped.wait_for(Option::is_some);
    let reason = tokio::time::timeout(BOUND, stopped).await.unwrap().unwrap().clone();
    assert!(answered.await.is_err());
    tokio::time::timeout(BOUND, rig.tasks.all_ended()).await.unwrap();
    assert!(std::net::UdpSocket::bind(rig.transport.local_addr()).is_ok());
    reason
}

#[tokio::test]
async fn a_panic_of_the_machine_stops_its_node_and_is_named() {
    let reason = stopped_by_a_proposal(start(), |rig| rig.keys.armed.store(true, Ordering::Relaxed)).await;
    assert_eq!(reason, Some(StopReason::Panicked("planted panic".to_owned())));
}

#[tokio::test]
async fn a_panic_of_the_disks_thread_stops_its_node_and_is_named() {
    let reason = stopped_by_a_proposal(start(), |rig| rig.disk_armed.store(true, Ordering::Relaxed)).await;
    assert_eq!(reason, Some(StopReason::Panicked("the disk's thread: planted panic".to_owned())));
}
