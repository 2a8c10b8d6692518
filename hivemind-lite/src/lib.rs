//! The whole cluster in one process: for development in real time, and for simulation in virtual time.

pub mod sim;
