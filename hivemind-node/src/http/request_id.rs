//! The id of a request: the client's own, where it is one that a log can hold, else one made here.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Where it stands, in both directions.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MOST: usize = 64;

/// Makes ids: chance of the start, and a count.
#[derive(Debug)]
pub(super) struct RequestIds {
    start: u32,
    count: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let mut start = [0; 4];
        // Without chance the ids of two starts may be alike; nothing depends on it.
        let _ = SystemRandom::new().fill(&mut start);
        RequestIds { start: u32::from_be_bytes(start), count: AtomicU64::new(0) }
    }

    pub(super) fn of(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_sound(id));
        given.map_or_else(|| self.make(), str::to_owned)
    }

    fn make(&self) -> String {
        format!("{:08x}-{:x}", self.start, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

fn is_sound(id: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    (1..=MOST).contains(&id.len()) && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_id_is_kept_and_any_other_is_replaced() {
        let ids = RequestIds::new();
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, id.parse().unwrap());
            ids.of(&headers)
        };
        assert_eq!(of("a-1.B_2"), "a-1.B_2");
        for bad in ["", "a b", "a;b", "a\"", &"x".repeat(65)] {
            let made = of(bad);
            assert!(made != bad && is_sound(&made), "{bad:?} {made:?}");
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }
}
