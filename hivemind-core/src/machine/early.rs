//! A newcomer's word may be faster than the event of its join. What it asks waits for that event in a bounded room:
//! dropped, it would be said again only after a time-out, and a newcomer's first second is made of such questions.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Machine, Phase};
use crate::configs::BUCKETS;
use crate::context::Junk;
use crate::ids::PublicKey;
use crate::time::Time;
use crate::wire::frame::Frame;
use crate::wire::message::{Configs, Control, Events, Message};

/// So many frames wait; the one that came first is dropped first.
const WAITING: usize = 64;
/// So many of one key: nobody fills the room alone.
const WAITING_OF_ONE: usize = 4;
/// After this, whoever asked has asked again.
const PATIENCE: Duration = Duration::from_secs(1);

struct Early {
    peer: PublicKey,
    source: SocketAddr,
    frame: Frame,
    since: Time,
}

/// Frames of those whose join is not known here yet.
#[derive(Default)]
pub(super) struct EarlyFrames(VecDeque<Early>);

impl EarlyFrames {
    fn keep(&mut self, early: Early) {
        if self.0.iter().filter(|other| other.peer == early.peer).count() >= WAITING_OF_ONE {
            return;
        }
        if self.0.len() == WAITING {
            self.0.pop_front();
        }
        self.0.push_back(early);
    }

    fn take(&mut self, key: &PublicKey) -> Vec<Early> {
        let (theirs, others) = std::mem::take(&mut self.0).into_iter().partition(|early| early.peer == *key);
        self.0 = others;
        Vec::from_iter::<VecDeque<Early>>(theirs)
    }
}

impl Machine {
    /// A frame of one whose join this node has not heard of yet. A config is kept by the store, unproven; questions of a few
    /// bytes wait here; all else is said again anyway.
    pub(super) fn admit_early(&mut self, peer: PublicKey, source: SocketAddr, frame: Frame) -> Result<(), Junk> {
        let from = frame.header.from;
        match &frame.message {
            Message::Configs(Configs::Offer { entry, .. }) if entry.member == from && self.phase == Phase::Member => {
                return self.dispatch(from, frame.message);
            }
            Message::Configs(Configs::Compare { buckets, .. }) if buckets.len() > BUCKETS => {}
            Message::Configs(Configs::Compare { .. } | Configs::SeqAsk)
            | Message::Events(Events::Pull { .. })
            | Message::Control(Control::ReadIndex { .. }) => {
                self.early.keep(Early { peer, source, frame, since: self.now.time });
            }
            Message::Admission(_) | Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_) => {}
        }
        Ok(())
    }

    /// The event of a join went by: what its key has asked meanwhile is answered.
    pub(super) fn hear_early(&mut self, key: &PublicKey) {
        for Early { peer, source, frame, since } in self.early.take(key) {
            if self.now.time.since(since) <= PATIENCE
                && let Err(why) = self.admit(peer, source, frame)
            {
                self.drop_junk(peer, why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BootNonce, Epoch, Index, NodeId};
    use crate::wire::frame::{Beat, Header};

    fn early(key: u8, index: u64) -> Early {
        let header = Header {
            cluster: None,
            epoch: Epoch { generation: 0, number: 0, tag: 0 },
            from: NodeId::NONE,
            boot: BootNonce(0),
            index: Index(index),
            chain: 0,
            beat: Beat::default(),
        };
        let frame = Frame { header, message: Message::Configs(Configs::SeqAsk) };
        Early { peer: PublicKey([key; 32]), source: SocketAddr::from(([127, 0, 0, 1], 1)), frame, since: Time::ZERO }
    }

    #[test]
    fn nobody_fills_the_room_alone() {
        let mut frames = EarlyFrames::default();
        for index in 0..10 {
            frames.keep(early(1, index));
        }
        assert_eq!(frames.take(&PublicKey([1; 32])).len(), WAITING_OF_ONE);
        assert!(frames.take(&PublicKey([1; 32])).is_empty(), "what was taken is gone");
    }

    #[test]
    fn the_room_is_bounded_and_the_latest_stay() {
        let mut frames = EarlyFrames::default();
        for key in 0..=u8::try_from(WAITING).expect("small") {
            frames.keep(early(key, 1));
        }
        assert_eq!(frames.0.len(), WAITING);
        assert!(frames.take(&PublicKey([0; 32])).is_empty(), "the first made room");
        assert_eq!(frames.take(&PublicKey([1; 32])).len(), 1);
    }
}
