//! What stands in raft-engine's files, checked before raft-engine sees them.
//!
//! After a crash the last file ends with zeros (space that was allocated ahead) and perhaps with a
//! record that was not written whole. `AbsoluteConsistency` refuses both; the laxer modes cut away
//! acknowledged records behind a damaged one, and none verifies all content. So every checksum of every
//! file is verified here, and exactly two things are cut: zeros, and one torn record at the very end.
//!
//! Every write is synced before the next begins, so only the last record of a file can be torn, and it
//! was never acknowledged. What tells it from damage: bytes of it never arrived. Files are never used
//! again and content is [scrambled](super::scramble), so what did not arrive is zeros, or lies behind the
//! end of the file, and nothing that was written looks so. A record that is all there but does not match
//! its checksums, or that anything whole follows, was written and altered: that is damage. In doubt it
//! is damage too.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;

use super::log_files::REWRITE_SUFFIX;
use super::sealed;

const LOG_SUFFIX: &str = ".raftlog";
/// raft-engine's file header: the magic, version 2, no alignment.
const FILE_HEAD: &[u8] =
    b"RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00";
/// `length << 8 | compression` and the offset of the items, 8 bytes each, big-endian.
const RECORD_HEAD: usize = 16;
const CHECKSUM: usize = 4;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Why the files are refused.
#[derive(Debug)]
pub(super) enum TailError {
    /// What is written is not what was.
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The disk failed.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Verifies all files in `dir` and cuts what was never acknowledged. Says whether a log is there.
///
/// # Errors
/// [`TailError`]; then nothing of the file that it names was altered.
pub(super) fn mend(dir: &Path) -> Result<bool, TailError> {
    let log = mend_queue(dir, LOG_SUFFIX)?;
    let rewritten = mend_queue(dir, REWRITE_SUFFIX)?;
    if rewritten.holds_records && !log.holds_files {
        return Err(TailError::Damaged { file: dir.to_path_buf(), why: "the log's newest files are missing".into() });
    }
    Ok(log.holds_records || rewritten.holds_records)
}

/// What is left of one of raft-engine's two queues of files.
struct Queue {
    holds_files: bool,
    holds_records: bool,
}

fn mend_queue(dir: &Path, suffix: &str) -> Result<Queue, TailError> {
    let files = queue(dir, suffix).map_err(|source| TailError::Io { path: dir.to_path_buf(), source })?;
    if let Some(gap) = files.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0) {
        return Err(TailError::Damaged { file: gap[0].1.clone(), why: "the file after it is missing".into() });
    }
    let mut left = Queue { holds_files: false, holds_records: false };
    for (place, (number, file)) in files.iter().enumerate() {
        let failed = |source| TailError::Io { path: file.clone(), source };
        let content = fs::read(file).map_err(failed)?;
        let is_last = place + 1 == files.len();
        // A record is signed with the low half of its file's number.
        let verdict = judge(&content, *number as u32);
        left.holds_files |= verdict != Verdict::Headless;
        match verdict {
            Verdict::Whole { .. } => {}
            Verdict::Padded { end } => cut(file, end).map_err(failed)?,
            Verdict::Torn { end } if is_last => cut(file, end).map_err(failed)?,
            // Its header is synced before the first record: so it never had one.
            Verdict::Headless if is_last => sealed::remove(file).map_err(failed)?,
            Verdict::Torn { end } | Verdict::Damaged { end } => {
                let why = format!("the record at byte {end} is not what was written");
                return Err(TailError::Damaged { file: file.clone(), why });
            }
            Verdict::Headless => return Err(TailError::Damaged { file: file.clone(), why: "it is empty, and others follow".into() }),
        }
        left.holds_records |= verdict.end() > FILE_HEAD.len();
    }
    Ok(left)
}

fn queue(dir: &Path, suffix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(suffix)).and_then(|name| name.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort_unstable();
    Ok(files)
}

fn cut(file: &Path, end: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(file)?;
    file.set_len(end as u64)?;
    file.sync_all()
}

/// What a file holds. `end` is where its whole records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Whole records to its end.
    Whole { end: usize },
    /// Whole records, then zeros.
    Padded { end: usize },
    /// Whole records, then one that did not arrive.
    Torn { end: usize },
    /// Whole records, then something else.
    Damaged { end: usize },
    /// Not even the file's header arrived.
    Headless,
}

impl Verdict {
    /// Where the whole records end.
    fn end(self) -> usize {
        match self {
            Verdict::Whole { end } | Verdict::Padded { end } | Verdict::Torn { end } | Verdict::Damaged { end } => end,
            Verdict::Headless => 0,
        }
    }
}

fn judge(file: &[u8], signature: u32) -> Verdict {
    let same = file.iter().zip(FILE_HEAD).take_while(|(found, written)| found == written).count();
    if same < FILE_HEAD.len() {
        return if is_zero(&file[same..]) { Verdict::Headless } else { Verdict::Damaged { end: 0 } };
    }
    let mut end = FILE_HEAD.len();
    while let Some(length) = whole_record(&file[end..], signature) {
        end += length;
    }
    match &file[end..] {
        [] => Verdict::Whole { end },
        rest if is_zero(rest) => Verdict::Padded { end },
        rest if is_torn(rest, end, signature) => Verdict::Torn { end },
        _ => Verdict::Damaged { end },
    }
}

/// The head of a record, where it can be one.
#[derive(Clone, Copy, Debug)]
struct Head {
    length: usize,
    items: usize,
}

fn head(bytes: &[u8]) -> Option<Head> {
    let number = |from: usize| bytes.get(from..from + 8).map(|eight| u64::from_be_bytes(eight.try_into().expect("eight bytes")));
    let (first, items) = (number(0)?, usize::try_from(number(8)?).ok()?);
    let length = usize::try_from(first >> 8).ok()?;
    // The low byte says how it is compressed; this program never compresses.
    (first & 0xff == 0 && items >= RECORD_HEAD && length > items + CHECKSUM).then_some(Head { length, items })
}

/// The length of the record at the start of `bytes`, if it is there as it was written.
fn whole_record(bytes: &[u8], signature: u32) -> Option<usize> {
    let Head { length, items } = head(bytes)?;
    let record = bytes.get(..length)?;
    let (entries, footer) = (&record[RECORD_HEAD..items], &record[items..]);
    (is_checked(footer, signature) && (entries.is_empty() || is_checked(entries, 0))).then_some(length)
}

/// Whether `block` ends with the checksum of what is before it.
fn is_checked(block: &[u8], signature: u32) -> bool {
    block
        .split_last_chunk::<CHECKSUM>()
        .is_some_and(|(content, checksum)| crc32fast::hash(content) ^ signature == u32::from_le_bytes(*checksum))
}

/// Whether the bytes from `at` on to the end of the file are one record that did not arrive whole.
fn is_torn(rest: &[u8], at: usize, signature: u32) -> bool {
    let arrived = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if arrived < RECORD_HEAD {
        return true;
    }
    if (1..arrived).any(|from| whole_record(&rest[from..], signature).is_some()) {
        return false;
    }
    let Some(head) = head(rest) else {
        return lacks_sector(&rest[..arrived], at);
    };
    let follows = arrived > head.length;
    if follows || is_whole_of_other_length(&rest[..arrived], head, signature) {
        return false;
    }
    lacks_checksum(rest, head, signature) || lacks_sector(&rest[..arrived], at)
}

/// Whether the record's last four bytes, its checksum, did not arrive, or not all of them.
fn lacks_checksum(rest: &[u8], head: Head, signature: u32) -> bool {
    let content_end = head.length - CHECKSUM;
    let stored: [u8; CHECKSUM] = std::array::from_fn(|place| rest.get(content_end + place).copied().unwrap_or(0));
    let arrived = stored.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match arrived {
        0 => true,
        CHECKSUM => false,
        some => {
            // The content is there, for the end of the checksum is behind it.
            let written = (crc32fast::hash(&rest[head.items..content_end]) ^ signature).to_le_bytes();
            // It may end with zeros of its own; then nothing is missing, and the entries were altered.
            stored[..some] == written[..some] && stored != written
        }
    }
}

/// Whether a sector that was part of the record is still as it was before: zeros.
fn lacks_sector(arrived: &[u8], at: usize) -> bool {
    let first = (SECTOR - at % SECTOR).min(arrived.len());
    // A head begins with some zeros of its own, so a few bytes before a sector's end prove nothing.
    let (start, sectors) = arrived.split_at(first);
    (first >= RECORD_HEAD / 2 && is_zero(start)) || sectors.chunks_exact(SECTOR).any(is_zero)
}

/// Whether the items end with their checksum elsewhere than the head says: then the record arrived, and
/// its length was altered.
fn is_whole_of_other_length(arrived: &[u8], head: Head, signature: u32) -> bool {
    let mut hasher = Hasher::new();
    let behind = |end: usize| -> [u8; CHECKSUM] { std::array::from_fn(|place| arrived.get(end + place).copied().unwrap_or(0)) };
    (head.items..arrived.len()).any(|place| {
        hasher.update(&arrived[place..=place]);
        let end = place + 1;
        end + CHECKSUM != head.length && hasher.clone().finalize() ^ signature == u32::from_le_bytes(behind(end))
    })
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
