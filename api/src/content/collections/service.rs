//! Creating, changing and deleting collections, under the workspace's lock.

use nvisy_shared::{
    domain::{activity::Action, event::EventType, quota::Resource},
    id::{SpaceId, WorkspaceId},
    pipeline::node::{
        NodeSpec,
        sink_collection::{DEFAULT_COLLECTION, SinkCollection},
    },
    platform::Platform,
    store::{
        self, Conn, Tx,
        change::Change,
        collection::{Collection, CollectionKey, CollectionSettings, NewCollection},
    },
};
use serde::Serialize;
use serde_json::{Value, json};

use super::model::{RequestedSpace, requested_space};
use crate::{
    auth::member::{Member, WriteCollections},
    definition::require_unused,
    http::{client_info::ClientInfo, etag::check_revision},
    problem::{Code, Problem},
    quota,
};

/// The fields to change; `None`: unchanged.
#[derive(Debug)]
pub struct CollectionChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub space: RequestedSpace,
    /// `Some(None)`: no limit.
    pub max_chunks: Option<Option<i64>>,
    pub history_days: Option<i32>,
}

/// A collection to create.
#[derive(Debug, Serialize)]
pub struct RequestedCollection {
    pub name: String,
    pub description: String,
    pub space: RequestedSpace,
    pub max_chunks: Option<i64>,
    pub history_days: i32,
}

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, key: &CollectionKey) -> Result<Collection, Problem> {
    store::collection::find(conn, workspace, key).await?.ok_or_else(Problem::not_found)
}

pub async fn create(
    change: &mut Change,
    platform: &Platform,
    member: &Member<WriteCollections>,
    requested: &RequestedCollection,
) -> Result<Collection, Problem> {
    let RequestedCollection { name, description, space, max_chunks, history_days } = requested;
    // The lock makes concurrent creations see each other.
    member.lock(change).await?;
    let space = requested_space(change, platform, member.workspace, space).await?;
    let space = space.unwrap_or(platform.spaces.default().id);
    let new = NewCollection { name, description, space: Some(space), max_chunks: *max_chunks };
    let created = store::collection::insert(change, member.workspace, &new).await?;
    let id = created.ok_or_else(name_taken)?;
    if *history_days > 0 {
        store::history::set_days(change, member.workspace, id, *history_days).await?;
    }
    quota::check(change, platform, member.workspace, &[Resource::Collections]).await?;
    change.audit(Action::CollectionCreated, id);
    change.emit(EventType::CollectionCreated, id, json!({ "name": name }));
    find(change.tx(), member.workspace, &CollectionKey::Id(id)).await
}

pub async fn update(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    key: &CollectionKey,
    revisions: Option<Vec<i32>>,
    requested: CollectionChange,
) -> Result<Collection, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let row = lock(change, member, key, revisions.as_deref()).await?;
            let space = requested_space(change, platform, member.workspace, &requested.space).await?;
            apply(change, member.workspace, row, &requested, space).await
        })
        .await
}

/// Applies the change to a locked collection.
async fn apply(
    change: &mut Change,
    workspace: WorkspaceId,
    row: Collection,
    requested: &CollectionChange,
    space: Option<SpaceId>,
) -> Result<Collection, Problem> {
    let mut settings = CollectionSettings {
        name: row.name.clone(),
        description: row.description.clone(),
        space_id: row.space_id,
        max_chunks: row.max_chunks,
    };
    let mut changed = Vec::new();
    if let Some(name) = requested.name.as_ref().filter(|name| **name != row.name) {
        require_not_default(&row, "it keeps its name")?;
        require_unused(change.tx(), workspace, &sink_of(&row.name)).await?;
        settings.name.clone_from(name);
        changed.push("name");
    }
    if let Some(description) = requested.description.as_ref().filter(|text| **text != row.description) {
        settings.description.clone_from(description);
        changed.push("description");
    }
    if space.is_some() && space != row.space_id {
        if row.vectors > 0 {
            return Err(Problem::new(Code::HasVectors));
        }
        if store::second_space::find(change.tx(), workspace, row.id).await?.is_some() {
            return Err(Problem::new(Code::SecondSpaceExists));
        }
        settings.space_id = space;
        changed.push("model");
    }
    if let Some(max_chunks) = requested.max_chunks.filter(|max_chunks| *max_chunks != row.max_chunks) {
        settings.max_chunks = max_chunks;
        changed.push("maxChunks");
    }
    let history_days = requested.history_days.filter(|days| *days != row.history_days);
    if history_days.is_some() {
        changed.push("historyDays");
    }
    if changed.is_empty() {
        return Ok(row);
    }
    if !store::collection::update(change, workspace, row.id, &settings).await? {
        return Err(name_taken());
    }
    if let Some(days) = history_days {
        store::history::set_days(change, workspace, row.id, days).await?;
    }
    let details = json!({ "fields": changed });
    change.audit_with(Action::CollectionUpdated, row.id, details.clone());
    change.emit(EventType::CollectionUpdated, row.id, details);
    find(change.tx(), workspace, &CollectionKey::Id(row.id)).await
}

pub async fn delete(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    key: &CollectionKey,
    revisions: Option<Vec<i32>>,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let row = lock(change, member, key, revisions.as_deref()).await?;
            require_not_default(&row, "it can be emptied by deleting files")?;
            require_unused(change.tx(), member.workspace, &sink_of(&row.name)).await?;
            store::collection::delete(change, member.workspace, row.id).await?;
            change.audit(Action::CollectionDeleted, row.id);
            change.emit(EventType::CollectionDeleted, row.id, json!({}));
            Ok(())
        })
        .await
}

/// The settings that every sink into a collection has.
fn sink_of(collection: &str) -> Value {
    json!({ "type": SinkCollection::TYPE, "collection": collection })
}

fn name_taken() -> Problem {
    Problem::new(Code::NameTaken)
}

/// 409 for the collection that every workspace has, which the built-in pipeline writes to.
fn require_not_default(row: &Collection, detail: &'static str) -> Result<(), Problem> {
    if row.name == DEFAULT_COLLECTION {
        return Err(Problem::new(Code::DefaultCollection).detail(detail));
    }
    Ok(())
}

/// Locks workspace and collection; 412 unless it has one of these revisions.
pub async fn lock(
    tx: &Tx,
    member: &Member<WriteCollections>,
    key: &CollectionKey,
    revisions: Option<&[i32]>,
) -> Result<Collection, Problem> {
    member.lock(tx).await?;
    let id = find(tx, member.workspace, key).await?.id;
    if !store::collection::lock(tx, member.workspace, id).await? {
        return Err(Problem::not_found());
    }
    // Read under the lock: the first vectors may have decided on the space meanwhile.
    let row = find(tx, member.workspace, &CollectionKey::Id(id)).await?;
    check_revision(row.revision, revisions)?;
    Ok(row)
}
