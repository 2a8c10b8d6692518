#![doc = include_str!("../README.md")]

pub mod args;
pub mod cluster;
pub mod console;
pub mod greeting;
pub mod home;
pub mod run;
pub mod screen;
pub mod show;
pub mod sim;
