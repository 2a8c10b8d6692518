//! What an operator does in the midst of chaos: adds and takes away voters, has leadership handed over, gives and takes credentials and
//! tokens, and lets one authority follow another. The operator draws from a stream of its own, so that everything else is drawn as without it.

use std::time::Duration;

use hivemind_core::ids::{Digest256, NodeId, PublicKey};
use hivemind_core::rng::Rng;
use hivemind_core::wire::access::{Admits, Credential, CredentialId, Label, Right};
use hivemind_core::wire::command::Command;
use hivemind_core::wire::trust::{CertificateBytes, Successor};

use super::super::checkers::Violation;
use super::super::node::{Part, SimNode};
use super::Run;

/// The operator acts after one in so many of the things that happen.
const SELDOM: u64 = 12;

impl Run<'_> {
    /// The operator comes.
    pub(super) fn employ(&mut self) {
        self.chaos.operator = Some(Rng::new(self.options.seed ^ 0x0BE2_A702));
    }

    /// Now and then: one voter, or one that could be, is asked for something about itself or another one.
    pub(super) fn operate(&mut self) -> Result<(), Violation> {
        let voters = self.slots(may_vote);
        let Some(rng) = self.chaos.operator.as_mut().filter(|_| !voters.is_empty()) else { return Ok(()) };
        if rng.below(SELDOM) > 0 {
            return Ok(());
        }
        let mut pick = || voters[rng.below(voters.len() as u64) as usize];
        let (by, about) = (pick(), pick());
        let (what, drawn) = (rng.below(10), rng.next());
        let Some(node) = self.world.node(about).id() else { return Ok(()) };
        let command = match what {
            0 | 1 => Command::VoterRemove { node },
            2 => Command::VoterAdd { node },
            3 => Command::Lead { heir: Some(node) },
            4 => Command::Lead { heir: None },
            5 => access(drawn, self.world.node(by)),
            _ => follow(drawn, node, self.world.node(by)),
        };
        self.world.propose(by, command).map(drop)
    }
}

/// A token or credential is made, or a credential revoked that the asked one knows.
fn access(drawn: u64, asked: &SimNode) -> Command {
    let known = asked.view().and_then(|view| view.facts.credentials().keys().next().copied());
    let hash = Digest256(bytes_of(drawn));
    match (drawn % 3, known) {
        (0, Some(id)) => Command::CredentialRevoke { id },
        (0 | 1, _) => {
            let credential = Credential { label: label(), hash, right: Right::Read };
            Command::CredentialCreate { id: CredentialId(drawn), credential }
        }
        _ => {
            let (id, admits) = (PublicKey(hash.0), Admits::default());
            Command::TokenCreate { id, label: label(), admits, ttl: Duration::from_secs(60), uses: 1 }
        }
    }
}

fn label() -> Label {
    Label::new("chaos").expect("a short text")
}

/// The next step by which an authority's key comes to a voter, or one authority follows another, as far as the asked one knows.
fn follow(drawn: u64, holder: NodeId, asked: &SimNode) -> Command {
    let trust = asked.view().map(|view| view.facts.trust().clone()).unwrap_or_default();
    let certificate = |number: u64| CertificateBytes::new(&bytes_of(number)).expect("32 bytes");
    let present = trust.current().cloned().unwrap_or_else(|| certificate(0));
    let says = |held: &CertificateBytes| Command::AuthorityHeld { node: holder, authority: held.digest() };
    match (trust.former(), trust.next()) {
        (Some(_), _) => Command::AuthorityRetire { early: true },
        (None, Some(next)) => says(&next.certificate),
        (None, None) if trust.held_by(holder) != Some(present.digest()) => says(&present),
        (None, None) => Command::AuthorityNext { present, next: Successor { certificate: certificate(drawn), bridge: certificate(1) } },
    }
}

fn bytes_of(number: u64) -> [u8; 32] {
    std::array::from_fn(|at| number.to_be_bytes()[at % 8])
}

fn may_vote(node: &SimNode) -> bool {
    node.process.is_some() && node.part == Part::Voter
}
