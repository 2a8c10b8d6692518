#![doc = include_str!("../README.md")]

pub mod args;
pub mod console;
pub mod home;
pub mod screen;
pub mod show;
pub mod sim;
