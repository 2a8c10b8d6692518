//! Putting a voter's log and snapshots together when they are opened.

use bytes::Bytes;
use hivemind_core::storage::{LogSnapshot, RecoveredLog};
use protobuf::Message as _;
use raft::eraftpb::HardState;
use raft_engine::env::FileSystem;
use thiserror::Error;

use super::error::WriteError;
use super::raft_log::{LogContent, LogError, RaftLog};
use super::sealed::SealError;
use super::snapshots::{self, Found, Mark, Snapshots};

/// Why a log and its snapshots do not make one state.
#[derive(Debug, Error)]
pub(super) enum RecoveryError {
    /// As when opening the log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was found out could not be made durable.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The newest state that `content` and the snapshots make: the newest snapshot that can be read, if the
/// log continues from it, and the entries that belong to it.
///
/// # Errors
/// [`RecoveryError`]: something that was acknowledged is not there any more, or the disk failed.
pub(super) fn recover<F: FileSystem>(
    log: &mut RaftLog<F>,
    content: LogContent,
    snapshots: &Snapshots,
) -> Result<RecoveredLog, RecoveryError> {
    let found = snapshots.list().map_err(|source| LogError::Io { path: log.dir().to_path_buf(), source })?;
    let (snapshot, unreadable) = newest_readable(log, &found);
    let written = snapshot.as_ref().map(|snapshot| Mark { index: snapshot.index, term: snapshot.term });
    let unread = content.mark.filter(|mark| written.is_none_or(|written| written.index < mark.index));
    if let Some(mark) = unread.filter(|mark| !reaches(&content, written, *mark)) {
        let why = unreadable.map_or_else(|| "it is missing".into(), |error| error.to_string());
        let why = format!("{why}, and the log does not reach back before it");
        return Err(LogError::Damaged { file: snapshots.place(mark), why }.into());
    }
    let LogContent { hard_state, mark, mut entries } = content;
    if let Some(written) = written.filter(|written| mark.is_none_or(|mark| mark.index < written.index)) {
        // A crash came between the snapshot and the log's word of it.
        log.acknowledge(written)?;
        log.commit()?;
        if log.span().is_none() {
            entries.clear();
        }
    }
    let recovered = RecoveredLog { snapshot, hard_state, entries };
    match misfit(&recovered) {
        None => Ok(recovered),
        Some(why) => Err(LogError::Damaged { file: log.dir().to_path_buf(), why }.into()),
    }
}

/// The newest snapshot of the log's group that can be read, and what is wrong with the newest that can not.
fn newest_readable<F: FileSystem>(log: &RaftLog<F>, found: &[Found]) -> (Option<LogSnapshot>, Option<SealError>) {
    let mut unreadable = None;
    for file in found {
        match snapshots::read(file, log.group()) {
            Ok(Some(snapshot)) => return (Some(snapshot), unreadable),
            // Of an earlier part in a group; a crash left it.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(file = %file.path.display(), %error, "a snapshot is damaged");
                unreadable.get_or_insert(error);
            }
        }
    }
    (None, unreadable)
}

/// Whether the entries lead from the older snapshot `from`, or from the beginning, to the one at `mark`
/// that can not be read.
fn reaches(content: &LogContent, from: Option<Mark>, mark: Mark) -> bool {
    let base = from.map_or(0, |from| from.index);
    let begins = content.entries.first().is_some_and(|first| first.index <= base + 1);
    begins && content.entries.iter().any(|entry| entry.index == mark.index && entry.term == mark.term)
}

/// What of a state can not be: damage that no checksum shows, such as a file that is gone.
fn misfit(recovered: &RecoveredLog) -> Option<String> {
    let base = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
    if let Some(first) = recovered.entries.first().filter(|first| first.index > base + 1) {
        return Some(format!("it begins at entry {}, and the newest snapshot ends at {base}", first.index));
    }
    let last = recovered.entries.last().map_or(base, |last| last.index.max(base));
    match committed(recovered.hard_state.as_ref()) {
        None => Some("its hard state can not be read".into()),
        Some(commit) if commit > last => Some(format!("entry {commit} was committed, and it ends at {last}")),
        Some(_) => None,
    }
}

fn committed(hard_state: Option<&Bytes>) -> Option<u64> {
    let Some(bytes) = hard_state else {
        return Some(0);
    };
    let mut hard_state = HardState::default();
    hard_state.merge_from_bytes(bytes).ok().map(|()| hard_state.commit)
}
