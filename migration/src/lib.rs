//! The database schema as an ordered list of migrations, one file per group of tables. A released migration never changes.
//!
//! This crate depends on none of the others.

mod apply;
mod error;
mod grant;
mod m0001_installation;
mod m0002_accounts;
mod m0003_workspaces;
mod m0004_mail;
mod m0005_files;
mod m0006_pipelines;
mod m0007_chunks;
mod m0008_usage;
mod m0009_jobs;
mod m0010_events;
mod m0011_activity;
mod m0012_requests;
mod m0013_collections;
mod m0014_runs;
mod m0015_file_revisions;
mod m0016_staleness;
mod m0017_collection_limits;
mod m0018_artifact_parts;
mod m0019_services;
mod m0020_connections;
mod m0021_sync;
mod m0022_external_targets;
mod m0023_postings;
mod m0024_connection_spaces;
mod m0025_workspace_budget;
mod m0026_source_notifications;
mod m0027_kept_of_objects;
mod m0028_second_spaces;
mod m0029_incomplete_files;
mod m0030_evaluations;
mod m0031_query_samples;
mod m0032_source_listeners;
mod m0033_binary_spaces;
mod m0034_synonyms;
mod m0035_history;
mod m0036_chunk_changes;
mod m0037_failed_items;
mod m0038_worker_spaces;
mod m0039_run_webhooks;
mod m0040_lost_work;
mod m0045_parallel_calls;
mod requirements;
mod script;

use std::hash::{DefaultHasher, Hash, Hasher};

pub use apply::{History, apply, connect, revert, status};
pub use error::ApplyError;
pub use grant::{apply_as, grant};
pub use requirements::{ServerInfo, Unsupported};
use script::Script;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Every migration, oldest first.
const SCRIPTS: [Script; 41] = [
    m0001_installation::SCRIPT,
    m0002_accounts::SCRIPT,
    m0003_workspaces::SCRIPT,
    m0004_mail::SCRIPT,
    m0005_files::SCRIPT,
    m0006_pipelines::SCRIPT,
    m0007_chunks::SCRIPT,
    m0008_usage::SCRIPT,
    m0009_jobs::SCRIPT,
    m0010_events::SCRIPT,
    m0011_activity::SCRIPT,
    m0012_requests::SCRIPT,
    m0013_collections::SCRIPT,
    m0014_runs::SCRIPT,
    m0015_file_revisions::SCRIPT,
    m0016_staleness::SCRIPT,
    m0017_collection_limits::SCRIPT,
    m0018_artifact_parts::SCRIPT,
    m0019_services::SCRIPT,
    m0020_connections::SCRIPT,
    m0021_sync::SCRIPT,
    m0022_external_targets::SCRIPT,
    m0023_postings::SCRIPT,
    m0024_connection_spaces::SCRIPT,
    m0025_workspace_budget::SCRIPT,
    m0026_source_notifications::SCRIPT,
    m0027_kept_of_objects::SCRIPT,
    m0028_second_spaces::SCRIPT,
    m0029_incomplete_files::SCRIPT,
    m0030_evaluations::SCRIPT,
    m0031_query_samples::SCRIPT,
    m0032_source_listeners::SCRIPT,
    m0033_binary_spaces::SCRIPT,
    m0034_synonyms::SCRIPT,
    m0035_history::SCRIPT,
    m0036_chunk_changes::SCRIPT,
    m0037_failed_items::SCRIPT,
    m0038_worker_spaces::SCRIPT,
    m0039_run_webhooks::SCRIPT,
    m0040_lost_work::SCRIPT,
    m0045_parallel_calls::SCRIPT,
];

/// The migrations, for the library that applies them.
#[derive(Debug)]
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        SCRIPTS.iter().map(|script| Box::new(*script) as Box<dyn MigrationTrait>).collect()
    }
}

/// Identifies the schema of this program: a hash of all scripts. Differs between compilers.
#[must_use]
pub fn fingerprint() -> String {
    let mut hasher = DefaultHasher::new();
    SCRIPTS.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
