//! Reading: from text to values, with everything that is wrong found at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::SettingsFault;
use super::{duration, keys};
use crate::nearest::nearest;
use crate::node::DEFAULT_PORT;
use crate::seeds::{Seed, SeedError};

/// Most faults that are told of one file.
const MAX_FAULTS: usize = 20;

/// A role, which is performed where its table is there.
#[derive(Clone, Copy)]
pub(super) enum Section {
    Host,
    DnsProcessor,
}

/// A value without its place.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Flag(bool),
    List(Vec<Value>),
    /// Nothing that any setting takes.
    Other(&'static str),
}

/// A settings file that is TOML.
pub(super) struct Document {
    values: BTreeMap<String, (usize, Value)>,
    tables: BTreeMap<String, usize>,
    faults: Vec<SettingsFault>,
}

impl Document {
    /// Reads TOML. Keys that there are not are found here.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<SettingsFault>> {
        let line_of = |at: usize| text.as_bytes().iter().take(at).filter(|octet| **octet == b'\n').count() + 1;
        let parsed = DeTable::parse(text).map_err(|error| {
            let line = line_of(error.span().map_or(0, |span| span.start));
            vec![SettingsFault { line, key: String::new(), what: format!("this is not TOML: {}", error.message()) }]
        })?;
        let mut document = Document { values: BTreeMap::new(), tables: BTreeMap::new(), faults: Vec::new() };
        document.gather("", parsed.get_ref(), &line_of);
        Ok(document)
    }

    fn gather(&mut self, table: &str, content: &DeTable<'_>, line_of: &impl Fn(usize) -> usize) {
        let known = keys::names_in(table);
        for (key, value) in content {
            let name: &str = key.get_ref();
            let path = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
            let line = line_of(key.span().start);
            if !known.contains(&name) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", known.join(", ")),
                };
                self.note(line, path.chars().take(64).collect(), format!("there is no such setting; {hint}"));
                continue;
            }
            let is_table = keys::TABLES.contains(&path.as_str());
            match value.get_ref() {
                DeValue::Table(inner) if is_table => {
                    self.tables.insert(path.clone(), line);
                    self.gather(&path, inner, line_of);
                }
                _ if is_table => self.note(line, path.clone(), format!("this is a table; write [{path}] above its settings")),
                value => drop(self.values.insert(path, (line, value_of(value)))),
            }
        }
    }

    fn note(&mut self, line: usize, key: String, what: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(SettingsFault { line, key, what });
        }
    }

    /// Notes what is wrong with a setting.
    pub(super) fn fault(&mut self, path: &str, what: &str) {
        let line = self.values.get(path).map_or(1, |(line, _)| *line);
        self.note(line, path.to_owned(), what.to_owned());
    }

    /// What was made of it, where nothing is wrong.
    pub(super) fn finish<T>(mut self, made: Option<T>) -> Result<T, Vec<SettingsFault>> {
        match made {
            Some(made) if self.faults.is_empty() => Ok(made),
            Some(_) | None => {
                self.faults.sort_by_key(|fault| fault.line);
                Err(self.faults)
            }
        }
    }

    /// Whether a role's table is there.
    pub(super) fn has(&self, section: Section) -> bool {
        self.tables.contains_key(match section {
            Section::Host => "roles.host",
            Section::DnsProcessor => "roles.dns_processor",
        })
    }

    /// The value that is written, or the default.
    fn value(&self, path: &str) -> Option<Value> {
        if let Some((_, value)) = self.values.get(path) {
            return Some(value.clone());
        }
        let default = keys::at(path).map(|key| key.default).filter(|default| !default.is_empty())?;
        DeValue::parse(default).ok().map(|value| value_of(value.get_ref()))
    }

    fn text(&mut self, path: &str, example: &str) -> Option<String> {
        match self.value(path)? {
            Value::Text(text) => Some(text),
            other => {
                self.fault(path, &format!("{} where a text is expected; write it in quotes, as {example}", other.kind()));
                None
            }
        }
    }

    /// A text that must be written.
    pub(super) fn required<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if !self.values.contains_key(path) {
            self.fault(path, "this setting is missing; write it");
            return None;
        }
        let text = self.text(path, "\"eu1\"")?;
        parse(&text).map_err(|why| self.fault(path, &why)).ok()
    }

    /// A path, where it is written or has a default.
    pub(super) fn path(&mut self, path: &str) -> Option<PathBuf> {
        let text = self.text(path, "\"/var/lib/hivemind\"")?;
        if text.is_empty() {
            self.fault(path, "the path is empty; write one, or leave the setting out");
        }
        Some(PathBuf::from(text))
    }

    /// A flag.
    pub(super) fn flag(&mut self, path: &str) -> Option<bool> {
        match self.value(path)? {
            Value::Flag(flag) => Some(flag),
            other => {
                self.fault(path, &format!("{} where true or false is expected", other.kind()));
                None
            }
        }
    }

    /// An address with its port.
    pub(super) fn address(&mut self, path: &str) -> Option<SocketAddr> {
        let text = self.text(path, "\"192.0.2.1:6550\"")?;
        parse_address(&text, default_port(path)).map_err(|why| self.fault(path, &why)).ok()
    }

    /// Addresses with their ports.
    pub(super) fn addresses(&mut self, path: &str) -> Option<Vec<SocketAddr>> {
        self.list(path, |text| parse_address(text, default_port(path)))
    }

    /// Addresses or names, with their ports.
    pub(super) fn seeds(&mut self, path: &str) -> Option<Vec<Seed>> {
        self.list(path, |text| text.parse().map_err(|error: SeedError| error.to_string()))
    }

    fn list<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let texts = self.texts(path)?;
        let parsed: Result<Vec<T>, String> = texts.iter().map(|text| parse(text)).collect();
        parsed.map_err(|why| self.fault(path, &why)).ok()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, path: &str) -> Option<Vec<String>> {
        let Value::List(values) = self.value(path)? else {
            self.fault(path, "a list is expected; write it in brackets, as [\"hive.\"]");
            return None;
        };
        let texts: Option<Vec<String>> =
            values.into_iter().map(|value| if let Value::Text(text) = value { Some(text) } else { None }).collect();
        if texts.is_none() {
            self.fault(path, "each entry of the list is a text; write it in quotes");
        }
        texts
    }

    /// A duration within `range`.
    pub(super) fn duration(&mut self, path: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.text(path, "\"60 s\"")?;
        match duration::parse(&text) {
            Ok(duration) if range.contains(&duration) => Some(duration),
            Ok(_) => {
                let (least, most) = (duration::shown(*range.start()), duration::shown(*range.end()));
                self.fault(path, &format!("`{text}` is out of range; write something from {least} to {most}"));
                None
            }
            Err(error) => {
                self.fault(path, &error.to_string());
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&mut self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(path, &format!("{:?}", choices.first().map_or("", |(word, _)| word)))?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, chosen)| *chosen);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let shown: String = text.chars().take(32).collect();
            self.fault(path, &format!("`{shown}` is none of {}; write one of them", words.join(", ")));
        }
        chosen
    }
}

fn default_port(path: &str) -> u16 {
    match path {
        "http.listen" => crate::http::DEFAULT_HTTP_PORT,
        "roles.dns_processor.listen" => 53,
        _ => DEFAULT_PORT,
    }
}

/// An address as people write it: with its port, or without where that is the usual one.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse_address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
    let shown: String = text.chars().take(64).collect();
    let wrong = |_| format!("`{shown}` is no IP address; write one, with or without a port: 192.0.2.1:{port} or [2001:db8::1]:{port}");
    text.parse::<SocketAddr>().or_else(|_| bare()).map_err(wrong)
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Flag(_) => "true or false",
            Value::List(_) => "a list",
            Value::Other(kind) => kind,
        }
    }
}

fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Array(values) => Value::List(values.iter().map(|value: &Spanned<DeValue<'_>>| value_of(value.get_ref())).collect()),
        DeValue::Integer(_) | DeValue::Float(_) => Value::Other("a number"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}
