//! `just bench-sync`: syncs compared with the bare clients of the systems that they read, and the memory of the worker.

mod bare_store;
mod cpu;
mod generated_store;
pub mod large_object;
pub mod listing;
mod measured_sync;
mod memory;
pub mod objects;
mod outside_table;
pub mod rows;
