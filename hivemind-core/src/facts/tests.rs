//! A slice must be what it would be if it were cut anew from everything, whatever happened on the way.

use super::{Facts, LISTED, LiveSet, NeighborhoodLimits, Scope};
use crate::control::Committer;
use crate::fixture::{birth, id, joined, kind, member};
use crate::ids::NodeId;
use crate::rng::Rng;
use crate::wire::access::{AccessChange, Credential, CredentialId, Label, Right};
use crate::wire::codec;
use crate::wire::event::{Event, LeaveReason, LogEvent, VoterPart};
use crate::wire::trust::{AuthorityChange, CertificateBytes, Successor};

/// Follows one log as everybody does: all of it, and the slice of every member.
struct Followers {
    all: Committer,
    slices: Vec<Facts>,
}

impl Followers {
    fn new(limits: NeighborhoodLimits) -> Self {
        Followers { all: Committer::new(limits, member(1, false, 0)), slices: Vec::new() }
    }

    fn commit(&mut self, event: Event) -> Vec<LogEvent> {
        let logged = self.all.commit(event);
        for event in &logged {
            for slice in &mut self.slices {
                slice.apply(event).expect("what folds into everything folds into a slice");
            }
        }
        let everything = self.all.facts();
        self.slices.retain(|slice| matches!(slice.scope(), Scope::Slice(of) if everything.is_member(of)));
        logged
    }

    fn follow(&mut self, node: NodeId) {
        self.slices.push(self.all.facts().slice_for(node).expect("a member has a slice"));
    }

    fn check(&self) {
        let all = self.all.facts();
        let housed: LiveSet = all.neighborhoods().values().flat_map(|hood| hood.members.iter().copied()).collect();
        assert_eq!(&housed, all.live());
        for slice in &self.slices {
            let Scope::Slice(of) = slice.scope() else { panic!("a slice of everything") };
            assert_eq!(Some(slice), all.slice_for(of).as_ref(), "the slice of {of}");
            let neighbor = *slice.neighborhoods().values().next().and_then(|hood| hood.members.iter().next()).expect("a neighbor");
            assert_eq!(slice.slice_for(neighbor), all.slice_for(neighbor), "a neighbor can serve what everybody could");
        }
    }
}

fn credential(rng: &mut Rng) -> Credential {
    let hash = crate::keys::hash(&[&rng.next().to_be_bytes()]);
    Credential { label: Label::new("ci").expect("a short one"), hash, right: Right::Read }
}

/// Something that may be said of authorities now.
fn authority_change(followers: &Followers, node: NodeId, rng: &mut Rng) -> AuthorityChange {
    let certificate = |number: u64| CertificateBytes::new(&number.to_be_bytes()).expect("short");
    let (facts, trust) = (followers.all.facts(), followers.all.facts().trust());
    let present = trust.current().cloned().unwrap_or_else(|| certificate(0));
    match (trust.former(), trust.next()) {
        (Some(_), _) => AuthorityChange::Retired,
        (None, Some(next)) => {
            let voter = if facts.voters().contains_key(&node) { node } else { id(1) };
            AuthorityChange::Held { node: voter, authority: next.certificate.digest() }
        }
        (None, None) => {
            let next = Successor { certificate: certificate(rng.next()), bridge: certificate(1) };
            AuthorityChange::Announced { present, next }
        }
    }
}

/// A random step among members 2 to 400, every fifth a consumer.
fn step(followers: &mut Followers, next: &mut u64, rng: &mut Rng) {
    let live: Vec<NodeId> = followers.all.facts().live().iter().filter(|node| *node != id(1)).collect();
    let chosen = rng.sample(&live, 1).pop();
    let grows = live.len() < 20 || (live.len() < 150 && !rng.next().is_multiple_of(3));
    match (rng.next() % 8, chosen) {
        (0, Some(node)) if followers.all.facts().voters().len() < 5 => {
            let member = followers.all.facts().member(node).expect("a member").as_ref().clone();
            let part = if followers.all.facts().voters().contains_key(&node) { VoterPart::None } else { VoterPart::Learner };
            followers.commit(Event::Voter { member, part });
        }
        (1, Some(node)) => {
            followers.commit(Event::Addresses { node, seq: *next, addresses: vec!["127.0.0.1:1".parse().expect("an address")] });
        }
        (3, Some(node)) if rng.next().is_multiple_of(2) => {
            followers.commit(Event::Authority(authority_change(followers, node, rng)));
        }
        (3, _) => {
            let known = followers.all.facts().credentials().keys().next().copied();
            let change = match known {
                Some(id) if followers.all.facts().credentials().len() > 5 => AccessChange::CredentialRevoked { id },
                _ => AccessChange::CredentialCreated { id: CredentialId(rng.next()), credential: credential(rng) },
            };
            followers.commit(Event::Access(change));
        }
        (2, Some(node)) => {
            followers.commit(Event::Restarting { node, until: Default::default() });
        }
        (_, Some(node)) if !grows => {
            let listed = followers.all.facts().successors_in_lists(node);
            followers.commit(Event::Left { node, reason: LeaveReason::Asked, listed });
        }
        _ => {
            let counter = *next;
            *next += 1;
            followers.commit(joined(counter, counter.is_multiple_of(5), 0));
            followers.follow(id(counter));
        }
    }
}

#[test]
fn a_slice_that_followed_the_log_is_the_slice_cut_anew() {
    for (seed, limits) in [NeighborhoodLimits { most: 8, least: 2 }, NeighborhoodLimits::default()].into_iter().enumerate() {
        let (mut followers, mut next, mut rng) = (Followers::new(limits), 2, Rng::new(seed as u64));
        let (mut splits, mut merges, mut largest) = (0, 0, 0);
        for round in 0..1_500 {
            let before = followers.all.facts().neighborhoods().len();
            // It shrinks in the second half.
            let oldest = followers.all.facts().live().iter().find(|node| *node != id(1));
            if round > 900
                && let Some(node) = oldest
            {
                let listed = followers.all.facts().successors_in_lists(node);
                followers.commit(Event::Left { node, reason: LeaveReason::Asked, listed });
            }
            step(&mut followers, &mut next, &mut rng);
            let hoods = followers.all.facts().neighborhoods();
            splits += usize::from(hoods.len() > before);
            merges += usize::from(hoods.len() < before);
            largest = largest.max(hoods.values().map(|hood| hood.members.len()).max().unwrap_or(0));
            if round % 20 == 0 {
                followers.check();
            }
        }
        followers.check();
        assert!(splits > 2 && merges > 0, "{splits} splits, {merges} merges with {limits:?}");
        assert!(largest <= usize::from(limits.most), "a neighborhood of {largest}");
    }
}

#[test]
fn the_49th_member_halves_the_neighborhood_and_is_put_into_the_smaller_half() {
    let mut followers = Followers::new(NeighborhoodLimits::default());
    for counter in 2..=48 {
        assert_eq!(followers.commit(joined(counter, false, 0)).len(), 1);
    }
    assert_eq!(followers.all.facts().neighborhood_count(), 1, "below the limit a cluster is one neighborhood");
    let logged = followers.commit(joined(49, false, 0));
    assert!(matches!(logged[0].event(), Ok(Event::Split { ref moved, .. }) if moved.len() == 24));
    let Ok(Event::Joined { member, .. }) = logged[1].event() else { panic!("{:?}", logged[1].event()) };
    assert_eq!(member.joined, logged[1].index, "the record names its own event");
    let sizes: Vec<usize> = followers.all.facts().neighborhoods().values().map(|hood| hood.members.len()).collect();
    assert_eq!(sizes, [25, 24]);
}

#[test]
fn a_listed_consumer_that_leaves_is_replaced_in_every_slice() {
    let mut followers = Followers::new(NeighborhoodLimits { most: 8, least: 2 });
    for counter in 2..=60 {
        followers.commit(joined(counter, counter > 40, 0));
        followers.follow(id(counter));
    }
    let listed = |facts: &Facts| facts.listed(&kind("host")).collect::<Vec<_>>();
    assert_eq!(listed(followers.all.facts()), (41..41 + LISTED as u64).map(id).collect::<Vec<_>>());
    let successors = followers.all.facts().successors_in_lists(id(42));
    followers.commit(Event::Left { node: id(42), reason: LeaveReason::Evicted, listed: successors });
    for slice in &followers.slices {
        assert_eq!(listed(slice).len(), LISTED);
        assert!(listed(slice).iter().all(|&node| slice.member(node).is_some()), "their records are at hand");
    }
    followers.check();
}

#[test]
fn what_contradicts_the_members_is_refused_in_a_slice_as_in_everything() {
    let mut followers = Followers::new(NeighborhoodLimits { most: 8, least: 2 });
    for counter in 2..=30 {
        followers.commit(joined(counter, false, 0));
    }
    let slice = followers.all.facts().slice_for(id(9)).expect("a slice");
    for mut facts in [slice, followers.all.facts().clone()] {
        let index = facts.position().index.next();
        let before = facts.clone();
        for event in [
            joined(12, false, 0),
            Event::Left { node: id(77), reason: LeaveReason::Asked, listed: vec![] },
            Event::Voter { member: member(77, false, 0), part: VoterPart::Voter },
        ] {
            assert!(facts.apply(&LogEvent::new(index, &event)).is_err(), "{event:?}");
        }
        assert_eq!(facts, before);
    }
}

#[test]
fn everything_and_a_slice_come_back_as_they_were_and_a_record_too_many_is_refused() {
    let mut followers = Followers::new(NeighborhoodLimits { most: 8, least: 2 });
    for counter in 2..=30 {
        followers.commit(joined(counter, counter > 25, 0));
    }
    let slice = followers.all.facts().slice_for(id(9)).expect("a slice");
    for facts in [&slice, followers.all.facts(), &birth()] {
        assert_eq!(codec::decode::<Facts, 65_536>(&codec::encode(facts)).as_ref(), Ok(facts));
    }
    let stranger = followers.all.facts().members().values().find(|member| slice.member(member.node).is_none()).expect("out of scope");
    let mut swollen = slice.clone();
    swollen.record(stranger.as_ref().clone()).expect("its name is free");
    assert!(codec::decode::<Facts, 65_536>(&codec::encode(&swollen)).is_err());
}
