//! What can be wrong with a host file. Whoever wrote the file is at fault; the last good version stays in force.

use std::fmt::{self, Write};
use std::path::PathBuf;

use thiserror::Error;

/// One thing that is wrong with one host file. Shown as `file:line: key: what is wrong; what to do`, always
/// in one line: control characters that the file or its name brings are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// From 1. Errors of the file as a whole stand at line 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The key, as a path: `service[0].port`, entries counted from 0. Empty where no key is concerned.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        write!(line, "{}:{}: ", self.file.display(), self.line)?;
        if !self.key.is_empty() {
            write!(line, "{}: ", self.key)?;
        }
        write!(line, "{}", self.problem)
    }
}

/// Passes text on with everything escaped that would move a terminal's cursor, color it or turn the
/// direction of writing: what stands in a file must not forge the lines of a log.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => write!(self.0, "{}", c.escape_unicode()),
            c if c.is_control() => write!(self.0, "{}", c.escape_debug()),
            c => self.0.write_char(c),
        })
    }
}

impl std::error::Error for FileError {}

/// What is wrong, each with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields of each variant are what its message quotes")]
pub enum Problem {
    /// No key at all.
    #[error("the file is empty; write at least `addresses = [\"10.0.0.11\"]`, or remove the file")]
    Empty,
    /// Over [`MAX_FILE`](super::MAX_FILE).
    #[error("the file has {octets} octets; {most} is the most: split the host or shorten the file")]
    TooLarge { octets: u64, most: usize },
    /// Saved in another encoding, or not text.
    #[error("the file is not UTF-8 at octet {at}; save it as UTF-8")]
    NotUtf8 { at: usize },
    /// The operating system gives no content.
    #[error("the file can not be read: {reason}; make it a readable file")]
    Unreadable { reason: String },
    /// A folder was named that has nothing to look at.
    #[error("there is no host file to check here; host files are called `NAME.toml`, and not hidden")]
    NoHostFile,
    /// No `name`, and the file is not called as a host could be.
    #[error("the file's own name gives no host name: {reason}; rename the file, or write `name = \"…\"` in it")]
    Stem { reason: String },
    /// Another file of the folder has the name.
    #[error("the host name `{name}` belongs to {other} already; give this host another name, or remove one of the two files")]
    NameTaken { name: String, other: PathBuf },
    /// A part of the one host of its folder names another one.
    #[error(
        "the files here are parts of the host `{own}`, and this one says that it is of `{name}`; move it to that host, or remove its `name`"
    )]
    OtherHost { name: String, own: String },
    /// More entries than one host may have, over all its files.
    #[error("with this entry the host has more than {most} {what} in all its files; remove some")]
    TooManyTogether { what: &'static str, most: usize },
    /// More than a section can hold, over all its files.
    #[error("the {what} in all files of the host have {octets} octets as they are published; {most} is the most: remove some")]
    TooLargeTogether { what: &'static str, octets: usize, most: usize },
    /// The same service on the same port in another file of the host.
    #[error("the service `{name}` on port {port} stands at {place} already; remove one of the two")]
    ServiceElsewhere { name: String, port: u16, place: String },
    /// The same record in another file of the host.
    #[error("the same record stands at {place} already; remove one of the two")]
    RecordElsewhere { place: String },
    /// A CNAME beside what another file of the host says (RFC 1034 section 3.6.2).
    #[error("a CNAME stands alone at its name, but `{name}` also has {beside} at {place}; remove one of the two")]
    BesideElsewhere { name: String, beside: String, place: String },
    /// A mistake of TOML itself.
    #[error("not valid TOML: {message}")]
    Syntax { message: String },
    /// A key that nobody knows, near to one that is known.
    #[error("unknown key `{key}`; did you mean `{nearest}`?")]
    UnknownKeyNear { key: String, nearest: &'static str },
    /// A key that nobody knows, near to none.
    #[error("unknown key `{key}`; the keys here are {known}")]
    UnknownKey { key: String, known: String },
    /// A value of another type than the key has.
    #[error("expected {expected}, found {found}; write {example}")]
    WrongType { expected: &'static str, found: &'static str, example: &'static str },
    /// A key that must be there.
    #[error("the key is missing; write {example}")]
    Missing { example: &'static str },
    /// More entries than one host may have.
    #[error("{count} entries; {most} is the most for one host")]
    TooMany { count: usize, most: usize },
    /// A label without any octet, as between two dots.
    #[error("the label is empty; give 1 to 63 of a-z, 0-9 and '-'")]
    LabelEmpty,
    /// A label over its limit.
    #[error("the label `{label}` has {octets} octets; {most} is the most here")]
    LabelTooLong { label: String, octets: usize, most: usize },
    /// A character that a label of its own may not have.
    #[error("`{label}` has the character {found:?}; it must be one DNS label of a-z, 0-9 and '-'")]
    LabelCharacter { label: String, found: char },
    /// A hyphen at an end of a label.
    #[error("the label `{label}` starts or ends with '-'; remove the hyphen there")]
    LabelHyphen { label: String },
    /// A name that the cluster's own nodes have.
    #[error("`{name}` is reserved for the cluster's own nodes (`{pattern}`); choose another name")]
    Reserved { name: String, pattern: String },
    /// A text that is no address.
    #[error("`{text}` is not an IPv4 or IPv6 address; write it like \"10.0.0.11\" or \"fd00::11\", without port or prefix length")]
    NotAnAddress { text: String },
    /// An address that no single host can have.
    #[error("`{address}` is {what}; give an address that this host alone has")]
    NotAHostAddress { address: String, what: &'static str },
    /// An address twice.
    #[error("`{address}` stands here twice; remove one of the two")]
    DuplicateAddress { address: String },
    /// A port that none can be.
    #[error("port {port} is out of range; give 1 to 65535")]
    Port { port: String },
    /// The same service on the same port twice.
    #[error("the service `{name}` on port {port} stands here twice; remove one of the two")]
    DuplicateService { name: String, port: u16 },
    /// A tag twice.
    #[error("the tag `{tag}` stands here twice; remove one of the two")]
    DuplicateTag { tag: String },
    /// No name, or only the root.
    #[error("the name is empty; give an absolute name such as \"blog.example.org.\"")]
    NameEmpty,
    /// A name over 255 octets (RFC 1035 section 2.3.4).
    #[error("the name has {octets} octets as DNS counts them; 255 is the most")]
    NameTooLong { octets: usize },
    /// A name over 255 octets that is made of the file's words and the zone.
    #[error("the resulting name `{name}` has {octets} octets as DNS counts them; 255 is the most: choose a shorter one")]
    DerivedNameTooLong { name: String, octets: usize },
    /// A character that a name may not have.
    #[error("the name has the character {found:?}; only a-z, 0-9, '-', '_' and dots are allowed")]
    NameCharacter { found: char },
    /// A record at a name that this cluster does not answer for.
    #[error("`{name}` is outside the zones of this cluster ({zones}); choose a name in one of them, or allow its zone with --zone")]
    OutsideZones { name: String, zones: String },
    /// A type of record that host files do not have.
    #[error("unknown type `{found}`; use one of A, AAAA, CNAME, TXT, SRV and PTR")]
    UnknownType { found: String },
    /// Data that is not of the type.
    #[error("`{data}` is not the data of {kind}; write {example}")]
    Data { kind: &'static str, data: String, example: &'static str },
    /// More text than one record or string may have.
    #[error("a text of {octets} octets; {most} is the most for one record")]
    TextTooLong { octets: usize, most: usize },
    /// A time to live that no 31 bits hold (RFC 2181 section 8).
    #[error("ttl {ttl} is out of range; give 0 to 2147483647 seconds")]
    Ttl { ttl: String },
    /// A CNAME beside other data (RFC 1034 section 3.6.2).
    #[error("a CNAME stands alone at its name, but `{name}` also has {beside}; remove one of the two")]
    CnameBeside { name: String, beside: String },
    /// A CNAME whose target is its own name.
    #[error("the CNAME `{name}` points to itself; give the name that it stands for")]
    CnameToItself { name: String },
    /// The same name, type and data twice.
    #[error("the same record stands at line {line} already; remove one of the two")]
    DuplicateRecord { line: usize },
    /// Stands for the mistakes over [`MAX_ERRORS`](super::MAX_ERRORS).
    #[error("{more} more errors in this file; correct these first")]
    More { more: usize },
}
