//! Messages and bytes by what they are for.

use std::collections::BTreeMap;
use std::fmt;

use hivemind_core::wire::codec;
use hivemind_core::wire::frame::{Channel, Header, STREAM_LIMIT, VERSION};

/// What a datagram takes on the wire beside its frame: IP, UDP and QUIC, and its part of the acknowledgements. Of frames that
/// are answered at once and then followed by silence; measured on the real transport by `wire_overhead` of the benches.
const DATAGRAM_OVERHEAD: u64 = 80;
/// The same of a frame on a stream.
const STREAM_OVERHEAD: u64 = 87;

/// What a message is, read from the first bytes of its frame: the numbers of its two enums' variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u8, u8);

/// The names of the variants of `wire::message`, in their order.
const NAMES: [(&str, &[&str]); 5] = [
    ("admission", &["join", "granted", "refused", "later", "resume", "resumed", "elsewhere", "part", "part-ask", "lapsed"]),
    ("membership", &["swim", "ping", "pong", "evidence", "sample", "keepalive"]),
    ("control", &["raft", "forward", "outcome", "read-index", "read-indexed", "evidence", "snapshot-part", "snapshot-want", "probe"]),
    ("events", &["push", "announce", "pull", "range", "collected", "ask-another", "resync", "snapshot"]),
    ("configs", &["offer", "advert", "stored", "compare", "alike", "busy", "differ", "versions", "want", "batch", "seq-ask"]),
];

/// The number of the messages about configs.
const CONFIGS: u8 = 4;

impl Kind {
    /// Whether it may come from a node that is not at the receiver's history: it asks to be let in or to be brought up
    /// to date, or it is the answer to that.
    pub fn may_be_from_elsewhere(self) -> bool {
        matches!((self.0, self.1), (0, _) | (3, 2..=7))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some((subsystem, variants)) => write!(f, "{subsystem}/{}", variants.get(usize::from(self.1)).unwrap_or(&"?")),
            None => f.write_str("?"),
        }
    }
}

/// Reads the header of one of our own frames, and what kind of message follows.
pub fn peek(frame: &[u8]) -> Option<(Header, Kind)> {
    let (&version, body) = frame.split_first()?;
    if version != VERSION {
        return None;
    }
    let (header, read) = codec::decode_prefix::<Header, STREAM_LIMIT>(body).ok()?;
    match body.get(read..)? {
        [subsystem, variant, ..] => Some((header, Kind(*subsystem, *variant))),
        _ => None,
    }
}

/// How much of each kind was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    kinds: BTreeMap<Kind, Count>,
}

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub messages: u64,
    /// How large their frames are together, without what the transport adds.
    pub bytes: u64,
    /// How much they take on the wire, with IP, UDP, QUIC and acknowledgements.
    pub wire: u64,
}

/// What a frame of `length` bytes takes on the wire.
pub fn on_wire(channel: Channel, length: usize) -> u64 {
    let overhead = match channel {
        Channel::Datagram => DATAGRAM_OVERHEAD,
        Channel::Ordered | Channel::Bulk => STREAM_OVERHEAD,
    };
    length as u64 + overhead
}

impl Count {
    fn plus(self, other: Count) -> Count {
        Count { messages: self.messages + other.messages, bytes: self.bytes + other.bytes, wire: self.wire + other.wire }
    }

    fn minus(self, other: Count) -> Count {
        Count { messages: self.messages - other.messages, bytes: self.bytes - other.bytes, wire: self.wire - other.wire }
    }
}

impl Traffic {
    /// Counts one message.
    pub fn count(&mut self, kind: Kind, channel: Channel, bytes: usize) {
        let count = self.kinds.entry(kind).or_default();
        *count = count.plus(Count { messages: 1, bytes: bytes as u64, wire: on_wire(channel, bytes) });
    }

    /// Everything together.
    pub fn total(&self) -> Count {
        self.kinds.values().fold(Count::default(), |sum, count| sum.plus(*count))
    }

    /// The bytes of the frames about configs.
    pub fn of_configs(&self) -> u64 {
        self.kinds().filter(|(kind, _)| kind.0 == CONFIGS).map(|(_, count)| count.bytes).sum()
    }

    /// By kind.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, Count)> {
        self.kinds.iter().map(|(&kind, &count)| (kind, count))
    }

    /// What was counted since `before`, an earlier state of this.
    pub fn since(&self, before: &Traffic) -> Traffic {
        let less = |kind: Kind, count: Count| count.minus(before.kinds.get(&kind).copied().unwrap_or_default());
        Traffic { kinds: self.kinds().map(|(kind, count)| (kind, less(kind, count))).filter(|(_, count)| count.messages > 0).collect() }
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Traffic) {
        for (kind, count) in other.kinds() {
            let sum = self.kinds.entry(kind).or_default();
            *sum = sum.plus(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{BootNonce, ClusterId, Epoch, Index, NodeId};
    use hivemind_core::wire::frame::{Beat, Frame};
    use hivemind_core::wire::message::{Admission, Configs, Control, Events, Membership, Message, ResumeAnswer};

    use super::*;

    fn kind_of(message: Message) -> String {
        let header = Header {
            cluster: Some(ClusterId(7)),
            epoch: Epoch { generation: 1, number: 0, tag: u64::MAX },
            from: NodeId::new(1, 300),
            boot: BootNonce::new(1, 9),
            index: Index(70_000),
            chain: 5,
            beat: Beat { term: 1, count: 2 },
        };
        let (read, kind) = peek(&Frame { header, message }.encode()).expect("our own frame");
        assert_eq!(read, header);
        kind.to_string()
    }

    #[test]
    fn each_kind_of_message_is_named_from_its_frame() {
        assert_eq!(kind_of(Message::Admission(Admission::Resumed { node: NodeId::NONE, answer: ResumeAnswer::Gone })), "admission/resumed");
        assert_eq!(kind_of(Message::Membership(Membership::Evidence { suspect: NodeId::new(1, 1) })), "membership/evidence");
        assert_eq!(kind_of(Message::Control(Control::Raft(bytes::Bytes::from_static(b"x")))), "control/raft");
        assert_eq!(kind_of(Message::Events(Events::Resync)), "events/resync");
        // The last of each, so that one that comes between shows here.
        assert_eq!(kind_of(Message::Admission(Admission::Lapsed { nonce: 1 })), "admission/lapsed");
        let keepalive = Membership::Keepalive { neighborhood: Default::default() };
        assert_eq!(kind_of(Message::Membership(keepalive)), "membership/keepalive");
        assert_eq!(kind_of(Message::Configs(Configs::SeqAsk)), "configs/seq-ask");
        let passed_on = Control::Evidence { observer: NodeId::new(1, 2), suspect: NodeId::new(1, 3) };
        assert_eq!(kind_of(Message::Control(passed_on)), "control/evidence");
    }
}
