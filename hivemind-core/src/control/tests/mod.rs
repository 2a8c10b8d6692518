//! Tests of the control plane: a small net of them on a virtual clock.

mod net;

mod access;
mod authorities;
mod commands;
mod elections;
mod faults;
mod features;
mod group;
mod handing;
mod hostile;
mod joint;
mod recovery;
mod rules;
mod scripts;
mod snapshots;
mod strangers;
mod wishes;
