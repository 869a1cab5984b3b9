//! Shared by the tests: an API in the process, a mail server, requests for every documented operation.

pub mod app;
pub mod database;
pub mod mailbox;
pub mod valid_requests;
