#![doc = include_str!("../README.md")]

#[cfg(feature = "io")]
pub mod check;
pub mod file;
pub mod folder;
pub mod role;
#[cfg(feature = "io")]
pub mod watch;

#[cfg(feature = "io")]
pub use check::check;
pub use file::{FileError, HostFile, Rules};
pub use folder::FolderChange;
pub use role::HostRole;
#[cfg(feature = "io")]
pub use watch::FolderWatch;
