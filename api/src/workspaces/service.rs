//! The steps of changing and deleting a workspace, each under the workspace's lock.

use nvisy_shared::{
    domain::activity::Action,
    id::SpaceId,
    platform::Platform,
    store::{
        self, TransactionTrait, Tx,
        activity::{self, AuditEntry},
        workspace::{Settings, Workspace},
    },
};
use serde_json::json;

use super::wire::ChangeWorkspace;
use crate::{
    auth::member::{DeleteWorkspace, Member, Needs, UpdateWorkspace},
    http::{client_info::Origin, etag::Expected},
    problem::{Code, Problem},
};

pub async fn update(
    platform: &Platform,
    member: &Member<UpdateWorkspace>,
    origin: &Origin,
    expected: Expected,
    change: ChangeWorkspace,
) -> Result<Workspace, Problem> {
    let tx = platform.db.begin().await?;
    let workspace = locked(&tx, member, expected).await?;
    let mut settings = Settings::from(&workspace);
    if let Some(space) = change.default_space_id.map(SpaceId).filter(|space| settings.default_space_id != Some(*space))
    {
        served(platform, space)?;
    }
    let changed = apply(&mut settings, change);
    if changed.is_empty() {
        return Ok(workspace);
    }
    if !store::workspace::update(&tx, member.workspace, &settings).await? {
        return Err(Problem::new(Code::SlugTaken));
    }
    let workspace = find(&tx, member).await?;
    let act = AuditEntry::new(Action::WorkspaceUpdated, member.workspace.0, json!({ "fields": changed }));
    activity::append(&tx, &platform.audit_keys, member.workspace, &origin.by(member.actor()), &[act]).await?;
    tx.commit().await?;
    Ok(workspace)
}

/// Takes over what is given, and names what is other than it was.
fn apply(settings: &mut Settings, change: ChangeWorkspace) -> Vec<&'static str> {
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
    if let Some(limits) = change.limits {
        let mut limit = |field, current: &mut Option<i64>, new: Option<Option<i64>>| {
            if let Some(new) = new {
                set(field, *current != new);
                *current = new;
            }
        };
        limit("limits.files", &mut settings.limit_files, limits.files);
        limit("limits.bytes", &mut settings.limit_bytes, limits.bytes);
        limit("limits.chunks", &mut settings.limit_chunks, limits.chunks);
        limit("limits.runs", &mut settings.limit_runs, limits.runs);
    }
    if let Some(space) = change.default_space_id.map(SpaceId) {
        set("defaultSpaceId", settings.default_space_id != Some(space));
        settings.default_space_id = Some(space);
    }
    changed
}

/// A workspace goes to a space of which vectors are computed now, and to no other: it would find nothing there. Which others
/// there are, because other tenants have them, is told to nobody.
fn served(platform: &Platform, space: SpaceId) -> Result<(), Problem> {
    if space == platform.space {
        return Ok(());
    }
    Err(Problem::not_found().detail(format!("the embedding space of this server is {}", platform.space)))
}

pub async fn delete(
    platform: &Platform,
    member: &Member<DeleteWorkspace>,
    origin: &Origin,
    expected: Expected,
) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    locked(&tx, member, expected).await?;
    let withdrawn = store::workspace::delete(&tx, member.workspace).await?;
    let mut acts = vec![AuditEntry::new(Action::WorkspaceDeleted, member.workspace.0, json!({}))];
    acts.extend(withdrawn.into_iter().map(|invite| invite.audit_entry("workspace_deleted")));
    activity::append(&tx, &platform.audit_keys, member.workspace, &origin.by(member.actor()), &acts).await?;
    tx.commit().await?;
    Ok(())
}

/// The workspace as it is, locked, if it is still the one that the caller has seen.
async fn locked<P: Needs>(tx: &Tx, member: &Member<P>, expected: Expected) -> Result<Workspace, Problem> {
    member.lock(tx).await?;
    let workspace = find(tx, member).await?;
    match expected.revisions() {
        Some(revisions) if !revisions.contains(&workspace.revision) => Err(Problem::new(Code::PreconditionFailed)),
        _ => Ok(workspace),
    }
}

async fn find<P>(tx: &Tx, member: &Member<P>) -> Result<Workspace, Problem> {
    store::workspace::of_member(tx, member.workspace, member.account).await?.ok_or_else(Problem::not_found)
}
