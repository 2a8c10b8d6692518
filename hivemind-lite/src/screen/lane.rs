//! A thread that writes what is shown, so that nobody else waits for a slow reader.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};

use tokio::time::Instant;

/// What waits to be written; more is dropped.
const WAITING: usize = 256;
/// Back to the start of the line, and erase it (ECMA-48: CR, EL).
const ERASE_LINE: &str = "\r\x1b[K";

/// One thing to write.
#[derive(Debug)]
pub(super) enum Shown {
    /// To standard output, above the last line.
    Data(String),
    /// To standard error, above the last line.
    Notice(String),
    /// The last line itself.
    LastLine(String),
    /// What stands on the last line is above it now.
    LastLineEnded,
    /// Never sent on: dropped once all before it is written.
    Mark(SyncSender<()>),
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Lane {
    waiting: SyncSender<Shown>,
    /// How much was dropped since the reader was told of it.
    dropped: Arc<AtomicUsize>,
}

impl Lane {
    /// Starts the thread; it ends with the process.
    pub(super) fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> io::Result<Self> {
        let (waiting, taken) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicUsize::new(0));
        let counted = dropped.clone();
        std::thread::Builder::new().name("screen".to_owned()).spawn(move || show(&taken, &counted, out, err))?;
        Ok(Lane { waiting, dropped })
    }

    /// Has this written. Never waits.
    pub(super) fn put(&self, shown: Shown) {
        if let Err(TrySendError::Full(_)) = self.waiting.try_send(shown) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written that was put here, or `until`.
    pub(super) fn flush(&self, until: Option<Instant>) {
        let (mark, passed) = sync_channel(1);
        // A full queue is one that nobody reads.
        if self.waiting.try_send(Shown::Mark(mark)).is_err() {
            return;
        }
        match until {
            // The mark is dropped, not sent on: both ways of ending mean that it is passed or the time is over.
            Some(until) => match passed.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            },
            None => {
                let _ = passed.recv();
            }
        }
    }
}

fn show(taken: &Receiver<Shown>, dropped: &AtomicUsize, mut out: impl Write, mut err: impl Write) {
    let mut below = String::new();
    for shown in taken {
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            write(&mut err, &format!("({lost} messages were dropped, since nobody read them in time)\n"));
        }
        match shown {
            Shown::Data(text) => above(&mut err, &below, |_| write(&mut out, &text)),
            Shown::Notice(text) => above(&mut err, &below, |err| write(err, &text)),
            Shown::LastLine(text) => {
                write(&mut err, &format!("{ERASE_LINE}{text}"));
                below = text;
            }
            Shown::LastLineEnded => below.clear(),
            Shown::Mark(mark) => drop(mark),
        }
    }
}

fn above<E: Write>(err: &mut E, below: &str, show: impl FnOnce(&mut E)) {
    if below.is_empty() {
        return show(err);
    }
    write(err, ERASE_LINE);
    show(err);
    write(err, below);
}

/// Nobody is left to be told of a failure to write here.
fn write(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes into a channel that holds one piece: the writer waits for its reader.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.send(octets.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed() {
        let (sender, read) = sync_channel(1);
        let lane = Lane::new(Slow(sender.clone()), Slow(sender)).unwrap();
        for _ in 0..2 * WAITING {
            lane.put(Shown::Data("x\n".to_owned()));
        }
        lane.flush(Some(Instant::now()));
        drop(lane);
        let all: Vec<u8> = read.into_iter().flatten().collect();
        let said = String::from_utf8(all).unwrap();
        assert!(said.contains(" messages were dropped, since nobody read them in time)\n"), "{said}");
        assert!(said.matches("x\n").count() < 2 * WAITING);
    }
}
