//! What may be said to a running cluster, one line each.

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// A line, as clap reads it. Its help is what `help` prints.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    name = "",
    disable_help_flag = true,
    disable_help_subcommand = true,
    styles = Styles::plain(),
    help_template = "Commands:\n{subcommands}"
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(disable_help_flag = true)]
pub enum Command {
    /// How the cluster fares: degraded or not, leader, position, DNS servers, problems
    Status,
    /// All nodes: id, roles, address, state, part in the Raft group
    Members,
    /// The last 50 events of the log
    Events,
    /// What each host publishes: version, sections, where it is in force
    Configs,
    /// Stop a node as a crash would: nobody is told
    Kill {
        /// Which node.
        name: String,
    },
    /// Start a node again that was killed, that left or that failed
    Start {
        /// Which node.
        name: String,
    },
    /// Cut each of these nodes off from all others, until `heal`
    Isolate {
        /// Which nodes.
        #[arg(required = true, num_args = 1..)]
        names: Vec<String>,
    },
    /// Let all nodes reach each other again
    Heal,
    /// End a node's membership, then stop it
    Leave {
        /// Which node.
        name: String,
    },
    /// This list
    Help,
    /// Stop all nodes, and this program
    Quit,
}

/// Reads a line: nothing where it is blank.
///
/// # Errors
/// What is wrong with it, in one line, with the nearest command where there is one.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.is_empty() {
        return Ok(None);
    }
    Line::try_parse_from(&words).map(|line| Some(line.command)).map_err(|error| explain(&words, &error))
}

/// The list of all commands.
pub fn help() -> String {
    <Line as clap::CommandFactory>::command().render_help().to_string()
}

fn explain(words: &[&str], error: &clap::Error) -> String {
    let typed = words[0];
    let known: Vec<String> =
        <Line as clap::CommandFactory>::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    if !known.iter().any(|name| name == typed) {
        return match nearest(typed, known.iter().map(String::as_str)) {
            Some(near) => format!("there is no command `{typed}`; did you mean `{near}`?"),
            None => format!("there is no command `{typed}`; `help` lists all"),
        };
    }
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("`{typed}` needs the name of a node: {typed} NAME; `members` lists them"),
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
            format!("`{typed}` does not take all of these words; `help` says what it takes")
        }
        _ => format!("`{}` is not understood; `help` lists all commands", words.join(" ")),
    }
}

/// The word of `known` that a mistyped one most likely means: at most a third of its letters wrong, one
/// in any case.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let candidates = known.map(|word| (strsim::osa_distance(&typed.to_lowercase(), word), word));
    let (wrong, word) = candidates.min_by_key(|&(wrong, _)| wrong)?;
    (wrong <= (word.len() / 3).max(1)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_and_is_in_the_help() {
        let name = || "web1".to_owned();
        for (line, command) in [
            ("status", Command::Status),
            (" members ", Command::Members),
            ("events", Command::Events),
            ("configs", Command::Configs),
            ("kill web1", Command::Kill { name: name() }),
            ("start\tweb1", Command::Start { name: name() }),
            ("isolate web1 voter1", Command::Isolate { names: vec![name(), "voter1".to_owned()] }),
            ("heal", Command::Heal),
            ("leave web1", Command::Leave { name: name() }),
            ("help", Command::Help),
            ("quit", Command::Quit),
        ] {
            assert_eq!(parse(line), Ok(Some(command)), "{line}");
            let word = line.split_whitespace().next().unwrap();
            assert!(help().lines().any(|line| line.trim_start().starts_with(word)), "{word} in\n{}", help());
        }
        assert_eq!(parse("  \t"), Ok(None));
    }

    #[test]
    fn a_wrong_line_says_what_to_type() {
        for (line, said) in [
            ("stauts", "there is no command `stauts`; did you mean `status`?"),
            ("Quit", "there is no command `Quit`; did you mean `quit`?"),
            ("reboot now", "there is no command `reboot`; `help` lists all"),
            ("kill", "`kill` needs the name of a node: kill NAME; `members` lists them"),
            ("isolate", "`isolate` needs the name of a node: isolate NAME; `members` lists them"),
            ("kill web1 web2", "`kill` does not take all of these words; `help` says what it takes"),
            ("status now", "`status` does not take all of these words; `help` says what it takes"),
            ("kill --force", "`kill` does not take all of these words; `help` says what it takes"),
        ] {
            assert_eq!(parse(line), Err(said.to_owned()), "{line}");
        }
    }
}
