//! Renewal: a node's certificate is replaced at half of its life, while its connections go on.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hivemind_core::facts::Trust;
use hivemind_core::ids::NodeName;
use hivemind_core::rng::Rng;
use hivemind_core::view::View;
use tokio::time::Instant;

use super::desk::voter_addresses;
use super::error::EnrollFailure;
use super::reached::{addresses, unnamed};
use super::safe::Safe;
use super::trust::{certificate, is_by, trusted};
use super::{again, save};
use crate::authority::{Authority, BACKDATED, Fingerprint, NodeIdentity, Validity};
use crate::node::NodeHandle;
use crate::seeds::{Seed, resolved};
use crate::transport::{Refused, Transport};

/// After a failure it is tried again after so long, doubled each time.
const RETRY: Duration = Duration::from_secs(2);
/// At most so long.
const RETRY_MOST: Duration = Duration::from_secs(600);

/// The clock is looked at this often: it may be set. So is whether nobody speaks with this node any more.
const LOOK: Duration = Duration::from_secs(5);
/// A node that has heard nobody for so long, and was refused since, may have missed that another authority took over.
const CUT_OFF: Duration = Duration::from_secs(5);
/// A clock that went so much differently from the other one was set.
const WAS_SET: Duration = BACKDATED;
/// So often a certificate is asked for again that lacks an address of its node. Another member may state the same one for good.
const TRIES: u32 = 3;
/// When another authority issues, the members ask for certificates of it within this, for each of them.
const PER_MEMBER: Duration = Duration::from_millis(20);
/// However short certificates live, they are not renewed more often.
const LEAST: Duration = Duration::from_millis(500);

/// Whether this machine's clock is behind the issue of its own certificate, as after a start in 1970. What is issued by such a
/// clock would long have expired for everybody else.
#[expect(clippy::disallowed_methods, reason = "a certificate has dates")]
pub(super) fn is_clock_behind(validity: Option<Validity>) -> bool {
    validity.is_some_and(|validity| SystemTime::now() < validity.from)
}

/// When to renew. After a renewal it goes by the clock that runs evenly: a wall clock that is off must not make it renew without
/// end. When the wall clock is set, dates mean something else, and it renews at once.
#[derive(Debug)]
struct Schedule {
    due: Instant,
    retry: Duration,
    /// What both clocks said when they were last compared.
    clocks: (Instant, SystemTime),
}

impl Schedule {
    /// A certificate that was found is renewed at its half life; at once, where the wall clock is before it or behind that.
    fn new(validity: Option<Validity>, now: Instant, wall: SystemTime) -> Self {
        let young = match validity {
            Some(validity) if wall >= validity.from => validity.half_life().duration_since(wall).unwrap_or_default(),
            Some(_) | None => Duration::ZERO,
        };
        Schedule { due: now + young, retry: RETRY, clocks: (now, wall) }
    }

    fn pause(&self, now: Instant) -> Duration {
        self.due.duration_since(now).min(LOOK)
    }

    fn is_due(&mut self, now: Instant, wall: SystemTime) -> bool {
        let (then, wall_then) = self.clocks;
        let expected = wall_then + now.duration_since(then);
        let off = wall.duration_since(expected).unwrap_or_else(|behind| behind.duration());
        if off >= WAS_SET {
            (self.due, self.clocks) = (now, (now, wall));
        }
        now >= self.due
    }

    fn renewed(&mut self, validity: Option<Validity>, now: Instant, wall: SystemTime) {
        let life = validity.map(|validity| validity.life()).unwrap_or_default();
        *self = Schedule { due: now + (life / 2).max(LEAST), retry: RETRY, clocks: (now, wall) };
    }

    fn failed(&mut self, now: Instant, rng: &mut Rng) {
        self.due = now + self.retry + rng.duration_below(self.retry);
        self.retry = (self.retry * 2).min(RETRY_MOST);
    }
}

/// Whether others refuse a node as none of their cluster, while it hears nobody: an authority followed that it does not know of.
#[derive(Debug)]
struct CutOff {
    refused: u64,
    /// It is not believed again before this, ever more slowly.
    again: Option<Instant>,
    pause: Duration,
}

impl Default for CutOff {
    fn default() -> Self {
        CutOff { refused: 0, again: None, pause: LOOK }
    }
}

impl CutOff {
    /// With how often the node was refused so far, and for how long it has heard nobody.
    fn look(&mut self, refused: u64, unheard: Duration, now: Instant) -> bool {
        if unheard < CUT_OFF {
            (self.again, self.pause) = (None, LOOK);
        }
        let is_refused = refused > std::mem::replace(&mut self.refused, refused);
        if unheard < CUT_OFF || !is_refused || self.again.is_some_and(|again| now < again) {
            return false;
        }
        self.again = Some(now + self.pause);
        self.pause = (self.pause * 2).min(RETRY_MOST);
        true
    }
}

/// Keeps the certificate of a node young.
pub(crate) struct Renewal {
    pub(crate) name: NodeName,
    pub(crate) identity: NodeIdentity,
    pub(crate) safe: Arc<Safe>,
    pub(crate) handle: NodeHandle,
    pub(crate) transport: Transport,
    /// Where it is kept, if it is.
    pub(crate) folder: Option<PathBuf>,
    /// Whom to ask while there is no view.
    pub(crate) seeds: Vec<Seed>,
    pub(crate) rng: Rng,
    /// Whether its certificate is to name its addresses as soon as it is a member, and whenever they change.
    pub(crate) named: bool,
}

impl Renewal {
    /// Runs until the node stops.
    pub(crate) async fn run(mut self) {
        let handle = self.handle.clone();
        tokio::select! {
            _ = handle.stopped() => {}
            () = self.keep_young() => {}
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a certificate has dates")]
    async fn keep_young(&mut self) {
        let mut schedule = Schedule::new(self.identity.validity(), Instant::now(), SystemTime::now());
        // The addresses that were asked for, and how often the answer may yet lack one of them.
        let (mut asked, mut tries) = (Vec::new(), 0);
        let mut heeded = Trust::default();
        let mut cut_off = CutOff::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(schedule.pause(Instant::now())) => {}
                Some(wanted) = self.wants_other_than(&asked), if self.named => {
                    (asked, tries) = (wanted, TRIES);
                    schedule.due = Instant::now();
                }
                Some(view) = self.handle.view_where(|view| *view.facts.trust() != heeded) => {
                    heeded = view.facts.trust().clone();
                    self.heed(&heeded);
                    if self.is_superseded() {
                        schedule.due = schedule.due.min(Instant::now() + self.turn(&view));
                    }
                }
            }
            let refused = self.transport.stats().refused.get(&Refused::OtherAuthority).copied().unwrap_or_default();
            let is_cut_off = cut_off.look(refused, self.handle.leader_heard_ago(), Instant::now());
            if !schedule.is_due(Instant::now(), SystemTime::now()) && !is_cut_off {
                continue;
            }
            match self.renew(is_cut_off).await {
                // The voter that was asked may not have heard yet where this node is.
                Ok(()) if tries > 0 && self.unnamed().is_some() => {
                    tries -= 1;
                    schedule.failed(Instant::now(), &mut self.rng);
                }
                // The voter that was asked does not issue by the new authority yet.
                Ok(()) if self.is_superseded() => schedule.failed(Instant::now(), &mut self.rng),
                Ok(()) => schedule.renewed(self.identity.validity(), Instant::now(), SystemTime::now()),
                Err(error) => {
                    tracing::warn!(node = %self.name, "the certificate is not renewed: {error}");
                    schedule.failed(Instant::now(), &mut self.rng);
                }
            }
        }
    }

    fn unnamed(&self) -> Option<Vec<IpAddr>> {
        unnamed(&*self.handle.view()?, self.identity.chain().first()?)
    }

    /// Waits until the certificate lacks an address, and others are stated than these. `None` once the node has stopped.
    async fn wants_other_than(&self, asked: &[IpAddr]) -> Option<Vec<IpAddr>> {
        let own = self.identity.chain().first()?;
        let view = self.handle.view_where(|view| unnamed(view, own).is_some_and(|wanted| wanted != asked)).await?;
        unnamed(&view, own)
    }

    /// Accepts the certificates of other authorities from now on.
    fn heed(&mut self, trust: &Trust) {
        let Some(roots) = trusted(trust, self.identity.roots()) else { return };
        let heeding = NodeIdentity::from_parts(self.identity.keys().clone(), self.identity.chain().to_vec(), roots);
        match self.show(heeding) {
            Ok(()) => tracing::info!(node = %self.name, "the authorities of the cluster are others from now on: {}", self.authorities()),
            Err(error) => tracing::warn!(node = %self.name, "the authorities of the cluster are others, and are not kept: {error}"),
        }
    }

    fn authorities(&self) -> String {
        let fingerprints = self.identity.roots().iter().filter_map(|root| Fingerprint::of_certificate(root));
        fingerprints.map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Whether another authority issues by now than the one that issued the certificate of this node.
    fn is_superseded(&self) -> bool {
        let current = self.handle.view().and_then(|view| view.facts.trust().current().map(certificate));
        current.is_some_and(|current| self.identity.roots().contains(&current) && !is_by(&self.identity, &current))
    }

    /// After how long it is this node's turn to be issued a certificate by a new authority, so that they do not all ask at once.
    fn turn(&mut self, view: &View) -> Duration {
        let issues = self.safe.authority().is_some();
        let members = u32::try_from(view.facts.live().len()).unwrap_or(u32::MAX);
        let life = self.identity.validity().map(|validity| validity.life()).unwrap_or_default();
        if issues { Duration::ZERO } else { self.rng.duration_below((PER_MEMBER * members).min(life / 4)) }
    }

    /// With `elsewhere` not by the authority that this node has: nobody accepts that one.
    async fn renew(&mut self, elsewhere: bool) -> Result<(), EnrollFailure> {
        let has = |authority: &Arc<_>| !elsewhere && self.identity.roots().contains(Authority::certificate(authority));
        let issuing = self.safe.authority().filter(has);
        let renewed = match issuing {
            Some(_) if is_clock_behind(self.identity.validity()) => return Err(EnrollFailure::Clock),
            Some(authority) => {
                let at = self.handle.view().map(|view| addresses(&view, &self.identity.public())).unwrap_or_default();
                let issued = authority.issue_with(self.identity.keys().clone(), &self.name, &at)?;
                NodeIdentity::from_parts(issued.keys().clone(), issued.chain().to_vec(), self.identity.roots().to_vec())
            }
            None => {
                let mut at = self.handle.view().map(|view| voter_addresses(&view)).unwrap_or_default();
                at.extend(resolved(&self.seeds).await.into_iter().filter(|seed| !at.contains(seed)).collect::<Vec<_>>());
                again(&self.identity, &self.name, &at).await?
            }
        };
        self.show(renewed)?;
        tracing::info!(node = %self.name, "the certificate was renewed");
        Ok(())
    }

    /// Proves itself with another certificate, or accepts other authorities, from now on and after the next start.
    fn show(&mut self, identity: NodeIdentity) -> Result<(), EnrollFailure> {
        self.transport.renew(&identity)?;
        self.identity = identity;
        if let Some(folder) = &self.folder {
            save(folder, &self.identity)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Issued at this moment, for a day.
    fn issued(at: SystemTime) -> Option<Validity> {
        Some(Validity { from: at - BACKDATED, until: at + 24 * HOUR })
    }

    fn now() -> (Instant, SystemTime) {
        (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }

    #[tokio::test]
    async fn a_certificate_that_was_found_is_renewed_at_half_of_its_life() {
        let (start, wall) = now();
        let mut schedule = Schedule::new(issued(wall), start, wall);
        assert!(!schedule.is_due(start + 11 * HOUR, wall + 11 * HOUR));
        assert!(schedule.is_due(start + 12 * HOUR, wall + 12 * HOUR));
        assert!(Schedule::new(issued(wall), start, wall + 13 * HOUR).is_due(start, wall + 13 * HOUR), "found late");
        assert!(Schedule::new(issued(wall), start, SystemTime::UNIX_EPOCH).is_due(start, SystemTime::UNIX_EPOCH), "in 1970");
        assert!(Schedule::new(None, start, wall).is_due(start, wall));
    }

    #[tokio::test]
    async fn a_clock_that_is_off_renews_once_and_one_that_is_set_renews_again() {
        let (start, wall) = now();
        let off = wall + 1_000 * HOUR;
        let mut schedule = Schedule::new(issued(wall), start, off);
        assert!(schedule.is_due(start, off));
        schedule.renewed(issued(wall), start, off);
        assert!(!schedule.is_due(start + 11 * HOUR, off + 11 * HOUR), "by its dates it is as old as before");
        assert!(schedule.is_due(start + 11 * HOUR, wall + 11 * HOUR), "the clock was set");
        schedule.renewed(issued(wall), start + 11 * HOUR, wall + 11 * HOUR);
        assert!(!schedule.is_due(start + 12 * HOUR, wall + 12 * HOUR));
    }

    #[tokio::test]
    async fn who_is_refused_by_all_and_hears_nobody_is_cut_off_now_and_then() {
        let (start, _) = now();
        let mut cut_off = CutOff::default();
        assert!(!cut_off.look(3, Duration::ZERO, start), "it hears others");
        assert!(!cut_off.look(3, HOUR, start), "nobody refuses it");
        assert!(cut_off.look(4, HOUR, start));
        assert!(!cut_off.look(5, HOUR, start + LOOK / 2), "it has just tried");
        let tries = (1..=720).filter(|number| cut_off.look(5 + number, HOUR, start + LOOK * u32::try_from(*number).unwrap()));
        assert_eq!(tries.count(), 11, "in an hour");
        cut_off.look(1_000, Duration::ZERO, start + HOUR);
        assert!(cut_off.look(1_001, HOUR, start + HOUR), "it was heard in between");
    }

    #[tokio::test]
    async fn failures_are_retried_ever_more_slowly() {
        let (start, wall) = now();
        let (mut schedule, mut rng) = (Schedule::new(None, start, wall), Rng::new(1));
        for _ in 0..20 {
            schedule.failed(start, &mut rng);
        }
        assert!(schedule.due >= start + RETRY_MOST && schedule.due <= start + 2 * RETRY_MOST);
        assert_eq!(schedule.pause(start), LOOK);
    }
}
