//! Tables as SeaORM entities, without logic and without `Serialize`, so that a row cannot become a response by accident.
//! The migrations in `migration/` document the columns.
#![allow(missing_docs)]

pub mod account;
pub mod activity;
pub mod api_token;
pub mod artifact;
pub mod artifact_part;
pub mod avatar;
pub mod blob;
pub mod chunk;
pub mod chunk_change;
pub mod collection;
pub mod collection_usage;
pub mod connection;
pub mod dead_job;
pub mod embedding;
pub mod embedding_space;
pub mod evaluated_query;
pub mod evaluation;
pub mod event;
pub mod file;
pub mod file_version;
pub mod idempotency;
pub mod installation;
pub mod invite;
pub mod job;
pub mod judged_query;
pub mod judgement;
pub mod mail;
pub mod member;
pub mod pipeline;
pub mod pipeline_version;
pub mod query_sample;
pub mod query_set;
pub mod recovery_code;
pub mod refresh_token;
pub mod run;
pub mod run_item;
pub mod run_item_log;
pub mod second_space;
pub mod session;
pub mod sign_up_permit;
pub mod snapshot;
pub mod target;
pub mod totp;
pub mod workspace;
