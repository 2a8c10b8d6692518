//! Access: tokens, enrollments and credentials.

use std::time::Duration;

use super::applied::Applied;
use crate::ids::{Digest256, PublicKey};
use crate::keys::Keys;
use crate::time::Timestamp;
use crate::wire::access::{
    AccessChange, Admits, Credential, CredentialId, Enrolled, Enrollment, Label, MAX_CREDENTIALS, MAX_ENROLLED, MAX_TOKENS,
    SignedEnrollment, Token,
};
use crate::wire::command::{Refusal, check_token};
use crate::wire::event::Event;
use crate::wire::member::MAX_ROLES;

/// Whether an enrollment is one that could be granted at all. It depends on nothing but the enrollment, so that a leader may refuse one
/// before it reaches the log.
///
/// # Errors
/// [`Refusal::Invalid`], [`Refusal::BadProof`]; the joiner is at fault.
pub(super) fn check(signed: &SignedEnrollment, keys: &dyn Keys) -> Result<(), Refusal> {
    let enrollment = &signed.enrollment;
    if !enrollment.wants.is_sound() {
        return invalid(format!("{} roles; {MAX_ROLES} is the most", enrollment.wants.roles.len()));
    }
    if !keys.verify(&enrollment.token, &enrollment.digest(), &signed.proof) {
        return Err(Refusal::BadProof);
    }
    Ok(())
}

fn enrolled(wish: &Enrollment) -> Enrolled {
    Enrolled { name: wish.name.clone(), admits: wish.wants.clone(), token: Some(wish.token) }
}

fn invalid<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal::Invalid { why })
}

impl Applied {
    pub(super) fn token_create(
        &mut self,
        id: PublicKey,
        label: &Label,
        admits: &Admits,
        ttl: Duration,
        uses: u32,
    ) -> Result<Option<Event>, Refusal> {
        let now = self.registry.time;
        let tokens = &self.registry.gate.tokens;
        match tokens.get(&id) {
            Some(known) if known.label == *label && known.admits == *admits => return Ok(None),
            Some(_) => return invalid("a token of this key is there already; make a new one".into()),
            None => {}
        }
        check_token(admits, ttl, uses)?;
        if tokens.values().filter(|token| token.expires > now).count() >= MAX_TOKENS {
            return invalid(format!("there are {MAX_TOKENS} join tokens; that is the most; revoke some"));
        }
        let ttl_ms = u64::try_from(ttl.as_millis()).expect("at most a year");
        let expires = Timestamp(now.0.saturating_add(ttl_ms));
        let gate = &mut self.registry.gate;
        gate.sweep(now);
        gate.tokens.insert(id, Token { label: label.clone(), admits: admits.clone(), expires, uses });
        Ok(None)
    }

    pub(super) fn token_revoke(&mut self, id: PublicKey) -> Result<Option<Event>, Refusal> {
        let gate = &mut self.registry.gate;
        if gate.tokens.remove(&id).is_none() {
            return Err(Refusal::NoSuchToken);
        }
        gate.sweep(self.registry.time);
        Ok(None)
    }

    /// The order of the checks is part of the protocol: a revoked key gets nothing; who is enrolled by this very token needs it no more.
    pub(super) fn enroll(&mut self, signed: &SignedEnrollment, keys: &dyn Keys) -> Result<Option<Event>, Refusal> {
        check(signed, keys)?;
        let wish = &signed.enrollment;
        let Some(token) = self.lets_enroll(wish)? else { return Ok(None) };
        let known = self.registry.gate.roll.get(&wish.key);
        let costs = self.costs(wish);
        if let Some(role) = token.admits.lacks(wish.wants.roles.iter()) {
            return Err(Refusal::RoleNotAdmitted { role });
        }
        if wish.wants.voter && !token.admits.voter {
            return Err(Refusal::VoterNotAdmitted);
        }
        let owner = self.registry.gate.roll.owner(&wish.name).or_else(|| self.facts.named(&wish.name).map(|member| member.key));
        if let Some(owner) = owner.filter(|owner| *owner != wish.key) {
            return Err(Refusal::NameInUse { name: wish.name.clone(), owner });
        }
        if known.is_none() && self.registry.gate.roll.len() >= MAX_ENROLLED {
            return invalid(format!("{MAX_ENROLLED} keys are enrolled; that is the most; put some out"));
        }
        let mut token = token.clone();
        token.uses -= u32::from(costs);
        let gate = &mut self.registry.gate;
        gate.tokens.insert(wish.token, token);
        gate.roll.insert(wish.key, enrolled(wish));
        gate.sweep(self.registry.time);
        Ok(None)
    }

    /// The token that lets a key in. `None` where it was let in by it already.
    pub(super) fn lets_enroll(&self, wish: &Enrollment) -> Result<Option<&Token>, Refusal> {
        if wish.cluster != self.facts.cluster() {
            return Err(Refusal::BadProof);
        }
        if self.registry.revoked.contains(&wish.key) {
            return Err(Refusal::Revoked);
        }
        if self.registry.gate.roll.get(&wish.key) == Some(&enrolled(wish)) {
            return Ok(None);
        }
        let token = self.registry.gate.tokens.get(&wish.token).ok_or(Refusal::NoSuchToken)?;
        if token.expires <= self.registry.time {
            return Err(Refusal::TokenExpired);
        }
        if self.costs(wish) && token.uses == 0 { Err(Refusal::TokenUsedUp) } else { Ok(Some(token)) }
    }

    /// Whether it takes one of the token's uses: not where the key was let in by that token, and wishes for something else.
    fn costs(&self, wish: &Enrollment) -> bool {
        self.registry.gate.roll.get(&wish.key).is_none_or(|known| known.token != Some(wish.token))
    }

    pub(super) fn enrollment_revoke(&mut self, key: PublicKey) -> Result<Option<Event>, Refusal> {
        if let Some(member) = self.facts.with_key(&key) {
            return Err(Refusal::StillMember { node: member.node });
        }
        if self.registry.gate.roll.get(&key).is_some() {
            self.revoke(key)?;
            self.registry.gate.roll.remove(&key);
        }
        Ok(None)
    }

    pub(super) fn credential_create(&self, id: CredentialId, credential: &Credential) -> Result<Option<Event>, Refusal> {
        let known = self.facts.credentials();
        match known.get(&id) {
            Some(known) if known == credential => return Ok(None),
            Some(_) => return invalid(format!("there is another credential {id}; draw a new one")),
            None => {}
        }
        if credential.hash == Digest256::default() || self.facts.credential_of(&credential.hash).is_some() {
            return invalid("a credential of this secret is there already, or it is none; draw a new one".into());
        }
        if known.len() >= MAX_CREDENTIALS {
            return invalid(format!("there are {MAX_CREDENTIALS} credentials; that is the most; revoke some"));
        }
        Ok(Some(Event::Access(AccessChange::CredentialCreated { id, credential: credential.clone() })))
    }

    pub(super) fn credential_revoke(&self, id: CredentialId) -> Result<Option<Event>, Refusal> {
        if !self.facts.credentials().contains_key(&id) {
            return Err(Refusal::NoSuchCredential { id });
        }
        Ok(Some(Event::Access(AccessChange::CredentialRevoked { id })))
    }
}
