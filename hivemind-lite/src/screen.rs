//! What a person sees: data on standard output, all else on standard error, and one last line, the prompt
//! or the progress, that stays below both where they are a terminal.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Back to the start of the line, and erase it (ECMA-48: CR, EL).
const ERASE_LINE: &str = "\r\x1b[K";

/// A colour that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Something is wrong.
    Bad,
    /// All is well.
    Good,
}

/// The two outputs of the process. A reader that went away is no error: what it does not read is dropped.
#[derive(Debug)]
pub struct Screen {
    /// Whether somebody sits in front of it: then there are a prompt and progress.
    interactive: bool,
    colour_out: bool,
    colour_err: bool,
    /// What stands on the last line of standard error.
    below: Mutex<String>,
}

impl Screen {
    /// The screen of this process.
    pub fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Screen {
            interactive: err && io::stdin().is_terminal(),
            colour_out: out && !plain,
            colour_err: err && !plain,
            below: Mutex::new(String::new()),
        }
    }

    /// Writes whole lines of data to standard output.
    pub fn data(&self, text: &str) {
        self.above(|| write(io::stdout().lock(), text));
    }

    /// Writes a line to standard error.
    pub fn notice(&self, text: &str) {
        self.above(|| write(io::stderr().lock(), &format!("{text}\n")));
    }

    /// Writes what went wrong, and what to do about it, to standard error.
    pub fn error(&self, text: &str) {
        self.notice(&format!("{} {text}", painted(Paint::Bad, "error:", self.colour_err)));
    }

    /// Shows `text` on the last line until it is replaced; nothing where that is no terminal.
    pub fn last_line(&self, text: &str) {
        if self.interactive {
            let mut below = self.below();
            text.clone_into(&mut below);
            write(io::stderr().lock(), &format!("{ERASE_LINE}{text}"));
        }
    }

    /// The user ended the last line: what stood there is above now.
    pub fn last_line_ended(&self) {
        self.below().clear();
    }

    /// `text` in a colour, where standard output shows colours.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        painted(paint, text, self.colour_out)
    }

    /// Whether standard error shows colours.
    pub fn has_colours(&self) -> bool {
        self.colour_err
    }

    fn above(&self, show: impl FnOnce()) {
        let below = self.below();
        if below.is_empty() {
            return show();
        }
        write(io::stderr().lock(), ERASE_LINE);
        show();
        write(io::stderr().lock(), &below);
    }

    fn below(&self) -> MutexGuard<'_, String> {
        self.below.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Screen {
    fn default() -> Self {
        Screen::new()
    }
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
        self.screen.notice(String::from_utf8_lossy(line).trim_end_matches('\n'));
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

/// Nobody is left to be told of a failure to write here.
fn write(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
