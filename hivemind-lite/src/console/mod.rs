//! The lines that are typed while a cluster runs.

pub mod command;

use std::io::{self, BufRead as _, Read as _};

use tokio::sync::mpsc;

/// The longest line that is read as one.
const LONGEST_LINE: u64 = 64 << 10;
/// Lines that wait for the ones before them to be carried out.
const WAITING_LINES: usize = 16;

/// The lines of standard input, as they come. The channel ends with the input.
///
/// A thread of its own reads them, since a read of a terminal can not be taken back; it ends with the
/// input or with the process.
///
/// # Errors
/// The system gives no thread.
pub fn lines() -> io::Result<mpsc::Receiver<String>> {
    let (sender, lines) = mpsc::channel(WAITING_LINES);
    std::thread::Builder::new().name("console".to_owned()).spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while let Ok(1..) = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if sender.blocking_send(text).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}
