//! `hivemind-lite sim`: a deterministic world in virtual time around machines, with faults from a seed.
//!
//! | module | job |
//! |---|---|
//! | [`world`] | nodes, one queue of what happens, inputs in and effects out |
//! | [`network`], [`cut`], [`disk`], [`clock`], [`pace`], [`keys`] | what a node touches, simulated |
//! | [`profile`], [`mishap`], [`lies`], [`incidents`] | which faults there are, how often, and which happened |
//! | [`checkers`] | what must never happen, judged after every step |
//! | [`bounds`] | how long things may take once faults stop |
//! | [`roles`], [`node`], [`formed`] | what runs on a simulated node, and the disks of a cluster that was formed before |
//! | [`clients`] | who proposes and reads, so that it can be judged |
//! | [`watch`], [`samples`], [`traffic`], [`trace`] | what is measured and remembered |
//! | [`cluster`] | plain verbs over a world, for scenarios in tests |
//! | [`scenario`], [`sweep`], [`summary`], [`command`] | what `hivemind-lite sim` runs and tells |
//!
//! Nothing that decides reads a clock or iterates in an order that is not its keys': one seed, one trace.

pub mod bounds;
pub mod checkers;
pub mod clients;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod cut;
pub mod disk;
pub mod formed;
pub mod incidents;
pub mod keys;
pub mod lies;
pub mod mishap;
pub mod network;
pub mod node;
pub mod pace;
pub mod profile;
pub mod queue;
pub mod roles;
pub mod samples;
pub mod scenario;
pub mod summary;
pub mod sweep;
pub mod trace;
pub mod traffic;
pub mod watch;
pub mod world;
