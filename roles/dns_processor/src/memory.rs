//! What a server keeps over its restarts, in a file of a few hundred octets at most, mostly of none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;
use hivemind_core::wire::codec;
use hivemind_core::wire::config::Section;

use crate::zone::{LastGood, Zone};

/// As much as is kept. Only where very many hosts are wrong at once is it more; then the first of them are kept.
const LIMIT: usize = 16 << 20;
/// What stands around a section at most: names and lengths.
const OVERHEAD: usize = 256;

/// The file of the sections that are in force though their hosts have published others since, which are wrong.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    /// What is in the file.
    kept: Vec<LastGood>,
    /// Whether it was said that the file can not be written.
    told: bool,
}

impl Memory {
    /// Reads the file, where there is one. One that can not be read is as good as none: what it held is published anew by who mends it.
    pub fn open(path: PathBuf) -> Self {
        let kept = match fs::read(&path) {
            Ok(octets) => decode(&octets).unwrap_or_else(|| {
                tracing::warn!(file = %path.display(), "the last good sections are damaged and forgotten");
                Vec::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the last good sections can not be read and are forgotten");
                Vec::new()
            }
        };
        Memory { path, kept, told: false }
    }

    /// What is kept.
    pub fn last_good(&self) -> &[LastGood] {
        &self.kept
    }

    /// Writes down what is in force of `zone` and not published any more, where that has changed. It is tried again with the next zone where
    /// the disk fails.
    pub(crate) async fn keep(&mut self, zone: &Zone) {
        let last_good = zone.last_good();
        if last_good == self.kept {
            return;
        }
        let (path, octets) = (self.path.clone(), encode(&last_good));
        let written = tokio::task::spawn_blocking(move || replace(&path, octets.as_deref())).await;
        match written.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            Ok(()) => (self.kept, self.told) = (last_good, false),
            Err(_) if self.told => {}
            Err(error) => {
                self.told = true;
                tracing::warn!(file = %self.path.display(), %error, "the last good sections are not kept over a restart");
            }
        }
    }
}

/// `None` where there is nothing to keep.
fn encode(last_good: &[LastGood]) -> Option<Vec<u8>> {
    let mut room = LIMIT / 2;
    let fits = |host: &&LastGood| {
        let size = host.sections.iter().map(|section| section.body.len() + OVERHEAD).sum();
        room.checked_sub(size).map(|left| room = left).is_some()
    };
    let plain: Vec<(&NodeName, &[Section])> =
        last_good.iter().take_while(fits).map(|host| (&host.name, host.sections.as_slice())).collect();
    (!plain.is_empty()).then(|| codec::encode(&plain))
}

fn decode(octets: &[u8]) -> Option<Vec<LastGood>> {
    let plain: Vec<(NodeName, Vec<Section>)> = codec::decode::<_, LIMIT>(octets).ok()?;
    Some(plain.into_iter().map(|(name, sections)| LastGood { name, sections }).collect())
}

/// Replaces the file as a whole, for its owner alone, or removes it.
fn replace(path: &Path, octets: Option<&[u8]>) -> io::Result<()> {
    let Some(octets) = octets else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    let beside = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
