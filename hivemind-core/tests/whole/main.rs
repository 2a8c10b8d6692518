//! Tests of the core from outside: whole machines, and the wire between them.

mod describe;
mod disk;
mod net;
mod scripts;
