//! Tests of the core from outside: whole machines, and the wire between them.

mod arbitrary;
mod corpus;
mod describe;
mod disk;
mod hostile_frames;
mod mutate;
mod net;
mod scripts;
mod wire;
