use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use foca::{Header, Member, Message as Swim, State};

use super::net::{CREATED, HOOD, Net, id};
use crate::context::Junk;
use crate::ids::{BootNonce, ClusterId, Epoch, Index, NeighborhoodId, NodeId};
use crate::membership::packet::{PACKET_LIMIT, Packet, PacketError, PeerCodec};
use crate::membership::peer::Peer;
use crate::membership::rank::rank;
use crate::rng::Rng;
use crate::wire::frame::{Beat, DATAGRAM_LIMIT, Frame, Header as FrameHeader};
use crate::wire::message::{Membership as Wire, Message};

/// A broadcast as foca appends it: its length, then what is in it.
const CARRIED: [u8; 11] = [0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 7];
const CODEC: PeerCodec = PeerCodec { neighborhood: HOOD, created: CREATED };

fn peer(rng: &mut Rng) -> Peer {
    let node = NodeId::from_u64(rng.next() >> rng.below(64));
    Peer { node, neighborhood: HOOD, created: CREATED, boot: BootNonce(rng.next() >> rng.below(64)), renewal: rng.next() as u32 }
}

fn message(rng: &mut Rng) -> Swim<Peer> {
    let probe_number = rng.next() as u8;
    match rng.below(10) {
        0 => Swim::Ping(probe_number),
        1 => Swim::Ack(probe_number),
        2 => Swim::PingReq { target: peer(rng), probe_number },
        3 => Swim::IndirectPing { origin: peer(rng), probe_number },
        4 => Swim::IndirectAck { target: peer(rng), probe_number },
        5 => Swim::ForwardedAck { origin: peer(rng), probe_number },
        6 => Swim::Announce,
        7 => Swim::Feed,
        8 => Swim::Gossip,
        _ => Swim::TurnUndead,
    }
}

#[test]
fn packets_come_back_as_they_were() {
    let mut rng = Rng::new(1);
    for _ in 0..10_000 {
        let header = Header { src: peer(&mut rng), src_incarnation: rng.next() as u16, dst: peer(&mut rng), message: message(&mut rng) };
        let bare = matches!(header.message, Swim::Announce | Swim::TurnUndead);
        let count = if bare { 0 } else { rng.below(10) };
        let states = [State::Alive, State::Suspect, State::Down];
        let updates = (0..count).map(|_| Member::new(peer(&mut rng), rng.next() as u16, states[rng.below(3) as usize])).collect::<Vec<_>>();
        let packet = Packet { header, updates };
        let bytes = Bytes::from(packet.encode_for_foca(CODEC).expect("it fits"));
        assert_eq!(Packet::decode(&bytes, CODEC), Ok(packet));
        let cut = rng.below(bytes.len() as u64) as usize;
        let shorter = Packet::decode(&bytes.slice(..cut), CODEC);
        assert!(shorter.is_err() || count > 0 && shorter.is_ok_and(|packet| packet.updates.is_empty()), "a truncated packet");
    }
}

#[test]
fn the_longest_frame_fits_a_datagram() {
    let frame = Frame {
        header: FrameHeader {
            cluster: Some(ClusterId(u64::MAX)),
            epoch: Epoch { generation: u16::MAX, number: u32::MAX, tag: u64::MAX },
            from: NodeId::from_u64(u64::MAX),
            boot: BootNonce(u64::MAX),
            index: Index(u64::MAX),
            chain: u32::MAX,
            beat: Beat { term: u64::MAX, count: u64::MAX },
        },
        message: Message::Membership(Wire::Swim {
            neighborhood: NeighborhoodId(u32::MAX),
            created: Index(u64::MAX),
            packet: Bytes::from(vec![0xFF; PACKET_LIMIT]),
        }),
    };
    let length = frame.encode().len();
    assert!(length <= DATAGRAM_LIMIT, "{length}");
}

#[test]
fn no_packet_carries_a_broadcast() {
    let mut rng = Rng::new(2);
    for _ in 0..1_000 {
        let header = Header { src: peer(&mut rng), src_incarnation: 0, dst: peer(&mut rng), message: message(&mut rng) };
        let bare = matches!(header.message, Swim::Announce | Swim::TurnUndead);
        let updates = if bare { Vec::new() } else { vec![Member::new(peer(&mut rng), 0, State::Alive)] };
        let mut bytes = Packet { header, updates }.encode_for_foca(CODEC).expect("it fits");
        bytes.extend(CARRIED);
        assert_eq!(Packet::decode(&bytes.into(), CODEC), Err(PacketError::Trailing));
    }
    let header = Header { src: peer(&mut rng), src_incarnation: 0, dst: peer(&mut rng), message: Swim::Broadcast };
    let bytes = Packet { header, updates: Vec::new() }.encode_for_foca(CODEC).expect("it fits");
    assert_eq!(Packet::decode(&bytes.into(), CODEC), Err(PacketError::Tag));
}

/// One bit, one octet, a cut, or bytes of chance, in a packet of SWIM.
fn mutate(rng: &mut Rng, message: &mut Message) {
    let Message::Membership(Wire::Swim { packet, .. }) = message else { return };
    let mut bytes = packet.to_vec();
    let at = rng.below(bytes.len() as u64) as usize;
    match rng.below(6) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next() as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, rng.next() as u8),
        4 => bytes.extend((0..rng.below(40)).map(|_| rng.next() as u8)),
        _ => {}
    }
    *packet = bytes.into();
}

#[test]
fn mutated_packets_do_no_lasting_harm() {
    let mut frames = 0;
    let mut junk = 0;
    for seed in 0..8 {
        let mut net = Net::new(24, seed);
        net.run(Duration::from_secs(3));
        net.mutate = Some(mutate);
        let before = net.frames;
        while net.frames - before < 15_000 {
            net.run(Duration::from_secs(1));
        }
        frames += net.frames - before;
        junk += net.junk;
        net.mutate = None;
        // Members that are mutated into each other's identities need to be sorted out.
        net.run(Duration::from_secs(20));
        net.convicted.clear();
        net.junk = 0;
        net.run(Duration::from_secs(60));
        assert!(net.convicted.is_empty(), "seed {seed}: {:?}", net.convicted);
        assert_eq!(net.junk, 0, "seed {seed}");
        for &at in &net.members {
            assert!(net.node(at).membership.unreachable().is_empty(), "seed {seed}");
            for &of in net.members.iter().filter(|&&of| of != at) {
                assert!(net.node(at).membership.swim_standing(of).0, "seed {seed}: {at} has lost {of}");
            }
        }
    }
    println!("{frames} frames with mutated packets, {junk} of them refused");
    assert!(frames > 100_000 && junk > 10_000, "{frames} {junk}");
}

/// Hands `packet` to node 1 as if it came from `from`, and says what became of it and whether foca stirred.
fn hand_over(net: &mut Net, from: NodeId, neighborhood: NeighborhoodId, created: Index, packet: Bytes) -> (Result<(), Junk>, bool) {
    let before = net.frames;
    let result = net.with(id(1), |membership, ctx| {
        membership.handle_message(from, Wire::Swim { neighborhood, created, packet }, &crate::fixture::birth(), ctx)
    });
    (result, net.frames != before)
}

fn ping_from(node: NodeId) -> Bytes {
    packet_from(node, Swim::Ping(1))
}

fn packet_from(node: NodeId, message: Swim<Peer>) -> Bytes {
    let src = Peer::started(node, HOOD, CREATED, BootNonce(u64::MAX));
    let header = Header { src, src_incarnation: 0, dst: Peer::unheard(id(1), HOOD, CREATED), message };
    Packet { header, updates: Vec::new() }.encode_for_foca(CODEC).expect("it fits").into()
}

#[test]
fn foreign_frames_reach_no_foca() {
    let mut net = Net::new(4, 1);
    net.run(Duration::from_secs(1));
    assert_eq!(hand_over(&mut net, id(2), HOOD, CREATED, ping_from(id(2))), (Ok(()), true), "a genuine one is answered");
    let other = NeighborhoodId(7);
    let of_another = Junk::Invalid("a SWIM packet of another neighborhood");
    assert_eq!(hand_over(&mut net, id(3), other, CREATED, ping_from(id(3))), (Err(of_another.clone()), false));
    let unknown = "of an event that this node has not heard of: nothing is wrong with it";
    assert_eq!(hand_over(&mut net, id(3), HOOD, Index(99), ping_from(id(3))), (Ok(()), false), "{unknown}");
    assert_eq!(hand_over(&mut net, id(9), HOOD, CREATED, ping_from(id(9))), (Err(Junk::NotAMember), false));
    let borrowed = Junk::Invalid("a SWIM packet in another's name");
    assert_eq!(hand_over(&mut net, id(3), HOOD, CREATED, ping_from(id(4))), (Err(borrowed), false));
    let broken = Junk::Invalid("a SWIM packet that does not decode");
    assert_eq!(hand_over(&mut net, id(3), HOOD, CREATED, Bytes::new()), (Err(broken.clone()), false));
    assert_eq!(hand_over(&mut net, id(3), HOOD, CREATED, Bytes::from(vec![0; 4_096])), (Err(broken.clone()), false));
    let mut carrying = packet_from(id(3), Swim::Ping(1)).to_vec();
    carrying.extend(CARRIED);
    assert_eq!(hand_over(&mut net, id(3), HOOD, CREATED, carrying.into()), (Err(broken.clone()), false));
    assert_eq!(hand_over(&mut net, id(3), HOOD, CREATED, packet_from(id(3), Swim::Broadcast)), (Err(broken), false));
    net.with(id(1), |membership, _| membership.leave_all());
    let gone = Junk::Invalid("a SWIM packet of another neighborhood");
    assert_eq!(hand_over(&mut net, id(2), HOOD, CREATED, ping_from(id(2))), (Err(gone), false));
}

#[test]
fn nobody_is_whom_others_make_of_it() {
    let mut net = Net::new(24, 1);
    net.run(Duration::from_secs(60));
    let made_up = Peer { renewal: 1 << 30, ..Peer::started(id(5), HOOD, CREATED, BootNonce(u64::MAX)) };
    for state in [State::Alive, State::Suspect, State::Down] {
        let src = Peer::started(id(2), HOOD, CREATED, BootNonce(u64::MAX));
        let header = Header { src, src_incarnation: 0, dst: Peer::unheard(id(1), HOOD, CREATED), message: Swim::Gossip };
        let packet = Packet { header, updates: vec![Member::new(made_up, 0, state)] };
        hand_over(&mut net, id(2), HOOD, CREATED, packet.encode_for_foca(CODEC).expect("it fits").into()).0.expect("it decodes");
        net.run(Duration::from_secs(30));
    }
    for &at in &net.members {
        assert!(net.members.iter().all(|&of| of == at || net.node(at).membership.swim_standing(of).0), "{at} has lost somebody");
    }
    assert!(net.renewed() <= 2, "{} renewals: it went after an identity that it can not reach", net.renewed());
}

#[test]
fn evidence_goes_to_voters_in_an_order_that_all_agree_on() {
    let voters: Vec<NodeId> = (1..=5).map(id).collect();
    let reversed: Vec<NodeId> = voters.iter().rev().copied().collect();
    let mut first = BTreeSet::new();
    for suspect in (1..=48).map(id) {
        let ranked = rank(suspect, &voters);
        assert_eq!(ranked, rank(suspect, &reversed));
        assert!(!ranked.contains(&suspect), "a suspect is not told of itself");
        first.insert(ranked[0]);
        let fewer: Vec<NodeId> = voters.iter().copied().filter(|voter| *voter != ranked[0]).collect();
        assert_eq!(rank(suspect, &fewer), ranked[1..], "the others keep their order");
    }
    assert_eq!(first.len(), 5, "suspects spread over the voters");
    assert!(rank(id(1), &[]).is_empty());
}
