//! What a person sees: data on standard output, all else on standard error, and one last line, the prompt
//! or the progress, that stays below both where they are a terminal.

mod lane;

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use lane::{Lane, Shown};
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

/// A colour that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Something is wrong.
    Bad,
    /// All is well.
    Good,
}

/// The two outputs of the process. A reader that went away is no error: what it does not read is dropped.
/// Threads of their own write, so that a reader that does not read holds nothing up: what it lets pile up is
/// dropped too, and it is told how much.
#[derive(Debug)]
pub struct Screen {
    /// Whether somebody sits in front of it: then there are a prompt and progress.
    interactive: bool,
    colour_out: bool,
    colour_err: bool,
    /// Writes standard error, and what stands on its last line.
    err: Lane,
    /// Writes standard output where that is no terminal, so that its reader does not hold up the messages.
    out: Option<Lane>,
}

impl Screen {
    /// The screen of this process.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new() -> io::Result<Self> {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Ok(Screen {
            interactive: err && io::stdin().is_terminal(),
            colour_out: out && !plain,
            colour_err: err && !plain,
            err: Lane::new(io::stdout(), io::stderr())?,
            out: if out { None } else { Some(Lane::new(io::stdout(), io::stderr())?) },
        })
    }

    /// Writes whole lines of data to standard output.
    pub fn data(&self, text: &str) {
        self.out.as_ref().unwrap_or(&self.err).put(Shown::Data(text.to_owned()));
    }

    /// Writes a line to standard error.
    pub fn notice(&self, text: &str) {
        self.err.put(Shown::Notice(format!("{}\n", escaped(text))));
    }

    /// Writes what went wrong, and what to do about it, to standard error.
    pub fn error(&self, text: &str) {
        self.err.put(Shown::Notice(format!("{} {}\n", painted(Paint::Bad, "error:", self.colour_err), escaped(text))));
    }

    /// Shows `text` on the last line until it is replaced; nothing where that is no terminal.
    pub fn last_line(&self, text: &str) {
        if self.interactive {
            self.err.put(Shown::LastLine(text.to_owned()));
        }
    }

    /// The user ended the last line: what stood there is above now.
    pub fn last_line_ended(&self) {
        self.err.put(Shown::LastLineEnded);
    }

    /// Waits until all is written, for at most `patience` where that is given.
    pub fn flush(&self, patience: Option<Duration>) {
        let until = patience.map(|patience| Instant::now() + patience);
        for lane in self.out.iter().chain([&self.err]) {
            lane.flush(until);
        }
    }

    /// `text` in a colour, where standard output shows colours.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        painted(paint, text, self.colour_out)
    }

    /// Whether standard error shows colours.
    pub fn has_colours(&self) -> bool {
        self.colour_err
    }
}

/// `text` with its control characters written out: those of a name or a file are not for the terminal to obey.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(character),
            _ if character.is_control() => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Log lines go to standard error, above the prompt.
impl<'a> MakeWriter<'a> for &'static Screen {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        LogWriter { screen: self }
    }
}

/// Takes the log's lines, each written at once.
#[derive(Debug)]
pub struct LogWriter {
    screen: &'static Screen,
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The log escapes what it is given, and colours its lines itself.
        self.screen.err.put(Shown::Notice(String::from_utf8_lossy(line).into_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn painted(paint: Paint, text: &str, coloured: bool) -> String {
    let code = match paint {
        Paint::Bad => 31,
        Paint::Good => 32,
    };
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(escaped("web\u{1b}[2J\r\u{9b}1\u{7}\nö\t"), "web\\u{1b}[2J\\r\\u{9b}1\\u{7}\nö\t");
    }
}
