//! S6: a node that knows an epoch accepts nothing but resync from a sender below its floor or of another tag.

use hivemind_core::facts::Facts;
use hivemind_core::machine::Effect;
use hivemind_core::wire::frame::Header;

use super::{At, Invariant, Violation};
use crate::sim::traffic::Kind;

/// What a frame did to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing that lasts: it was dropped, or answered.
    Nothing,
    /// It changed what the receiver knows, wants or keeps.
    Accepted,
}

impl Consequence {
    /// Of the effects that followed.
    pub fn of(effects: &[Effect]) -> Self {
        let lasts = |effect: &Effect| match effect {
            // How far the view can be trusted may change with any sign of life; what it says may not.
            Effect::View { changed, .. } => changed.everything || !changed.members.is_empty() || !changed.configs.is_empty(),
            Effect::Store { .. } | Effect::Applied { .. } | Effect::Desired { .. } => true,
            Effect::Send { .. } | Effect::Reply { .. } | Effect::Report(_) | Effect::Halt(_) => false,
        };
        if effects.iter().any(lasts) { Consequence::Accepted } else { Consequence::Nothing }
    }
}

/// The checker of S6.
#[derive(Debug, Default)]
pub struct Fence {
    judged: u64,
}

impl Fence {
    /// Whether a frame of this sender must not be accepted by one who knows `facts`.
    pub fn forbids(&self, facts: &Facts, sender: &Header, kind: Kind) -> bool {
        if sender.cluster.is_none() || kind.may_be_from_elsewhere() {
            return false;
        }
        let own = facts.epoch();
        let other_history =
            sender.cluster != Some(facts.cluster()) || sender.epoch.generation != own.generation || sender.epoch.tag != own.tag;
        other_history || (sender.epoch.number < own.number && sender.index.next() < facts.floor())
    }

    /// How many forbidden frames came.
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// A frame that [is forbidden](Self::forbids) was handled.
    ///
    /// # Errors
    /// S6, where it was accepted all the same.
    pub fn received(&mut self, at: At<'_>, facts: &Facts, sender: &Header, kind: Kind, consequence: Consequence) -> Result<(), Violation> {
        self.judged += 1;
        match consequence {
            Consequence::Nothing => Ok(()),
            Consequence::Accepted => {
                let what = format!(
                    "accepted {kind} from {}, which is at {}-{}, while it is at {} with floor {}",
                    sender.from,
                    sender.epoch,
                    sender.index,
                    facts.position(),
                    facts.floor()
                );
                Err(at.violates(Invariant::S6, what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{BootNonce, Index, NodeId, Ticket};
    use hivemind_core::wire::event::{Event, LogEvent};
    use hivemind_core::wire::frame::{Beat, Frame};
    use hivemind_core::wire::message::{Configs, Events, Message};

    use super::super::fabricated::{at, history, name};
    use super::*;
    use crate::sim::traffic::peek;

    /// A history of three events whose fourth collects the first two.
    fn collected() -> Facts {
        let mut facts = history(4).last().expect("begun").facts.clone();
        facts.apply(&LogEvent::new(Index(4), &Event::EpochAdvanced { number: 1, floor: Index(3) })).expect("a good event");
        facts
    }

    fn from(index: u64, number: u32, tag: u64) -> Header {
        let facts = collected();
        let epoch = hivemind_core::ids::Epoch { number, tag, ..facts.epoch() };
        let beat = Beat::default();
        Header { cluster: Some(facts.cluster()), epoch, from: NodeId::new(1, 2), boot: BootNonce(1), index: Index(index), chain: 0, beat }
    }

    fn kind(message: Message) -> Kind {
        peek(&Frame { header: from(1, 0, 9), message }.encode()).expect("our own frame").1
    }

    #[test]
    fn a_config_accepted_from_below_the_floor_or_of_another_tag_is_caught() {
        let (mut fence, facts, node) = (Fence::default(), collected(), name("dns1"));
        let ask = kind(Message::Configs(Configs::SeqAsk));
        for sender in [from(1, 0, 9), from(4, 1, 8)] {
            assert!(fence.forbids(&facts, &sender, ask));
            let stored = Consequence::of(&[Effect::Store { ticket: Ticket(1), writes: Vec::new() }]);
            assert_eq!(fence.received(at(&node), &facts, &sender, ask, stored).expect_err("accepted").invariant, Invariant::S6);
            fence.received(at(&node), &facts, &sender, ask, Consequence::of(&[])).expect("dropped");
        }
    }

    #[test]
    fn who_is_at_the_floor_or_asks_for_a_resync_is_heard() {
        let (fence, facts) = (Fence::default(), collected());
        assert!(!fence.forbids(&facts, &from(2, 0, 9), kind(Message::Configs(Configs::SeqAsk))));
        assert!(!fence.forbids(&facts, &from(1, 0, 9), kind(Message::Events(Events::Resync))));
    }
}
