//! What happens, in words for a script. The traffic of an idle cluster (SWIM's packets, Raft's heartbeats) is left out:
//! the scripts of those subsystems show it.

use hivemind_core::machine::{Effect, Reply};
use hivemind_core::storage::Write;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::HeldConfig;
use hivemind_core::wire::frame::{Channel, Frame};
use hivemind_core::wire::message::{Admission, Configs, Control, EventBatch, Events, Membership, Message};
use protobuf::Message as _;
use raft::eraftpb::MessageType;

pub(crate) fn frame(bytes: &[u8], channel: Channel) -> Option<String> {
    let frame = Frame::decode(bytes, channel).expect("machines send frames");
    let said = message(&frame.message)?;
    Some(format!("({} at {}) {said}", frame.header.from, frame.header.index))
}

fn message(message: &Message) -> Option<String> {
    Some(match message {
        Message::Admission(message) => admission(message),
        Message::Membership(Membership::Swim { .. } | Membership::Ping { .. } | Membership::Pong { .. }) => return None,
        Message::Membership(Membership::Sample { members, .. }) => format!("sample of {}", members.len()),
        Message::Membership(Membership::Keepalive { neighborhood }) => format!("keepalive of {neighborhood:?}"),
        Message::Membership(Membership::Evidence { suspect }) => format!("evidence of {suspect}"),
        Message::Control(message) => control(message)?,
        Message::Events(message) => events(message),
        Message::Configs(message) => configs(message),
    })
}

fn admission(message: &Admission) -> String {
    match message {
        Admission::Join(join) => match join.request.previous {
            Some(previous) => format!("join as {}, before {previous}", join.request.name),
            None => format!("join as {}", join.request.name),
        },
        Admission::Granted { node, digest, .. } => format!("granted: {node} at {}", digest.facts.position()),
        Admission::Refused { refusal, .. } => format!("refused: {refusal}"),
        Admission::Later { .. } => "later".into(),
        Admission::Elsewhere { voters } => format!("ask one of {} voters", voters.len()),
        Admission::Part { offset, total, .. } => format!("part of a digest, from {offset} of {total}"),
        Admission::PartAsk { offset, .. } => format!("a part of a digest, from {offset}"),
        Admission::Lapsed { .. } => "lapsed".into(),
        Admission::Resume { position } => format!("resume at {position}"),
        Admission::Resumed { node, answer } => format!("resumed as {node}: {answer:?}"),
    }
}

fn control(message: &Control) -> Option<String> {
    Some(match message {
        Control::Raft(bytes) => {
            let raft = raft::eraftpb::Message::parse_from_bytes(bytes).expect("machines send Raft messages");
            let kind = raft.get_msg_type();
            if matches!(kind, MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResponse) {
                return None;
            }
            let entries = if raft.entries.is_empty() { String::new() } else { format!(" with {}", raft.entries.len()) };
            let reject = if raft.reject { " reject" } else { "" };
            format!("{kind:?} term {} index {}{entries}{reject}", raft.term, raft.index)
        }
        Control::Forward(proposal) => format!("forward {}", command(&proposal.command)),
        Control::Outcome { outcome, .. } => outcome_of(outcome),
        Control::ReadIndex { .. } => "read-index".into(),
        Control::ReadIndexed { index, .. } => format!("read-indexed {index:?}"),
        Control::Evidence { observer, suspect } => format!("evidence by {observer} of {suspect}"),
        Control::SnapshotPart(part) => format!("part of a snapshot, from {} of {}", part.offset, part.total),
        Control::SnapshotWant(want) => format!("wants a snapshot from {}", want.offset),
        Control::Probe { suspect } => format!("asks for a probe of {suspect}"),
    })
}

fn command(command: &Command) -> String {
    match command {
        Command::Join(join) => format!("join of {}", join.request.name),
        Command::Enroll(signed) => format!("enrollment of {}", signed.enrollment.name),
        Command::TokenCreate { label, uses, .. } => format!("token {label} for {uses}"),
        Command::Leave { .. }
        | Command::Restarting { .. }
        | Command::Restarted { .. }
        | Command::Addresses { .. }
        | Command::AdvanceEpoch { .. }
        | Command::TokenRevoke { .. }
        | Command::EnrollmentRevoke { .. }
        | Command::CredentialCreate { .. }
        | Command::CredentialRevoke { .. }
        | Command::FeatureOn { .. }
        | Command::Features { .. }
        | Command::VoterAdd { .. }
        | Command::VoterRemove { .. }
        | Command::Lead { .. }
        | Command::AuthorityNext { .. }
        | Command::AuthorityHeld { .. }
        | Command::AuthorityRetire { .. } => format!("{command:?}"),
    }
}

fn outcome_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Committed { position } => format!("committed at {position}"),
        Outcome::Refused(refusal) => format!("refused: {refusal}"),
        Outcome::OutcomeUnknown => "outcome unknown".into(),
    }
}

fn events(message: &Events) -> String {
    let batch = |batch: &EventBatch| match (batch.events.first(), batch.events.last()) {
        (Some(first), Some(last)) => format!("{}..{}", first.index, last.index),
        _ => "nothing".into(),
    };
    match message {
        Events::Push(pushed) => format!("push {}", batch(pushed)),
        Events::Announce => "announce".into(),
        Events::AskAnother => "ask another".into(),
        Events::Pull { after } => format!("pull after {after}"),
        Events::Range(range) => format!("range {}", batch(range)),
        Events::Collected { floor } => format!("collected below {floor}"),
        Events::Resync => "resync".into(),
        Events::Snapshot(digest) => format!("snapshot at {}", digest.facts.position()),
    }
}

fn configs(message: &Configs) -> String {
    let held = |entries: &[HeldConfig]| {
        let entries: Vec<String> =
            entries.iter().map(|entry| format!("{}={}#{}", entry.member, entry.config.config.node, entry.config.config.seq)).collect();
        if entries.is_empty() { "nothing".into() } else { entries.join(" ") }
    };
    match message {
        Configs::Offer { entry, root } if root.is_none() => format!("offer {}", held(std::slice::from_ref(entry))),
        Configs::Offer { entry, root } => format!("offer {} from {root} on", held(std::slice::from_ref(entry))),
        Configs::Advert { member, version, root } => format!("advert {member}={}#{} from {root} on", version.node, version.seq),
        Configs::Stored { member, version } => match version {
            Some(version) => format!("stored {member}={}#{}", version.node, version.seq),
            None => format!("stored {member}: none"),
        },
        Configs::Compare { index, buckets } => format!("compare {} at {index}", if buckets.is_empty() { "nothing" } else { "buckets" }),
        Configs::Alike { complete } => format!("alike, complete {complete}"),
        Configs::Busy => "busy".into(),
        Configs::Differ { buckets, rest } => {
            let buckets: Vec<String> = buckets.iter().map(|one| format!("{}/{}", one.bucket, one.hashes.len())).collect();
            format!("differ in {}, rest {rest}", buckets.join(" "))
        }
        Configs::Versions { leaves, held, complete, rest } => {
            let held: Vec<String> = held.iter().map(|held| format!("{}#{}", held.member, held.seq)).collect();
            format!("versions in {} buckets: {}; complete {complete}, rest {rest}", leaves.len(), held.join(" "))
        }
        Configs::Want { nodes } => format!("want {nodes:?}"),
        Configs::Batch { configs, missing } => format!("batch {}, missing {missing:?}", held(configs)),
        Configs::SeqAsk => "seq-ask".into(),
    }
}

/// An effect, other than a message.
pub(crate) fn effect(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Send { .. } => return None,
        Effect::Store { writes, .. } => {
            let writes: Vec<String> = writes.iter().filter_map(write).collect();
            if writes.is_empty() {
                return None;
            }
            format!("stores {}", writes.join(", "))
        }
        Effect::Reply { reply, .. } => match reply {
            Reply::Proposed(outcome) => format!("reply: {}", outcome_of(outcome)),
            Reply::Published { seq } => format!("reply: published {seq}"),
            Reply::Readable { position } => format!("reply: readable at {position}"),
            Reply::NotPublished(_) | Reply::NotReadable => format!("reply: {reply:?}"),
        },
        Effect::View { view, .. } => {
            let condition = view.condition;
            let words = [(condition.degraded, " degraded"), (condition.stale, " stale"), (condition.incomplete, " incomplete")];
            let words: String = words.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
            format!("view at {}: {} members, {} configs{words}", view.facts.position(), view.facts.members().len(), view.configs.len())
        }
        Effect::Applied { position, event, .. } => match event {
            hivemind_core::wire::event::Event::Joined { member, supersedes, .. } => {
                let supersedes = supersedes.map(|old| format!(", in place of {old}")).unwrap_or_default();
                format!("applied {position}: {} joined as {}{supersedes}", member.name, member.node)
            }
            other => format!("applied {position}: {other:?}"),
        },
        Effect::Desired { desired, .. } => {
            let hosts = desired.downcast_ref::<std::collections::BTreeMap<hivemind_core::ids::NodeName, hivemind_core::ids::Seq>>()?;
            format!("desires {hosts:?}")
        }
        Effect::Report(report) => format!("reports {report:?}"),
        Effect::Halt(reason) => format!("halts: {reason}"),
    })
}

fn write(write: &Write) -> Option<String> {
    Some(match write {
        Write::Identity(identity) => {
            format!("identity {} boot {} voter {}", identity.node, identity.boot.count(), identity.was_voter)
        }
        Write::Log { hard_state, entries } => {
            format!("log{} of {} entries", if hard_state.is_some() { " state" } else { "" }, entries.len())
        }
        Write::Snapshot(snapshot) => format!("snapshot {}", snapshot.index),
        Write::Compact { below } => format!("compact below {below}"),
        Write::DropLog => "drop log".into(),
        Write::Own(own) => format!("own config {:?}", own.as_ref().map(|own| own.config.seq)),
        // What may be rebuilt.
        Write::Cache(_) | Write::ClearCache => return None,
    })
}
