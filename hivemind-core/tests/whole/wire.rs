//! The wire: what is encoded comes back, and what is not a frame is refused by its fault.

use hivemind_core::error::WireError;
use hivemind_core::facts::Neighborhood;
use hivemind_core::ids::Index;
use hivemind_core::wire::codec;
use hivemind_core::wire::event::LogEvent;
use hivemind_core::wire::frame::{Channel, DATAGRAM_LIMIT, Frame, STREAM_LIMIT, VERSION};
use hivemind_core::wire::member::MemberRecord;
use proptest::prelude::*;

use super::arbitrary;
use super::corpus;

const CHANNELS: [Channel; 3] = [Channel::Datagram, Channel::Ordered, Channel::Bulk];

fn limit(channel: Channel) -> usize {
    match channel {
        Channel::Datagram => DATAGRAM_LIMIT,
        Channel::Ordered | Channel::Bulk => STREAM_LIMIT,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_comes_back_as_it_was(frame in arbitrary::frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes, Channel::Datagram).is_ok(), bytes.len() <= DATAGRAM_LIMIT);
        prop_assert_eq!(Frame::decode(&bytes, Channel::Bulk), Ok(frame));
    }

    #[test]
    fn every_event_comes_back_as_it_was(event in arbitrary::event()) {
        prop_assert_eq!(LogEvent::new(Index(1), &event).event(), Ok(event));
    }

    #[test]
    fn a_truncated_frame_is_never_a_frame(frame in arbitrary::frame(), at in any::<prop::sample::Index>()) {
        let bytes = frame.encode();
        let end = at.index(bytes.len());
        let expected = if end == 0 { WireError::Empty } else { WireError::Malformed };
        prop_assert_eq!(Frame::decode(&bytes[..end], Channel::Bulk), Err(expected));
    }

    #[test]
    fn what_follows_a_frame_is_counted_and_refused(frame in arbitrary::frame(), more in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = frame.encode().to_vec();
        bytes.extend(&more);
        prop_assert_eq!(Frame::decode(&bytes, Channel::Bulk), Err(WireError::Trailing { extra: more.len() }));
    }

    #[test]
    fn another_version_is_named_whatever_follows(version in any::<u8>(), frame in arbitrary::frame()) {
        prop_assume!(version != VERSION);
        let mut bytes = frame.encode().to_vec();
        bytes[0] = version;
        let expected = Err(WireError::Version { found: version, speaks: VERSION });
        prop_assert_eq!(Frame::decode(&bytes, Channel::Bulk), expected.clone());
        prop_assert_eq!(Frame::decode(&bytes[..1], Channel::Bulk), expected);
    }
}

#[test]
fn every_kind_of_message_is_among_the_arbitrary_ones() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let message = arbitrary::message().new_tree(&mut runner).expect("nothing is filtered").current();
        found.insert(corpus::kind_of(&message));
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), corpus::KINDS);
}

#[test]
fn a_frame_over_the_limit_of_its_channel_is_refused_by_its_length() {
    for channel in CHANNELS {
        let limit = limit(channel);
        let oversized = vec![VERSION; limit + 1];
        assert_eq!(Frame::decode(&oversized, channel), Err(WireError::TooLarge { length: limit + 1, limit }));
        assert_ne!(Frame::decode(&oversized[..limit], channel), Err(WireError::TooLarge { length: limit, limit }));
    }
}

#[test]
fn nothing_at_all_is_no_frame() {
    for channel in CHANNELS {
        assert_eq!(Frame::decode(&[], channel), Err(WireError::Empty));
    }
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    // A list of so many records, a string and a run of bytes of so many octets: none is there.
    let mut claim = vec![0xfd];
    claim.extend((1_u64 << 60).to_le_bytes());
    assert_eq!(codec::decode::<Vec<MemberRecord>, STREAM_LIMIT>(&claim), Err(WireError::Malformed));
    assert_eq!(codec::decode::<String, STREAM_LIMIT>(&claim), Err(WireError::Malformed));
    assert_eq!(codec::decode::<bytes::Bytes, STREAM_LIMIT>(&claim), Err(WireError::Malformed));
    claim.insert(0, 0);
    assert_eq!(codec::decode::<Neighborhood, STREAM_LIMIT>(&claim), Err(WireError::Malformed));
}
