//! How far a DNS server has got with putting zones in force.

use std::sync::Arc;

use hivemind_core::role::Apply;
use hivemind_dns_processor::server::ZoneApplier;
use hivemind_dns_processor::zone::Zone;
use tokio::sync::watch;

/// The zone that is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// Whether it holds all that there was when it was made.
    pub(super) complete: bool,
    /// How many hosts it has names of.
    pub(super) hosts: usize,
}

/// Puts a zone in force, and then says so.
pub(super) struct Gauged {
    pub(super) applier: ZoneApplier,
    pub(super) served: watch::Sender<Served>,
    /// Told of every zone.
    pub(super) moved: watch::Sender<()>,
}

impl Apply<Zone> for Gauged {
    type Error = <ZoneApplier as Apply<Zone>>::Error;

    async fn apply(&mut self, zone: Arc<Zone>) -> Result<(), Self::Error> {
        let served = Served { complete: zone.is_complete(), hosts: zone.hosts() };
        self.applier.apply(zone).await?;
        self.served.send_replace(served);
        self.moved.send_replace(());
        Ok(())
    }
}
