//! The only file that touches raft-rs' `RawNode`.
//!
//! Three things happen here and nowhere else. Election timeouts are pinned, since raft-rs draws them
//! from the thread's generator. Messages that speak of what is not durable yet wait for the disk
//! (raft-rs' asynchronous ready). And what comes from the network is checked before it is stepped.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft::eraftpb::{EntryType, HardState, Message, MessageType, Snapshot};
use raft::{ProgressState, RawNode, Ready, SnapshotStatus, StateRole};
use slog::{Discard, Logger, o};

use super::applied::Applied;
use super::apply_voter::Change;
use super::entry::{self, Committed};
use super::group::{self, GroupId};
use super::log::{self, Log};
use super::making::Made;
use super::sanity::{self, Receiver};
use super::snapshot;
use super::transfer::{Receiving, Sending, Taken};
use crate::ids::{NodeId, ProposalId};
use crate::rng::split_mix;
use crate::settings::ControlSettings;
use crate::storage::Write;
use crate::time::Time;
use crate::wire::codec;
use crate::wire::event::VoterPart;
use crate::wire::message::{SnapshotPart, SnapshotWant};

/// A follower this few entries behind has caught up.
const NEARLY: u64 = 16;

/// A Raft message on its way out.
pub(super) struct Packet {
    pub(super) to: NodeId,
    pub(super) content: Content,
}

/// What a packet carries.
pub(super) enum Content {
    /// A message as protobuf.
    Raft(Bytes),
    /// The first part of a snapshot, which stands for the message.
    Part(SnapshotPart),
}

/// What raft-rs wants done at one moment.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) sends: Vec<Packet>,
    pub(super) persist: Option<(u64, Vec<Write>)>,
    pub(super) committed: Vec<(u64, Committed)>,
    /// Linearizable once this Raft index is applied.
    pub(super) reads: Vec<(ProposalId, u64)>,
}

/// What may be done now that some writes are durable.
#[derive(Default)]
pub(super) struct Released {
    pub(super) sends: Vec<Packet>,
    /// A snapshot from the leader: the state, and its Raft index.
    pub(super) installed: Option<(Applied, u64)>,
}

/// What waits for the writes of a number.
struct Waiting {
    number: u64,
    /// raft-rs' number of the ready, where the writes are one's.
    ready: Option<u64>,
    messages: Vec<Message>,
    snapshot: Option<Snapshot>,
    /// It holds entries or a snapshot: until then the node must not lead.
    holds_log: bool,
    term: u64,
}

/// Raft, as one node runs it.
pub(super) struct Raw {
    id: NodeId,
    seed: u64,
    raft: RawNode<Log>,
    /// The role, leader and term at the last look, and how often they changed: what a timeout is drawn from.
    seen: (StateRole, u64, u64),
    resets: u64,
    waiting: VecDeque<Waiting>,
    next_number: u64,
    /// The term in the hard state that is known to be durable.
    durable_term: u64,
    /// The hard state that was last given to the disk.
    written: HardState,
    applied: u64,
    /// The snapshots that are being sent, and to whom.
    sending: BTreeMap<NodeId, Sending>,
    /// The snapshot that is being received.
    receiving: Option<Receiving>,
    /// The state in the snapshot that raft-rs was given last.
    arrived: Option<(u64, Applied)>,
}

impl Raw {
    pub(super) fn new(group: GroupId, id: NodeId, log: Log, seed: u64, settings: &ControlSettings) -> Raw {
        let applied = log.snapshot_index();
        let written = log.hard_state().clone();
        let config = group::config(id, settings, applied);
        let raft = RawNode::new(&config, log, &Logger::root(Discard, o!()))
            .expect("the configuration is ours, and a recovered log was checked to fit together");
        let seen = (raft.raft.state, raft.raft.leader_id, raft.raft.term);
        Raw {
            id,
            seed: group.mix(seed, id),
            raft,
            seen,
            resets: 0,
            waiting: VecDeque::new(),
            next_number: 1,
            durable_term: written.term,
            written,
            applied,
            sending: BTreeMap::new(),
            receiving: None,
            arrived: None,
        }
    }

    pub(super) fn is_leader(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        Some(NodeId::from_u64(self.raft.raft.leader_id)).filter(|leader| !leader.is_none())
    }

    pub(super) fn term(&self) -> u64 {
        self.raft.raft.term
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    pub(super) fn snapshot_index(&self) -> u64 {
        self.raft.store().snapshot_index()
    }

    /// Whether nothing that was committed is still to be applied.
    pub(super) fn has_applied_all(&self) -> bool {
        self.applied >= self.raft.raft.raft_log.committed
    }

    /// Whether this leader has committed an entry of its own term: before that it does not know all
    /// that was committed.
    pub(super) fn is_established(&self) -> bool {
        self.is_leader() && self.raft.raft.commit_to_current_term()
    }

    /// Whether a change of the group may be on its way, or leadership is.
    pub(super) fn is_changing(&self) -> bool {
        self.raft.raft.has_pending_conf() || self.is_handing()
    }

    /// Whether a node has a part in the configuration that raft-rs has.
    pub(super) fn is_part(&self, node: NodeId) -> bool {
        self.raft.raft.prs().get(node.as_u64()).is_some()
    }

    /// Whether an entry in the log that is not applied yet gives a node a part.
    pub(super) fn is_named(&self, node: NodeId) -> bool {
        let gives = |change: &Change| change.node == node && change.part != VoterPart::None;
        let entries = self.raft.store().entries_above(self.applied).iter();
        entries.filter(|entry| entry.get_entry_type() != EntryType::EntryNormal).any(|entry| match entry::read(entry.clone()).1 {
            Committed::Change(changes) => changes.iter().any(gives),
            Committed::Command(_) | Committed::LeaveJoint | Committed::Nothing => false,
        })
    }

    /// Whether a follower has nearly all entries. One that acknowledged nothing has none, however short the log is.
    pub(super) fn has_caught_up(&self, node: NodeId) -> bool {
        let last = self.raft.raft.raft_log.last_index();
        self.raft.raft.prs().get(node.as_u64()).is_some_and(|progress| progress.matched > 0 && progress.matched + NEARLY >= last)
    }

    /// The last entry that a follower is known to have.
    pub(super) fn matched(&self, node: NodeId) -> u64 {
        self.raft.raft.prs().get(node.as_u64()).map_or(0, |progress| progress.matched)
    }

    /// Whether leadership is on its way to another voter.
    pub(super) fn is_handing(&self) -> bool {
        self.raft.raft.lead_transferee.is_some()
    }

    fn is_writing_log(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.holds_log)
    }

    /// The configuration that raft-rs has.
    #[cfg(test)]
    pub(super) fn conf_state(&self) -> raft::eraftpb::ConfState {
        self.raft.raft.prs().conf().to_conf_state()
    }

    /// Whether no snapshot of a leader's is on its way to the disk: it changes raft-rs before the state.
    #[cfg(test)]
    pub(super) fn is_installed(&self) -> bool {
        self.waiting.iter().all(|waiting| waiting.snapshot.is_none())
    }

    /// One unit of time.
    pub(super) fn tick(&mut self) {
        // raft-rs lets no one lead whose own log is not durable: it asserts that. So a node whose disk
        // is stuck lets others be elected.
        if !self.is_leader() && self.is_writing_log() {
            return;
        }
        self.pin();
        self.raft.tick();
        self.look();
    }

    /// Pins the election timeout, so that it is a function of the seed, the node, the term and how
    /// often its role changed: drawn anew where raft-rs draws anew, and the same in every run.
    fn pin(&mut self) {
        let shortest = self.raft.raft.election_timeout();
        let mut state = self.seed ^ self.raft.raft.term.rotate_left(32) ^ self.resets;
        let spread = (shortest as u64).saturating_sub(1).max(1);
        // One above the shortest: by then the others' lease on the old leader has run out as well.
        let drawn = shortest + 1 + usize::try_from(split_mix(&mut state) % spread).expect("below the shortest timeout");
        self.raft.raft.set_randomized_election_timeout(drawn.min(2 * shortest - 1));
    }

    fn look(&mut self) {
        let now = (self.raft.raft.state, self.raft.raft.leader_id, self.raft.raft.term);
        if now != self.seen {
            self.seen = now;
            self.resets += 1;
        }
    }

    /// Tries to lead, at once: for a node that is the only voter.
    pub(super) fn campaign(&mut self) {
        if !self.is_writing_log() {
            // Refused where a committed change of the group is not applied yet; the next timeout tries again.
            let _refused = self.raft.campaign();
            self.look();
        }
    }

    /// Takes a message of raft's from another node. `false`: a late answer of one that has no part in
    /// the group any more, which says nothing.
    ///
    /// # Errors
    /// Why it was dropped; the sender is at fault.
    pub(super) fn step(&mut self, from: NodeId, bytes: &[u8]) -> Result<bool, &'static str> {
        let receiver = Receiver {
            node: self.id,
            last_index: self.raft.raft.raft_log.last_index(),
            leader: self.leader(),
            is_leader: self.is_leader(),
            is_writing: self.is_writing_log(),
        };
        let message = sanity::read(from, bytes, &receiver)?;
        let stepped = self.raft.step(message);
        self.look();
        Ok(stepped.is_ok())
    }

    /// Appends a proposal; `false` where raft takes none now.
    pub(super) fn propose(&mut self, id: ProposalId, proposal: Vec<u8>) -> bool {
        self.raft.propose(codec::encode(&id), proposal).is_ok()
    }

    /// Appends a change of the group; `false` where raft takes none now.
    pub(super) fn propose_change(&mut self, changes: &[Change]) -> bool {
        self.raft.propose_conf_change(Vec::new(), entry::written(changes)).is_ok()
    }

    /// Makes a change of the group take effect, where it is applied. No changes: the joint configuration
    /// is left. `is_out`: this node has no part after it.
    pub(super) fn apply_change(&mut self, changes: &[Change], is_out: bool) {
        // raft-rs can not lead a group that it has no part in: it looks for its own progress.
        if self.is_leader() && is_out {
            self.raft.raft.become_follower(self.raft.raft.term, raft::INVALID_ID);
            self.look();
        }
        self.raft
            .apply_conf_change(&entry::written(changes))
            .expect("a change that fits the state fits raft's configuration: both change only here");
    }

    /// One that has no part counts no time, so that its last leader would seem to be there for ever. Those who crashed before they had
    /// written that it went may need its vote: they go by a configuration with it until they have elected a leader.
    pub(super) fn forget_leader(&mut self) {
        if self.raft.raft.leader_id != raft::INVALID_ID && !self.is_leader() {
            self.raft.raft.become_follower(self.raft.raft.term, raft::INVALID_ID);
            self.look();
        }
    }

    pub(super) fn transfer(&mut self, to: NodeId) {
        self.raft.transfer_leader(to.as_u64());
    }

    /// Asks for the index that a linearizable read must have reached. Only at the leader.
    pub(super) fn read_index(&mut self, id: ProposalId) {
        self.raft.read_index(codec::encode(&id));
    }

    /// What was sent to a node may be lost: it is sent again.
    pub(super) fn unreachable(&mut self, node: NodeId) {
        if !self.is_leader() {
            return;
        }
        self.raft.report_unreachable(node.as_u64());
        if self.sending.remove(&node).is_some() {
            self.raft.report_snapshot(node.as_u64(), SnapshotStatus::Failure);
        }
    }

    /// Takes a part of a snapshot.
    ///
    /// # Errors
    /// Why it was dropped; the sender is at fault.
    pub(super) fn take_part(&mut self, from: NodeId, part: &SnapshotPart, now: Time) -> Result<Option<SnapshotWant>, &'static str> {
        if part.offset == 0 {
            let head = sanity::read_head(from, &part.head, self.id)?;
            if head.term < self.term() {
                return Ok(None);
            }
            let total = usize::try_from(part.total).ok().filter(|total| *total <= snapshot::LIMIT).ok_or("a snapshot larger than any")?;
            match self.receiving.as_mut().filter(|receiving| receiving.is_of(part)) {
                Some(receiving) => receiving.resume(from, part.head.clone()),
                None => self.receiving = Some(Receiving::begin(from, part, total, now)),
            }
        }
        let Some(receiving) = self.receiving.as_mut().filter(|receiving| receiving.is_of(part)) else { return Ok(None) };
        match receiving.take(part, now) {
            Ok(Taken::Nothing) => Ok(None),
            Ok(Taken::More(want)) => Ok(Some(want)),
            Ok(Taken::Whole(head, data)) => {
                self.receiving = None;
                let (message, applied) = sanity::complete(sanity::read_head(from, &head, self.id)?, data)?;
                self.arrived = Some((applied_at(&message), applied));
                let _refused_where_late = self.raft.step(message);
                self.look();
                Ok(None)
            }
            Err(why) => {
                self.receiving = None;
                Err(why)
            }
        }
    }

    /// The part of a snapshot that a follower asks for, if it is on its way to it.
    pub(super) fn part_wanted(&mut self, from: NodeId, want: SnapshotWant, now: Time) -> Option<SnapshotPart> {
        let sending = self.sending.get_mut(&from).filter(|sending| sending.digest == want.digest)?;
        sending.asked = now;
        sending.part(usize::try_from(want.offset).ok()?)
    }

    /// What of a snapshot must be asked for again.
    pub(super) fn retry_part(&mut self, now: Time) -> Option<(NodeId, SnapshotWant)> {
        let receiving = self.receiving.as_mut()?;
        let again = receiving.retry(now);
        if again.is_err() {
            self.receiving = None;
        }
        again.ok().flatten()
    }

    /// Sends snapshots again of which no part was asked for since `before`.
    pub(super) fn retry_snapshots(&mut self, before: Time) {
        let progress = self.raft.raft.prs();
        let waits = |node: NodeId| progress.get(node.as_u64()).is_some_and(|one| one.state == ProgressState::Snapshot);
        self.sending.retain(|node, _| waits(*node));
        let late: Vec<NodeId> = self.sending.iter().filter(|(_, sending)| sending.asked < before).map(|(&node, _)| node).collect();
        for node in late {
            self.unreachable(node);
        }
    }

    /// Whether a follower waits for a snapshot that must first be made. Asked once.
    pub(super) fn take_snapshot_wanted(&self) -> bool {
        self.raft.store().take_outdated()
    }

    /// Takes a snapshot that this node made; the log behind it is cut, but for the last `kept` entries, and,
    /// up to `most`, for those that come next for who is being sent an earlier snapshot.
    pub(super) fn snapshot(&mut self, made: Made, kept: u64, most: u64) -> (u64, Vec<Write>) {
        let earliest = self.sending.values().map(|sending| sending.index).min().unwrap_or(made.index);
        let kept = kept.max(made.index.saturating_sub(earliest)).min(most);
        let writes = self.raft.mut_store().compact(made, kept);
        (self.persist(), writes)
    }

    /// The entries of a turn up to here are applied.
    pub(super) fn applied_to(&mut self, index: u64) {
        self.applied = index;
        self.raft.advance_apply_to(index);
    }

    /// What raft wants done next, if anything. Everything in it must be done before the next call.
    pub(super) fn poll(&mut self, now: Time) -> Option<Turn> {
        if !self.raft.has_ready() {
            return None;
        }
        let mut ready = self.raft.ready();
        let mut turn = Turn {
            committed: ready.take_committed_entries().into_iter().map(entry::read).collect(),
            reads: ready.take_read_states().into_iter().filter_map(|read| Some((read_id(&read.request_ctx)?, read.index))).collect(),
            ..Turn::default()
        };
        let mut now_sent = ready.take_messages();
        let mut held = ready.take_persisted_messages();
        // A sole voter leads before its term is durable. Were its entries to leave now and be lost with
        // a crash, it would lead the same term again with others.
        if self.raft.raft.term > self.durable_term {
            held.append(&mut now_sent);
        }
        let number = ready.number();
        let holds_log = !ready.entries().is_empty() || !ready.snapshot().is_empty();
        let (writes, snapshot) = self.writes_of(&mut ready);
        self.raft.advance_append_async(ready);
        if !writes.is_empty() {
            turn.persist = Some((self.wait(Some(number), held, snapshot, holds_log), writes));
        } else if let Some(last) = self.waiting.back_mut() {
            last.ready = Some(number);
            last.messages.append(&mut held);
        } else {
            self.raft.on_persist_ready(number);
            now_sent.append(&mut held);
        }
        turn.sends = self.packets(now_sent, now);
        Some(turn)
    }

    /// What of a ready must be durable. The commit index alone is not worth a write: it goes with the next one.
    fn writes_of(&mut self, ready: &mut Ready) -> (Vec<Write>, Option<Snapshot>) {
        let mut writes = Vec::new();
        let snapshot = Some(ready.snapshot().clone()).filter(|snapshot| !snapshot.is_empty());
        let entries = ready.take_entries();
        let hard_state = ready.hs().cloned().unwrap_or_else(|| self.raft.store().hard_state().clone());
        let store = self.raft.mut_store();
        store.set_hard_state(hard_state.clone());
        if let Some(snapshot) = &snapshot {
            writes.push(log::snapshot_write(snapshot));
            writes.push(Write::Compact { below: snapshot.get_metadata().index + 1 });
            store.install(snapshot.clone());
        }
        store.append(&entries);
        let voted = (hard_state.term, hard_state.vote) != (self.written.term, self.written.vote);
        if voted || !entries.is_empty() || snapshot.is_some() {
            let changed = Some(&hard_state).filter(|state| **state != self.written);
            writes.push(log::log_write(changed, &entries));
            self.written = hard_state;
        }
        (writes, snapshot)
    }

    /// Gives out writes that are none of raft's.
    pub(super) fn persist(&mut self) -> u64 {
        self.wait(None, Vec::new(), None, false)
    }

    fn wait(&mut self, ready: Option<u64>, messages: Vec<Message>, snapshot: Option<Snapshot>, holds_log: bool) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let term = self.written.term;
        self.waiting.push_back(Waiting { number, ready, messages, snapshot, holds_log, term });
        number
    }

    /// The writes up to `number` are durable.
    pub(super) fn stored(&mut self, number: u64, now: Time) -> Released {
        let mut released = Released::default();
        while self.waiting.front().is_some_and(|waiting| waiting.number <= number) {
            let done = self.waiting.pop_front().expect("there is a first one");
            self.durable_term = self.durable_term.max(done.term);
            if let Some(ready) = done.ready {
                self.raft.on_persist_ready(ready);
            }
            if let Some(snapshot) = done.snapshot {
                let index = snapshot.get_metadata().index;
                let arrived = self.arrived.take().filter(|(at, _)| *at == index).map(|(_, applied)| applied);
                let applied = arrived.unwrap_or_else(|| sanity::applied_of(&snapshot).expect("it was decoded before raft saw it"));
                released.installed = Some((applied, index));
            }
            released.sends.extend(self.packets(done.messages, now));
        }
        released
    }

    fn packets(&mut self, messages: Vec<Message>, now: Time) -> Vec<Packet> {
        let mut packets = Vec::with_capacity(messages.len());
        for message in messages {
            let to = NodeId::from_u64(message.to);
            let content = if message.get_msg_type() == MessageType::MsgSnapshot {
                Content::Part(self.offer(to, message, now))
            } else {
                Content::Raft(log::protobuf_bytes(&message))
            };
            packets.push(Packet { to, content });
        }
        packets
    }

    /// Begins to send a snapshot.
    fn offer(&mut self, to: NodeId, mut message: Message, now: Time) -> SnapshotPart {
        let digest = self.raft.store().digest_of(message.get_snapshot());
        let index = applied_at(&message);
        let data = std::mem::take(&mut message.mut_snapshot().data);
        let sending = Sending { head: log::protobuf_bytes(&message), data, digest, index, asked: now };
        let first = sending.part(0).expect("a snapshot is never empty");
        self.sending.insert(to, sending);
        first
    }
}

/// The last Raft entry in a message's snapshot.
fn applied_at(message: &Message) -> u64 {
    message.get_snapshot().get_metadata().index
}

fn read_id(context: &[u8]) -> Option<ProposalId> {
    codec::decode::<ProposalId, 64>(context).ok()
}
