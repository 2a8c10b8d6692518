//! What is waited for, said on a terminal while it lasts.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What takes less is not spoken of.
const SOON: Duration = Duration::from_secs(1);

/// Whether something is waited for: there is one line for it.
static WAITS: AtomicBool = AtomicBool::new(false);

/// A line on standard error that says what is waited for, from a second on. Dropping it takes the line away.
pub(super) struct Waiting(Option<JoinHandle<()>>);

impl Waiting {
    /// Nothing is said where standard error is no terminal, nor of what is waited for while something else is: who began first knows better
    /// what it is about.
    pub(super) fn begin(what: String) -> Self {
        if !io::stderr().is_terminal() || WAITS.swap(true, Ordering::Relaxed) {
            return Waiting(None);
        }
        Waiting(Some(tokio::spawn(async move {
            let begin = Instant::now();
            for seconds in 1_u32.. {
                sleep_until(begin + SOON * seconds).await;
                write(&format!("\r\u{1b}[K{what} … {seconds} s"));
            }
        })))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
            write("\r\u{1b}[K");
            WAITS.store(false, Ordering::Relaxed);
        }
    }
}

/// A terminal that went away is nobody to be told anything.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
