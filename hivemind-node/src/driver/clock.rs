//! Both clocks of a node.

use std::time::SystemTime;

use hivemind_core::time::{Now, Time, Timestamp};
use tokio::time::Instant;

/// A monotonic clock with its origin, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn starting_now() -> Self {
        Clock { origin: Instant::now() }
    }

    /// What both say now. A wall clock before 1970 reads as 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the driver's clock")]
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_millis()).expect("the year 584 million is far");
        Now { time: Time::from_origin(self.origin.elapsed()), wall: Timestamp(wall) }
    }

    /// A point of the machine's time, as the runtime counts it.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.origin + time.since_origin()
    }
}
