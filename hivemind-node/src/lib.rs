//! stub
pub mod storage;
