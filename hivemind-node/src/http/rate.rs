//! How many requests one address may make: a token bucket for each, and a bounded number of buckets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::owner::owner;

/// Buckets that are held. Where there are more addresses, the one silent for longest begins anew.
const MOST: usize = 1024;

/// The buckets.
#[derive(Debug)]
pub(super) struct Rates {
    rate: f64,
    burst: f64,
    buckets: BTreeMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// So many tokens come a second, up to a burst. Both count as 1 where they are 0.
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        Rates { rate: f64::from(rate.max(1)), burst: f64::from(burst.max(1)), buckets: BTreeMap::new() }
    }

    /// Takes a token; the error says after what time there is one.
    pub(super) fn take(&mut self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let owner = owner(peer);
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&owner) {
            let silent = self.buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(owner, _)| *owner);
            silent.and_then(|silent| self.buckets.remove(&silent));
        }
        let bucket = self.buckets.entry(owner).or_insert(Bucket { tokens: self.burst, at: now });
        let came = now.saturating_duration_since(bucket.at).as_secs_f64() * self.rate;
        *bucket = Bucket { tokens: (bucket.tokens + came).min(self.burst), at: now };
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.rate));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let mut rates = Rates::new(2, 3);
        let (peer, now) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        assert!((0..3).all(|_| rates.take(peer, now).is_ok()));
        assert_eq!(rates.take(peer, now), Err(Duration::from_millis(500)));
        assert!(rates.take(IpAddr::from([10, 0, 0, 2]), now).is_ok());
        assert!(rates.take(peer, now + Duration::from_millis(500)).is_ok());
        assert!(rates.take(peer, now + Duration::from_millis(500)).is_err());
    }

    #[test]
    fn many_addresses_take_bounded_room_and_a_network_is_one() {
        let mut rates = Rates::new(1, 1);
        let now = Instant::now();
        for number in 0..5_000u32 {
            assert!(rates.take(IpAddr::from(number.to_be_bytes()), now).is_ok());
        }
        assert_eq!(rates.buckets.len(), MOST);
        let mut rates = Rates::new(1, 1);
        assert!(rates.take("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(rates.take("2001:db8::2".parse().unwrap(), now).is_err());
        assert!(rates.take("2001:db8:0:1::2".parse().unwrap(), now).is_ok());
    }
}
