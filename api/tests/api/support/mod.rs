//! Shared by tests and benchmarks: an API and a worker in the process, accounts, programs, a mail server, and requests for
//! every documented operation.

mod accounts;
mod app;
mod audit;
mod authored_pipelines;
mod database;
mod declared;
mod dovecot;
mod files;
mod imap_server;
pub mod mail_requests;
mod mailbox;
mod mariadb;
mod model_server;
pub mod object_store;
mod openapi;
mod processes;
mod quick_worker;
mod reranker;
mod response;
mod searched;
pub mod second_factor;
mod secrets;
pub mod synced;
pub mod targets;
mod valid_requests;
mod vector_server;
pub mod web_server;

pub use accounts::{PASSWORD, TestAccount};
pub use app::{TestApp, wait_until};
pub use audit::stop_and_count;
pub use authored_pipelines::{Setup, definition};
pub use dovecot::Dovecot;
pub use files::part;
pub use imap_server::{ImapServer, ScriptedMessage};
pub use mailbox::{Mail, Mailbox, Security, create_authority, issue_certificate};
pub use mariadb::MariaDb;
pub use model_server::{ModelRequest, ModelServer, completion, http as model_response};
pub use openapi::{Document, Operation};
pub use processes::{assert_single_error, program, program_command, run, send_signal, spawn, start_second_api, text};
pub use quick_worker::QuickWorker;
pub use reranker::{RERANKED_FILES, Reranked, by_priority, reranked_response};
pub use response::{TestResponse, send};
pub use searched::{Searched, TestFile, hit_names};
pub use valid_requests::{Body, WorkspaceFixture};
pub use vector_server::VectorServer;
