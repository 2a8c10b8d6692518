//! This machine's clock, as far as it can be judged alone.

use std::time::{Duration, SystemTime};

/// The beginning of 2026, in seconds since 1970.
const WRITTEN: u64 = 1_767_225_600;

/// Whether the clock says a time before this program was written, as that of a machine without a battery does until it is set.
#[expect(clippy::disallowed_methods, reason = "certificates have dates; no driver runs yet")]
pub(super) fn is_long_ago() -> bool {
    SystemTime::now() < SystemTime::UNIX_EPOCH + Duration::from_secs(WRITTEN)
}
