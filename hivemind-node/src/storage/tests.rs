//! What storage promises, claim by claim.

mod crash;
mod crash_files;
mod damage;
mod folder;
mod round_trip;

use std::path::Path;

use bytes::Bytes;
use hivemind_core::ids::{BootNonce, ClusterId, Epoch, NodeId, NodeName, SectionKind, Seq};
use hivemind_core::keys::Signature;
use hivemind_core::storage::{Identity, LogEntry, LogSnapshot, Recovered, Write};
use hivemind_core::wire::config::{HostConfig, Section, SignedConfig};
use protobuf::Message as _;
use raft::eraftpb::HardState;

use super::{NodeKey, OpenError, Options, Storage};

fn new_key() -> Vec<u8> {
    b"a private key".to_vec()
}

fn open(dir: &Path) -> Result<(Storage, Recovered, NodeKey), OpenError> {
    Storage::open(dir, &Options { new_key: &new_key, cache_memory: 1 << 20 })
}

/// Opens what must open.
fn reopen(dir: &Path) -> (Storage, Recovered) {
    let (storage, recovered, _) = open(dir).expect("the folder opens");
    (storage, recovered)
}

fn refusal(dir: &Path) -> OpenError {
    open(dir).expect_err("the folder is refused")
}

fn identity(node: u64) -> Identity {
    Identity {
        cluster: ClusterId(7),
        epoch: Epoch { generation: 1, number: 0, tag: 9 },
        node: NodeId::from_u64(node),
        name: NodeName::new("web1").expect("a name"),
        was_voter: true,
        boot: BootNonce::new(1, 2),
        reserved_seq: Seq(64),
    }
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, bytes: Bytes::from(format!("entry {index} of term {term}")) }
}

fn entries(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<LogEntry> {
    range.map(|index| entry(index, term)).collect()
}

fn hard_state(term: u64, commit: u64) -> Bytes {
    let state = HardState { term, commit, ..HardState::default() };
    state.write_to_bytes().expect("it encodes").into()
}

fn snapshot(index: u64, term: u64) -> LogSnapshot {
    LogSnapshot { index, term, bytes: Bytes::from(format!("state at {index}")) }
}

fn append(range: std::ops::RangeInclusive<u64>, term: u64) -> Write {
    let hard_state = Some(hard_state(term, range.end() - 1));
    Write::Log { hard_state, entries: entries(range, term) }
}

fn config(seq: u64) -> SignedConfig {
    let kind = SectionKind::new("dns").expect("a kind");
    let sections = vec![Section { kind, body: Bytes::from_static(b"records") }];
    SignedConfig { config: HostConfig { node: NodeId::from_u64(3), seq: Seq(seq), sections }, signature: Signature([5; 64]) }
}

fn record(key: &str, value: &str) -> (Bytes, Bytes) {
    (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()))
}

fn cached(key: &str, value: &str) -> Write {
    let (key, value) = record(key, value);
    Write::Cache(vec![(key, Some(value))])
}

/// A voter's folder: the snapshot at 1, entries 2 to 10 of term 1.
fn voter(dir: &Path) -> Storage {
    let (mut storage, _) = reopen(dir);
    storage.write(&[Write::Identity(identity(3)), Write::Snapshot(snapshot(1, 1)), append(2..=10, 1)]).expect("written");
    storage
}
