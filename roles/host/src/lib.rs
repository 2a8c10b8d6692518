#![doc = include_str!("../README.md")]

#[cfg(feature = "io")]
pub mod check;
pub mod file;
pub mod folder;
pub mod parts;
mod reported;
pub mod role;
#[cfg(feature = "io")]
pub mod watch;

#[cfg(feature = "io")]
pub use check::{check, check_parts};
pub use file::{FileError, HostFile, Rules};
pub use folder::FolderChange;
pub use parts::Parts;
pub use role::HostRole;
#[cfg(feature = "io")]
pub use watch::FolderWatch;
