mod log;
mod net;
mod scale;
