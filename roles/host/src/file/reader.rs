//! Reading a TOML table key by key, remembering where each mistake stands, so that one pass reports all.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::MAX_ERRORS;
use super::error::{FileError, Problem};
use super::nearest::nearest;

/// The mistakes found so far in one file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<(usize, String, Found)>,
}

/// A mistake; one that refers to another place of the text learns its line when the text is at hand.
#[derive(Debug)]
enum Found {
    Here(Problem),
    RepeatOf { at: usize },
}

impl Findings {
    /// Remembers a mistake that stands at an octet of the text.
    pub(crate) fn add(&mut self, at: usize, key: impl Into<String>, problem: Problem) {
        self.found.push((at, key.into(), Found::Here(problem)));
    }

    /// Remembers that the record at one octet of the text repeats the one at another.
    pub(crate) fn add_repeat(&mut self, at: usize, key: impl Into<String>, first: usize) {
        self.found.push((at, key.into(), Found::RepeatOf { at: first }));
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the lines; what is over the limit is counted in the last one.
    pub(crate) fn into_errors(mut self, file: &Path, text: &str) -> Vec<FileError> {
        self.found.sort_by_key(|(at, ..)| *at);
        if self.found.len() > MAX_ERRORS {
            let more = self.found.len() - (MAX_ERRORS - 1);
            let next = self.found[MAX_ERRORS - 1].0;
            self.found.truncate(MAX_ERRORS - 1);
            self.found.push((next, String::new(), Found::Here(Problem::More { more })));
        }
        let error = |(at, key, found)| {
            let (line, column) = place(text, at);
            let problem = match found {
                Found::Here(problem) => problem,
                Found::RepeatOf { at } => Problem::DuplicateRecord { line: place(text, at).0 },
            };
            FileError { file: file.to_owned(), line, column, key, problem }
        };
        self.found.into_iter().map(error).collect()
    }
}

/// Line and column, from 1, of an octet of `text`.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// One value, where it stands and under which key.
pub(crate) struct Field<'a> {
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) at: usize,
    pub(crate) key: String,
}

/// One table: its keys are taken by name, and those that nobody knows are mistakes.
pub(crate) struct Reader<'a> {
    table: &'a DeTable<'a>,
    at: usize,
    path: String,
}

impl<'a> Reader<'a> {
    /// Starts on `table`, which stands at `span` under the key `path`, and reports every key that is not in `known`.
    pub(crate) fn new(table: &'a DeTable<'a>, span: &Range<usize>, path: String, known: &[&'static str], findings: &mut Findings) -> Self {
        let reader = Reader { table, at: span.start, path };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let shown: String = name.chars().take(64).collect();
                let problem = match nearest(name, known) {
                    Some(nearest) => Problem::UnknownKeyNear { key: shown.clone(), nearest },
                    None => Problem::UnknownKey { key: shown.clone(), known: listed(known) },
                };
                findings.add(key.span().start, reader.key(&shown), problem);
            }
        }
        reader
    }

    /// Where the table stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The path of a key of this table.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional(&self, name: &str) -> Option<Field<'a>> {
        let value = self.table.get(name)?;
        Some(Field { value: value.get_ref(), at: value.span().start, key: self.key(name) })
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, name: &str, example: &'static str, findings: &mut Findings) -> Option<Field<'a>> {
        let field = self.optional(name);
        if field.is_none() {
            findings.add(self.at, self.key(name), Problem::Missing { example });
        }
        field
    }
}

fn listed(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}

impl<'a> Field<'a> {
    /// Reports a mistake in this value.
    pub(crate) fn wrong(&self, problem: Problem, findings: &mut Findings) {
        findings.add(self.at, self.key.clone(), problem);
    }

    fn wrong_type(&self, expected: &'static str, example: &'static str, findings: &mut Findings) {
        self.wrong(Problem::WrongType { expected, found: type_name(self.value), example }, findings);
    }

    /// The value, where it is a string.
    pub(crate) fn string(&self, example: &'static str, findings: &mut Findings) -> Option<&'a str> {
        let DeValue::String(text) = self.value else {
            self.wrong_type("a string", example, findings);
            return None;
        };
        Some(text)
    }

    /// The value, where it is an integer: as a number, or as it is written where no `i64` holds it.
    pub(crate) fn integer(&self, example: &'static str, findings: &mut Findings) -> Option<Result<i64, String>> {
        let DeValue::Integer(integer) = self.value else {
            self.wrong_type("an integer", example, findings);
            return None;
        };
        Some(i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| integer.to_string().chars().take(24).collect()))
    }

    /// The entries, where the value is an array of at most `most`.
    pub(crate) fn entries(&self, most: usize, example: &'static str, findings: &mut Findings) -> Vec<Field<'a>> {
        let DeValue::Array(array) = self.value else {
            self.wrong_type("an array", example, findings);
            return Vec::new();
        };
        if array.len() > most {
            self.wrong(Problem::TooMany { count: array.len(), most }, findings);
            return Vec::new();
        }
        let field = |(place, value): (usize, &'a Spanned<DeValue<'a>>)| Field {
            value: value.get_ref(),
            at: value.span().start,
            key: format!("{}[{place}]", self.key),
        };
        array.iter().enumerate().map(field).collect()
    }

    /// The table, where the value is one.
    pub(crate) fn table(&self, known: &[&'static str], example: &'static str, findings: &mut Findings) -> Option<Reader<'a>> {
        let DeValue::Table(table) = self.value else {
            self.wrong_type("a table", example, findings);
            return None;
        };
        Some(Reader::new(table, &(self.at..self.at), self.key.clone(), known, findings))
    }
}

/// What a value is, with its article.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
