//! Creating a workspace, and changing and deleting it under its lock.

use nvisy_shared::{
    domain::activity::Action,
    platform::Platform,
    store::{
        self, Tx,
        activity::AuditEntry,
        change::Change,
        workspace::{Workspace, WorkspaceSettings},
    },
};
use serde_json::json;

use crate::{
    auth::{
        account::SignedIn,
        member::{DeleteWorkspace, Member, RequiredPermission, UpdateWorkspace},
    },
    http::{client_info::ClientInfo, etag::check_revision},
    problem::{Code, Problem},
    quota,
    state::State,
};

/// The settings to change; `None`: unchanged.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    pub name: Option<String>,
    pub slug: Option<String>,
    /// `Some(None)`: files are kept.
    pub retention_days: Option<Option<i32>>,
    pub limits: LimitsChange,
    /// In millionths; `Some(None)`: no limit.
    pub monthly_budget: Option<Option<i64>>,
}

/// The workspace's own limits to change; `Some(None)`: no limit but the deployment's.
#[derive(Clone, Debug, Default)]
pub struct LimitsChange {
    pub files: Option<Option<i64>>,
    pub bytes: Option<Option<i64>>,
    pub chunks: Option<Option<i64>>,
    pub runs: Option<Option<i64>>,
    pub collections: Option<Option<i64>>,
}

pub async fn create(
    state: &State,
    change: &mut Change,
    account: &SignedIn,
    name: &str,
    slug: Option<&str>,
) -> Result<Workspace, Problem> {
    let platform = &state.platform;
    quota::check_workspace_count(change, platform, account.id).await?;
    let (pipeline, space) = (&state.default_pipeline, platform.spaces.default().id);
    let workspace = store::workspace::insert(change, name, slug, account.id, pipeline, space).await?;
    let workspace = workspace.ok_or_else(|| Problem::new(Code::SlugTaken))?;
    change.audit_in(workspace.id, AuditEntry::new(Action::WorkspaceCreated, workspace.id, json!({})));
    Ok(workspace)
}

pub async fn update(
    platform: &Platform,
    member: &Member<UpdateWorkspace>,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
    requested: SettingsChange,
) -> Result<Workspace, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let workspace = lock_revision(change, member, revisions.as_deref()).await?;
            let mut settings = WorkspaceSettings::from(&workspace);
            let changed = apply(&mut settings, requested.clone());
            if changed.is_empty() {
                return Ok(workspace);
            }
            if !store::workspace::update(change, member.workspace, &settings).await? {
                return Err(Problem::new(Code::SlugTaken));
            }
            change.audit_with(Action::WorkspaceUpdated, member.workspace, json!({ "fields": changed }));
            find(change, member).await
        })
        .await
}

/// Applies the change; returns the names of the fields that differ.
fn apply(settings: &mut WorkspaceSettings, change: SettingsChange) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let mut set = |field, differs: bool| {
        if differs {
            changed.push(field);
        }
    };
    if let Some(name) = change.name.map(|name| name.trim().to_owned()) {
        set("name", settings.name != name);
        settings.name = name;
    }
    if let Some(slug) = change.slug {
        set("slug", settings.slug != slug);
        settings.slug = slug;
    }
    if let Some(days) = change.retention_days {
        set("retentionDays", settings.retention_days != days);
        settings.retention_days = days;
    }
    let mut amount = |field, current: &mut Option<i64>, new: Option<Option<i64>>| {
        if let Some(new) = new {
            set(field, *current != new);
            *current = new;
        }
    };
    amount("limits.files", &mut settings.limit_files, change.limits.files);
    amount("limits.bytes", &mut settings.limit_bytes, change.limits.bytes);
    amount("limits.chunks", &mut settings.limit_chunks, change.limits.chunks);
    amount("limits.runs", &mut settings.limit_runs, change.limits.runs);
    amount("limits.collections", &mut settings.limit_collections, change.limits.collections);
    amount("monthlyBudget", &mut settings.monthly_budget, change.monthly_budget);
    changed
}

pub async fn delete(
    platform: &Platform,
    member: &Member<DeleteWorkspace>,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            lock_revision(change, member, revisions.as_deref()).await?;
            change.audit(Action::WorkspaceDeleted, member.workspace);
            for invite in store::workspace::delete(change, member.workspace).await? {
                change.audit_entry(invite.audit_entry("workspace_deleted"));
            }
            Ok(())
        })
        .await
}

/// Locks the workspace; 412 unless it has one of these revisions.
async fn lock_revision<P: RequiredPermission>(
    tx: &Tx,
    member: &Member<P>,
    revisions: Option<&[i32]>,
) -> Result<Workspace, Problem> {
    member.lock(tx).await?;
    let workspace = find(tx, member).await?;
    check_revision(workspace.revision, revisions)?;
    Ok(workspace)
}

async fn find<P>(tx: &Tx, member: &Member<P>) -> Result<Workspace, Problem> {
    store::workspace::find(tx, member.workspace, member.account).await?.ok_or_else(Problem::not_found)
}
