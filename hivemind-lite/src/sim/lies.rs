//! A member that lies: it does what a relay with a key of its own can do, and no more.
//!
//! It alters, invents, forks and replays events and forges configs. It signs with its own key only; what others signed it
//! can leave out, repeat, or spoil. What a node says of itself is not touched: about itself a member may say what it likes.

use std::collections::VecDeque;

use bytes::Bytes;
use hivemind_core::ids::{NodeId, Seq};
use hivemind_core::keys::Keys;
use hivemind_core::rng::Rng;
use hivemind_core::wire::config::{HeldConfig, SignedConfig};
use hivemind_core::wire::event::{Checkpoint, Event, LeaveReason, LogEvent};
use hivemind_core::wire::frame::{Channel, Frame, Header};
use hivemind_core::wire::message::{Configs, EventBatch, Events, Message};

use super::keys::SimKeys;

/// So many frames are kept to be replayed.
const KEPT: usize = 16;
/// One in so many frames that could carry a lie does not.
const TRUE_ONE_IN: u64 = 3;
/// One in so many headers claims another history.
const FORKED_ONE_IN: u64 = 16;

/// A member that lies.
#[derive(Clone, Debug)]
pub struct Liar {
    rng: Rng,
    sent: VecDeque<(Channel, Bytes)>,
}

/// What a liar sends instead of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// In order; over the channel of the frame.
    pub frames: Vec<Bytes>,
    /// How many of them are lies.
    pub lies: u64,
}

impl Liar {
    /// One that draws its lies from `rng`.
    pub fn new(rng: Rng) -> Self {
        Liar { rng, sent: VecDeque::new() }
    }

    /// What becomes of a true frame of the owner of `keys`.
    pub fn tell(&mut self, keys: &SimKeys, channel: Channel, bytes: Bytes) -> Told {
        let Ok(mut frame) = Frame::decode(&bytes, channel) else { return Told { frames: vec![bytes], lies: 0 } };
        let mut told = Told { frames: Vec::new(), lies: 0 };
        if let Some(again) = self.replayed(channel, &frame) {
            told.frames.push(again);
            told.lies += 1;
        }
        let lies = self.rng.below(TRUE_ONE_IN) > 0;
        let altered = lies && self.alter(keys, &frame.header.clone(), &mut frame.message);
        let forked = self.rng.below(FORKED_ONE_IN) == 0;
        if forked {
            frame.header.chain ^= 1;
        }
        if altered || forked {
            told.frames.push(frame.encode());
            told.lies += 1;
        } else {
            told.frames.push(bytes);
        }
        // A lie that grew too long would be our own mistake, and no lie.
        told.frames.retain(|frame| Frame::decode(frame, channel).is_ok());
        told
    }

    /// Events and configs that were sent before; this one is kept for later.
    fn replayed(&mut self, channel: Channel, frame: &Frame) -> Option<Bytes> {
        match frame.message {
            Message::Events(_) | Message::Configs(_) => {}
            Message::Admission(_) | Message::Membership(_) | Message::Control(_) => return None,
        }
        let fitting: Vec<Bytes> = self.sent.iter().filter(|(over, _)| *over == channel).map(|(_, bytes)| bytes.clone()).collect();
        if self.sent.len() == KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back((channel, frame.encode()));
        if self.rng.below(4) > 0 {
            return None;
        }
        self.rng.sample(&fitting, 1).pop()
    }

    fn alter(&mut self, keys: &SimKeys, header: &Header, message: &mut Message) -> bool {
        match message {
            Message::Events(Events::Push(batch) | Events::Range(batch)) => self.alter_events(keys, header, batch),
            Message::Configs(Configs::Offer { entry, root: _ }) => self.forge(keys, header.from, entry),
            Message::Configs(Configs::Batch { configs, .. }) => {
                let which = self.rng.below(configs.len() as u64) as usize;
                configs.get_mut(which).is_some_and(|held| self.forge(keys, header.from, held))
            }
            Message::Events(
                Events::Announce
                | Events::AskAnother
                | Events::Pull { .. }
                | Events::Collected { .. }
                | Events::Resync
                | Events::Snapshot(_),
            )
            | Message::Configs(
                Configs::Advert { .. }
                | Configs::Stored { .. }
                | Configs::Compare { .. }
                | Configs::Alike { .. }
                | Configs::Busy
                | Configs::Differ { .. }
                | Configs::Versions { .. }
                | Configs::Want { .. }
                | Configs::SeqAsk,
            )
            | Message::Admission(_)
            | Message::Membership(_)
            | Message::Control(_) => false,
        }
    }

    fn alter_events(&mut self, keys: &SimKeys, header: &Header, batch: &mut EventBatch) -> bool {
        let victim = NodeId::new(1, 1 + self.rng.below(100));
        let lie = Event::Left { node: victim, reason: LeaveReason::Evicted, listed: Vec::new() };
        let Some(last) = batch.events.last().cloned() else { return false };
        match self.rng.below(3) {
            // Another event in the place of a true one, under the true checkpoint.
            0 => {
                let which = self.rng.below(batch.events.len() as u64) as usize;
                let index = batch.events[which].index;
                batch.events[which] = LogEvent::new(index, &lie);
            }
            // One more event, with a checkpoint of its own making.
            1 => {
                let invented = LogEvent::new(last.index.next(), &lie);
                let checkpoint = batch.checkpoints.last().map(|true_one| {
                    let chain = invented.chain_after(&true_one.chain);
                    self.forged(keys, header, Checkpoint { index: invented.index, chain, ..true_one.clone() })
                });
                batch.events.push(invented);
                batch.checkpoints.extend(checkpoint);
            }
            // Another history: the last event is another one, and the checkpoint agrees.
            _ => {
                let forked = LogEvent::new(last.index, &lie);
                if let Some(true_one) = batch.checkpoints.pop() {
                    let chain = forked.chain_after(&true_one.chain);
                    let checkpoint = self.forged(keys, header, Checkpoint { chain, ..true_one });
                    batch.checkpoints.push(checkpoint);
                }
                *batch.events.last_mut().expect("it is not empty") = forked;
            }
        }
        true
    }

    /// Signed with the liar's key, in a voter's name or its own.
    fn forged(&mut self, keys: &SimKeys, header: &Header, mut checkpoint: Checkpoint) -> Checkpoint {
        if self.rng.below(2) == 0 {
            checkpoint.voter = header.from;
        }
        checkpoint.signature = keys.sign(&checkpoint.signed_digest());
        checkpoint
    }

    /// Another's config, changed. Its own it may publish as it likes.
    fn forge(&mut self, keys: &SimKeys, own: NodeId, held: &mut HeldConfig) -> bool {
        if held.member == own {
            return false;
        }
        let mut config = held.config.config.clone();
        config.seq = Seq(config.seq.0 + self.rng.below(1000));
        config.sections.pop();
        held.config = match self.rng.below(3) {
            // Signed by whoever is at hand.
            0 => SignedConfig::new(config, keys),
            // Under the true signature of another content.
            1 => SignedConfig { config, signature: held.config.signature },
            // A config of its own, as if it were the other's.
            _ => {
                config.node = own;
                SignedConfig::new(config, keys)
            }
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{BootNonce, ClusterId, Digest256, Epoch, Index};
    use hivemind_core::wire::config::HostConfig;
    use hivemind_core::wire::frame::Beat;

    use super::*;

    fn header() -> Header {
        Header {
            cluster: Some(ClusterId(7)),
            epoch: Epoch { generation: 1, number: 1, tag: 9 },
            from: NodeId::new(1, 5),
            boot: BootNonce::new(1, 9),
            index: Index(7),
            chain: 5,
            beat: Beat { term: 1, count: 2 },
        }
    }

    fn frame(message: Message) -> Bytes {
        Frame { header: header(), message }.encode()
    }

    fn push() -> Bytes {
        let voter = SimKeys::new(1, 1);
        let event = LogEvent::new(Index(7), &Event::Restarted { node: NodeId::new(1, 3) });
        let (epoch, chain) = (header().epoch, event.chain_after(&Digest256::default()));
        let signature = voter.sign(&Checkpoint::digest(ClusterId(7), epoch, Index(7), &chain, NodeId::new(1, 1)));
        let checkpoint = Checkpoint { cluster: ClusterId(7), epoch, index: Index(7), chain, voter: NodeId::new(1, 1), signature };
        frame(Message::Events(Events::Push(EventBatch { events: vec![event], checkpoints: vec![checkpoint] })))
    }

    #[test]
    fn no_lie_about_events_carries_a_voters_signature_over_it() {
        let (keys, mut liar, mut lies) = (SimKeys::new(1, 5), Liar::new(Rng::new(3)), 0);
        let truth = Frame::decode(&push(), Channel::Ordered).expect("our own frame").message;
        for _ in 0..200 {
            let told = liar.tell(&keys, Channel::Ordered, push());
            lies += told.lies;
            for bytes in told.frames {
                let message = Frame::decode(&bytes, Channel::Ordered).expect("a lie is a frame").message;
                let Message::Events(Events::Push(batch)) = &message else { panic!("another kind: {message:?}") };
                let mut chain = Digest256::default();
                let mut proven = false;
                for event in &batch.events {
                    chain = event.chain_after(&chain);
                    proven = batch.checkpoints.iter().any(|checkpoint| {
                        checkpoint.chain == chain
                            && keys.verify(&SimKeys::new(1, 1).public(), &checkpoint.signed_digest(), &checkpoint.signature)
                    });
                }
                assert_eq!(proven, message == truth, "{message:?}");
            }
        }
        assert!(lies > 100, "{lies}");
    }

    #[test]
    fn no_forged_config_is_signed_by_the_host_that_it_speaks_of() {
        let (host, keys, mut liar) = (SimKeys::new(1, 3), SimKeys::new(1, 5), Liar::new(Rng::new(3)));
        let config = HostConfig { node: NodeId::new(1, 3), seq: Seq(4), sections: Vec::new() };
        let truth = HeldConfig { member: config.node, config: SignedConfig::new(config, &host) };
        let mut forged = 0;
        for _ in 0..200 {
            for bytes in
                liar.tell(&keys, Channel::Bulk, frame(Message::Configs(Configs::Offer { entry: truth.clone(), root: NodeId::NONE }))).frames
            {
                let message = Frame::decode(&bytes, Channel::Bulk).expect("a lie is a frame").message;
                let Message::Configs(Configs::Offer { entry: held, .. }) = message else { panic!("another kind") };
                assert_eq!(held.config.is_signed_by(&host.public(), &keys), held == truth);
                forged += u32::from(held != truth);
            }
        }
        assert!(forged > 50, "{forged}");
    }

    #[test]
    fn what_a_liar_says_of_other_things_is_true() {
        let (keys, mut liar) = (SimKeys::new(1, 5), Liar::new(Rng::new(3)));
        let truth = frame(Message::Events(Events::Resync));
        for _ in 0..50 {
            for bytes in liar.tell(&keys, Channel::Bulk, truth.clone()).frames {
                assert_eq!(Frame::decode(&bytes, Channel::Bulk).expect("a frame").message, Message::Events(Events::Resync));
            }
        }
    }
}
