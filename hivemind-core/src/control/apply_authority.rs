//! Which authorities are trusted: one follows another, and both are trusted in between.

use std::time::Duration;

use super::applied::Applied;
use crate::ids::{Digest256, NodeId};
use crate::wire::command::{AUTHORITY_OVERLAP, Refusal};
use crate::wire::event::Event;
use crate::wire::trust::{AuthorityChange, CertificateBytes, Successor};

impl Applied {
    /// Whether the certificates are what they should be is for the voter that proposes them to know: nobody here can read them.
    pub(super) fn authority_next(&self, present: &CertificateBytes, next: &Successor) -> Result<Option<Event>, Refusal> {
        let trust = self.facts.trust();
        if trust.next() == Some(next) {
            return Ok(None);
        }
        if trust.former().is_some() {
            return Err(Refusal::FormerTrusted);
        }
        if trust.current().is_some_and(|current| current != present) {
            return Err(Refusal::Outdated);
        }
        if next.certificate == *present {
            return Err(Refusal::Invalid { why: "an authority does not follow itself; make a new one".into() });
        }
        Ok(Some(Event::Authority(AuthorityChange::Announced { present: present.clone(), next: next.clone() })))
    }

    pub(super) fn authority_held(&self, node: NodeId, authority: Digest256) -> Result<Option<Event>, Refusal> {
        let trust = self.facts.trust();
        if !self.facts.voters().contains_key(&node) {
            return Err(Refusal::NotVoting { node });
        }
        if trust.held_by(node) == Some(authority) {
            return Ok(None);
        }
        let next = trust.next().map(|next| &next.certificate);
        let is_known = trust.present().is_none_or(|present| present.digest() == authority);
        if !is_known && next.is_none_or(|next| next.digest() != authority) {
            return Err(Refusal::Outdated);
        }
        Ok(Some(Event::Authority(AuthorityChange::Held { node, authority })))
    }

    pub(super) fn authority_retire(&self, early: bool) -> Result<Option<Event>, Refusal> {
        if self.facts.trust().former().is_none() {
            return Err(Refusal::NoFormer);
        }
        let passed = Duration::from_millis(self.registry.time.0.saturating_sub(self.registry.followed.0));
        match AUTHORITY_OVERLAP.checked_sub(passed) {
            Some(left) if !early && !left.is_zero() => Err(Refusal::Overlap { left }),
            Some(_) | None => Ok(Some(Event::Authority(AuthorityChange::Retired))),
        }
    }
}
