//! The log does not fill the disk: each place in the program says so much in a while, and what it leaves out is counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// So many lines of one place are written.
const LINES: u64 = 200;
/// In this time.
const WHILE: Duration = Duration::from_secs(10);

/// Lets through so many lines of each place, and counts the rest. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Thrift {
    /// By file and line: as many as the program has.
    places: Arc<Mutex<BTreeMap<Place, Said>>>,
}

type Place = (&'static str, u32);

#[derive(Debug)]
struct Said {
    since: Instant,
    lines: u64,
    left_out: u64,
}

impl Thrift {
    fn may_say(&self, place: Place, now: Instant) -> bool {
        let mut places = self.places();
        let said = places.entry(place).or_insert(Said { since: now, lines: 0, left_out: 0 });
        if now.duration_since(said.since) >= WHILE {
            (said.since, said.lines) = (now, 0);
        }
        said.lines += 1;
        let may = said.lines <= LINES;
        said.left_out += u64::from(!may);
        may
    }

    /// Says what was left out since this was last called.
    pub(super) fn tell(&self) {
        for (place, lines) in self.take_left_out() {
            tracing::warn!(%place, lines, "lines of the log were left out");
        }
    }

    fn take_left_out(&self) -> Vec<(String, u64)> {
        let mut places = self.places();
        let some = places.iter_mut().filter(|(_, said)| said.left_out > 0);
        some.map(|((file, line), said)| (format!("{file}:{line}"), std::mem::take(&mut said.left_out))).collect()
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Place, Said>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Thrift {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        self.may_say((metadata.file().unwrap_or(metadata.name()), metadata.line().unwrap_or_default()), Instant::now())
    }
}

/// When to tell what was left out.
pub(super) const TELL: Duration = WHILE;

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{fmt, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_says_too_much_is_cut_short_and_that_is_said() {
        let (written, thrift) = (Written::default(), Thrift::default());
        let writer = written.clone();
        let lines = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(registry().with(thrift.clone()).with(lines));
        let often = |times: u64| (0..times).for_each(|number| tracing::error!(number, "the disk is full"));
        often(LINES + 50);
        tracing::error!("something else");
        thrift.tell();
        thrift.tell();
        tokio::time::advance(WHILE).await;
        often(1);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("the disk is full").count() as u64, LINES + 1, "it may speak again");
        assert_eq!(text.matches("something else").count(), 1);
        assert_eq!(text.matches("lines of the log were left out").count(), 1);
        assert!(text.contains("lines=50") && text.contains("thrift.rs:"), "{text}");
    }
}
