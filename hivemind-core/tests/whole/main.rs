//! Tests of the core from outside: whole machines, and the wire between them.

mod arbitrary;
mod corpus;
mod describe;
mod disk;
mod enrollment;
mod features;
mod hostile_frames;
mod leaving;
mod liar;
mod lost_disk;
mod moved;
mod mutate;
mod net;
mod outages;
mod parted;
mod returning;
mod scripts;
mod wire;
