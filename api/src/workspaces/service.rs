//! Creating a workspace, and changing and deleting it under its lock.

use nvisy_shared::{
    domain::activity::Action,
    id::SpaceId,
    platform::Platform,
    store::{
        self, TransactionTrait, Tx,
        activity::{self, AuditEntry},
        workspace::{Workspace, WorkspaceSettings},
    },
};
use serde_json::json;

use crate::{
    auth::{
        account::SignedIn,
        member::{DeleteWorkspace, Member, RequiredPermission, UpdateWorkspace},
    },
    http::client_info::ClientInfo,
    problem::{Code, Problem},
    quota,
    state::State,
};

/// The settings to change; `None`: unchanged.
#[derive(Debug, Default)]
pub struct SettingsChange {
    pub name: Option<String>,
    pub slug: Option<String>,
    /// `Some(None)`: files are kept.
    pub retention_days: Option<Option<i32>>,
    pub limits: LimitsChange,
    pub default_space_id: Option<SpaceId>,
}

/// The workspace's own limits to change; `Some(None)`: no limit but the deployment's.
#[derive(Debug, Default)]
pub struct LimitsChange {
    pub files: Option<Option<i64>>,
    pub bytes: Option<Option<i64>>,
    pub chunks: Option<Option<i64>>,
    pub runs: Option<Option<i64>>,
}

pub async fn create(
    state: &State,
    tx: &Tx,
    account: &SignedIn,
    client: &ClientInfo,
    name: &str,
    slug: Option<&str>,
) -> Result<Workspace, Problem> {
    let platform = &state.platform;
    quota::check_workspace_count(tx, platform, account.id).await?;
    let (pipeline, space) = (&state.default_pipeline, platform.space);
    let workspace = store::workspace::insert(tx, name, slug, account.id, pipeline, space).await?;
    let workspace = workspace.ok_or_else(|| Problem::new(Code::SlugTaken))?;
    let entry = AuditEntry::new(Action::WorkspaceCreated, workspace.id.0, json!({}));
    let context = client.actor_context(account.actor());
    activity::append(tx, &platform.audit_keys, workspace.id, &context, &[entry]).await?;
    Ok(workspace)
}

pub async fn update(
    platform: &Platform,
    member: &Member<UpdateWorkspace>,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
    change: SettingsChange,
) -> Result<Workspace, Problem> {
    let tx = platform.db.begin().await?;
    let workspace = lock_revision(&tx, member, revisions).await?;
    let mut settings = WorkspaceSettings::from(&workspace);
    if let Some(space) = change.default_space_id.filter(|space| settings.default_space_id != Some(*space)) {
        require_served_space(platform, space)?;
    }
    let changed = apply(&mut settings, change);
    if changed.is_empty() {
        return Ok(workspace);
    }
    if !store::workspace::update(&tx, member.workspace, &settings).await? {
        return Err(Problem::new(Code::SlugTaken));
    }
    let workspace = find(&tx, member).await?;
    let entry = AuditEntry::new(Action::WorkspaceUpdated, member.workspace.0, json!({ "fields": changed }));
    activity::append(&tx, &platform.audit_keys, member.workspace, &client.actor_context(member.actor()), &[entry])
        .await?;
    tx.commit().await?;
    Ok(workspace)
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
    let mut limit = |field, current: &mut Option<i64>, new: Option<Option<i64>>| {
        if let Some(new) = new {
            set(field, *current != new);
            *current = new;
        }
    };
    limit("limits.files", &mut settings.limit_files, change.limits.files);
    limit("limits.bytes", &mut settings.limit_bytes, change.limits.bytes);
    limit("limits.chunks", &mut settings.limit_chunks, change.limits.chunks);
    limit("limits.runs", &mut settings.limit_runs, change.limits.runs);
    if let Some(space) = change.default_space_id {
        set("defaultSpaceId", settings.default_space_id != Some(space));
        settings.default_space_id = Some(space);
    }
    changed
}

/// A workspace can only use the space that this server computes vectors of: in another one, search would find nothing. Other
/// tenants' spaces are not revealed.
fn require_served_space(platform: &Platform, space: SpaceId) -> Result<(), Problem> {
    if space == platform.space {
        return Ok(());
    }
    Err(Problem::not_found().detail(format!("the embedding space of this server is {}", platform.space)))
}

pub async fn delete(
    platform: &Platform,
    member: &Member<DeleteWorkspace>,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    lock_revision(&tx, member, revisions).await?;
    let withdrawn = store::workspace::delete(&tx, member.workspace).await?;
    let mut entries = vec![AuditEntry::new(Action::WorkspaceDeleted, member.workspace.0, json!({}))];
    entries.extend(withdrawn.into_iter().map(|invite| invite.audit_entry("workspace_deleted")));
    activity::append(&tx, &platform.audit_keys, member.workspace, &client.actor_context(member.actor()), &entries)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Locks the workspace; 412 unless it has one of these revisions.
async fn lock_revision<P: RequiredPermission>(
    tx: &Tx,
    member: &Member<P>,
    revisions: Option<Vec<i32>>,
) -> Result<Workspace, Problem> {
    member.lock(tx).await?;
    let workspace = find(tx, member).await?;
    match revisions {
        Some(revisions) if !revisions.contains(&workspace.revision) => Err(Problem::new(Code::PreconditionFailed)),
        _ => Ok(workspace),
    }
}

async fn find<P>(tx: &Tx, member: &Member<P>) -> Result<Workspace, Problem> {
    store::workspace::find(tx, member.workspace, member.account).await?.ok_or_else(Problem::not_found)
}
