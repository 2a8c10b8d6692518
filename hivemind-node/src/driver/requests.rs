//! What the owner of a node asks of its machine, and who waits for the answer.

use std::collections::HashMap;
use std::net::SocketAddr;

use hivemind_core::ids::{NodeId, NodeName, Position, PublicKey, RequestId, Seq};
use hivemind_core::machine::{Input, Machine, PublishError, Reply};
use hivemind_core::wire::access::{Admitted, KnownToken};
use hivemind_core::wire::command::{Command, Outcome, VoterWish};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::LogEvent;
use tokio::sync::oneshot;

/// The most requests that wait for an answer; then no more are taken from the queue.
pub(super) const MAX_PENDING: usize = 4096;

/// A request, and where its answer goes. The asker may have gone: then nobody is told.
#[derive(Debug)]
pub(crate) enum Request {
    Publish {
        sections: Vec<Section>,
        answer: oneshot::Sender<Result<Seq, PublishError>>,
    },
    Propose {
        command: Command,
        answer: oneshot::Sender<Outcome>,
    },
    /// `None` where the control plane could not say.
    Read {
        answer: oneshot::Sender<Option<Position>>,
    },
    /// Where members may listen, from now on. Nobody waits for an answer.
    Seeds(Vec<SocketAddr>),
    Look(Look),
}

/// A question that the machine answers without anything happening to it. The asker may have gone: then nobody is told.
#[derive(Debug)]
pub(crate) enum Look {
    /// `None` from one that is no voter.
    Tokens { answer: oneshot::Sender<Option<Vec<KnownToken>>> },
    /// `None` from one that is no voter.
    Admitted { answer: oneshot::Sender<Option<Vec<Admitted>>> },
    /// `None` from one that is no voter.
    VoterWishes { answer: oneshot::Sender<Option<Vec<(NodeId, VoterWish)>>> },
    /// The last events that are kept.
    History { answer: oneshot::Sender<Vec<LogEvent>> },
    /// Under which name a key is admitted.
    AdmittedName { key: PublicKey, answer: oneshot::Sender<Option<NodeName>> },
}

impl Look {
    pub(super) fn answer(self, machine: &Machine) {
        match self {
            Look::Tokens { answer } => drop(answer.send(machine.tokens())),
            Look::Admitted { answer } => drop(answer.send(machine.known_admitted())),
            Look::VoterWishes { answer } => drop(answer.send(machine.voter_wishes())),
            Look::History { answer } => drop(answer.send(machine.history())),
            Look::AdmittedName { key, answer } => drop(answer.send(machine.admitted_name(&key))),
        }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Taken {
    /// The machine takes it as an input, and answers in its time.
    Input(Input),
    /// The machine answers it as it is.
    Look(Look),
}

#[derive(Debug)]
enum Waiting {
    Publish(oneshot::Sender<Result<Seq, PublishError>>),
    Propose(oneshot::Sender<Outcome>),
    Read(oneshot::Sender<Option<Position>>),
}

/// The requests without an answer yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    next: u64,
    waiting: HashMap<RequestId, Waiting>,
}

impl Pending {
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_PENDING
    }

    /// Names a request, and keeps who waits for it.
    pub(super) fn take(&mut self, request: Request) -> Taken {
        let id = RequestId(self.next);
        self.next += 1;
        let (input, waiting) = match request {
            Request::Publish { sections, answer } => (Input::Publish { request: id, sections }, Waiting::Publish(answer)),
            Request::Propose { command, answer } => (Input::Propose { request: id, command }, Waiting::Propose(answer)),
            Request::Read { answer } => (Input::Read { request: id }, Waiting::Read(answer)),
            Request::Seeds(addresses) => return Taken::Input(Input::Seeds { addresses }),
            Request::Look(look) => return Taken::Look(look),
        };
        self.waiting.insert(id, waiting);
        Taken::Input(input)
    }

    /// Hands an answer over. Whoever gave up waiting is not told.
    pub(super) fn answer(&mut self, request: RequestId, reply: Reply) {
        let Some(waiting) = self.waiting.remove(&request) else {
            debug_assert!(false, "the machine answered a request twice: {reply:?}");
            return;
        };
        match (waiting, reply) {
            (Waiting::Publish(answer), Reply::Published { seq }) => drop(answer.send(Ok(seq))),
            (Waiting::Publish(answer), Reply::NotPublished(error)) => drop(answer.send(Err(error))),
            (Waiting::Propose(answer), Reply::Proposed(outcome)) => drop(answer.send(outcome)),
            (Waiting::Read(answer), Reply::Readable { position }) => drop(answer.send(Some(position))),
            (Waiting::Read(answer), Reply::NotReadable) => drop(answer.send(None)),
            (waiting @ (Waiting::Publish(_) | Waiting::Propose(_) | Waiting::Read(_)), reply) => {
                debug_assert!(false, "the machine answered {waiting:?} with {reply:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_asker_and_one_that_gave_up_is_forgotten() {
        let mut pending = Pending::default();
        let (answer, mut asker) = oneshot::channel();
        let Taken::Input(Input::Read { request }) = pending.take(Request::Read { answer }) else { panic!("not a read") };
        let (answer, gone) = oneshot::channel();
        let Taken::Input(Input::Propose { request: other, .. }) =
            pending.take(Request::Propose { command: Command::Restarted { node: hivemind_core::ids::NodeId::NONE }, answer })
        else {
            panic!("not a proposal")
        };
        drop(gone);
        pending.answer(other, Reply::Proposed(Outcome::OutcomeUnknown));
        pending.answer(request, Reply::NotReadable);
        assert_eq!(asker.try_recv(), Ok(None));
        assert!(pending.waiting.is_empty());
    }
}
