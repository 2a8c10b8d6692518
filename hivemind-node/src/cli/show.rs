//! What is written: data on standard output, the rest on standard error.

use std::future::pending;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use serde::Serialize;
use tokio::io::Interest;
use tokio::net::unix::pipe;

use super::failure::Failure;
use super::progress::Waiting;
use crate::http::model::MemberState;

/// Where data goes, and in which form.
pub(super) struct Screen {
    pub(super) json: bool,
    has_colour: bool,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        // By no-color.org an empty variable says nothing.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_colour = !json && io::stdout().is_terminal() && !unwanted;
        Screen { json, has_colour }
    }

    /// Writes what was looked up: for programs as it is, for people as `table` makes it.
    pub(super) fn data<T: Serialize>(&self, data: &T, table: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        self.text(&self.form(data, table)?)
    }

    /// As [`data`](Self::data), of something that was done.
    pub(super) fn done<T: Serialize>(&self, data: &T, table: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let lost = |error| Failure::Unknown(format!("standard output: {error}; what was asked for is done all the same"));
        write(&self.form(data, table)?).map_err(lost)
    }

    /// As [`done`](Self::done), of something that nobody can show again.
    pub(super) fn made<T: Serialize>(&self, data: &T, table: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let lost = |error| {
            Failure::Unknown(format!(
                "standard output: {error}; what was asked for is done all the same, and can not be shown again: revoke it, and make another"
            ))
        };
        write(&self.form(data, table)?).map_err(lost)
    }

    fn form<T: Serialize>(&self, data: &T, table: impl FnOnce(&T) -> String) -> Result<String, Failure> {
        if !self.json {
            return Ok(table(data));
        }
        Ok(serde_json::to_string(data).map_err(|error| Failure::Refused(error.to_string()))? + "\n")
    }

    /// Writes text that was looked up, as it is.
    pub(super) fn text(&self, text: &str) -> Result<(), Failure> {
        write(text).map_err(|error| Failure::Refused(format!("standard output: {error}; nothing was changed")))
    }

    /// Waits until nobody reads standard output any more. A file is always read.
    pub(super) async fn unread(&self) {
        // The copy is watched, and stays one that blocks: it shares that with the original, which is written to.
        let out = io::stdout().as_fd().try_clone_to_owned().and_then(pipe::Sender::from_owned_fd_unchecked);
        let Ok(out) = out else { return pending().await };
        if out.ready(Interest::ERROR).await.is_err() {
            pending().await
        }
    }

    /// Says something to people, beside the data.
    pub(super) fn note(&self, text: &str) {
        // Who closed it does not want to know.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says what is waited for, as long as what is returned lives.
    pub(super) fn wait(&self, what: String) -> Waiting {
        Waiting::begin(what)
    }

    /// A state in its colour, where there are colours.
    pub(super) fn state(&self, state: MemberState) -> String {
        let (word, colour) = match state {
            MemberState::Reachable => ("reachable", "32"),
            MemberState::Unreachable => ("unreachable", "31"),
            MemberState::Restarting => ("restarting", "33"),
        };
        if self.has_colour { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
    }
}

/// A reader that went away wants no more.
fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Columns as wide as their widest cell; the last one is as wide as it is.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| visible(cell)).chain([head[column].len()]).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(visible(cell)))));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(&head).chain(rows).map(line).collect()
}

/// The characters that are seen: without those that colour.
fn visible(cell: &str) -> usize {
    let mut inside = false;
    let seen = cell.chars().filter(|c| {
        let starts = *c == '\u{1b}';
        let shown = !inside && !starts;
        inside = starts || (inside && *c != 'm');
        shown
    });
    seen.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_with_and_without_colours() {
        let rows = [
            vec!["web1".to_owned(), "\u{1b}[32mup\u{1b}[0m".to_owned(), "x".to_owned()],
            vec!["a".to_owned(), "down".to_owned(), String::new()],
        ];
        assert_eq!(table(&["NAME", "STATE", "Z"], &rows), "NAME  STATE  Z\nweb1  \u{1b}[32mup\u{1b}[0m     x\na     down\n");
    }
}
