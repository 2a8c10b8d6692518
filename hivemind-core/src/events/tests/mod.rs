mod lies;
mod log;
mod net;
mod scale;
