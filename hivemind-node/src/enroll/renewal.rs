//! Renewal: a node's certificate is replaced at half of its life, while its connections go on.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hivemind_core::ids::NodeName;
use hivemind_core::rng::Rng;
use tokio::time::Instant;

use super::desk::voter_addresses;
use super::error::EnrollFailure;
use super::reached::{addresses, unnamed};
use super::safe::Safe;
use super::{again, save};
use crate::authority::{BACKDATED, NodeIdentity, Validity};
use crate::node::NodeHandle;
use crate::transport::Transport;

/// After a failure it is tried again after so long, doubled each time.
const RETRY: Duration = Duration::from_secs(2);
/// At most so long.
const RETRY_MOST: Duration = Duration::from_secs(600);

/// The clock is looked at this often: it may be set.
const LOOK: Duration = Duration::from_secs(60);
/// A clock that went so much differently from the other one was set.
const WAS_SET: Duration = BACKDATED;
/// So often a certificate is asked for again that lacks an address of its node. Another member may state the same one for good.
const TRIES: u32 = 3;
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
    pub(crate) seeds: Vec<SocketAddr>,
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
        loop {
            tokio::select! {
                () = tokio::time::sleep(schedule.pause(Instant::now())) => {}
                Some(wanted) = self.wants_other_than(&asked), if self.named => {
                    (asked, tries) = (wanted, TRIES);
                    schedule.due = Instant::now();
                }
            }
            if !schedule.is_due(Instant::now(), SystemTime::now()) {
                continue;
            }
            match self.renew().await {
                // The voter that was asked may not have heard yet where this node is.
                Ok(()) if tries > 0 && self.unnamed().is_some() => {
                    tries -= 1;
                    schedule.failed(Instant::now(), &mut self.rng);
                }
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

    async fn renew(&mut self) -> Result<(), EnrollFailure> {
        let renewed = match self.safe.authority() {
            Some(_) if is_clock_behind(self.identity.validity()) => return Err(EnrollFailure::Clock),
            Some(authority) => {
                let at = self.handle.view().map(|view| addresses(&view, &self.identity.public())).unwrap_or_default();
                authority.issue_with(self.identity.keys().clone(), &self.name, &at)?
            }
            None => {
                let mut at = self.handle.view().map(|view| voter_addresses(&view)).unwrap_or_default();
                at.extend(self.seeds.iter().copied().filter(|seed| !at.contains(seed)).collect::<Vec<_>>());
                again(&self.identity, &self.name, &at).await?
            }
        };
        if let Some(folder) = &self.folder {
            save(folder, &renewed)?;
        }
        self.transport.renew(&renewed)?;
        tracing::info!(node = %self.name, "the certificate was renewed");
        self.identity = renewed;
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
