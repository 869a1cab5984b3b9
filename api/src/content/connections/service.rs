//! Creating, changing and deleting connections, under the workspace's lock.

use nvisy_shared::{
    crypt::{self, KeyPurpose},
    domain::{
        activity::Action,
        connection::{self, Address, embedding::EmbeddingSettings},
        event::EventType,
    },
    entity::connection::Model,
    id::{ConnectionId, WorkspaceId},
    outbound::OutboundFailure,
    platform::Platform,
    secret::Secret,
    store::{
        self, Conn, Tx,
        change::Change,
        connection::{ConnectionSettings, NewConnection},
    },
};
use serde_json::{Value, json};

use super::wire::{ChangeConnection, Connection, CreateConnection};
use crate::{
    auth::member::{Member, WriteConnections},
    http::{client_info::ClientInfo, etag::check_revision, extract::invalid_field},
    problem::{Code, FieldError, Problem},
};

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<Model, Problem> {
    store::connection::find(conn, workspace, id).await?.ok_or_else(Problem::not_found)
}

/// A connection with why it is not called for now.
pub async fn view(conn: &impl Conn, workspace: WorkspaceId, row: Model) -> Result<Connection, Problem> {
    let blocks = store::connection::blocks(conn, workspace).await?;
    Ok(Connection::new(row, &blocks))
}

/// 422 with every field that the provider does not accept.
fn validate(
    platform: &Platform,
    provider: &str,
    settings: &Value,
    credentials: Option<&Secret<Value>>,
    has_credentials: bool,
) -> Result<(), Problem> {
    connection::validate(provider, settings, credentials.map(Secret::expose)).map_err(|problems| {
        Problem::invalid(problems.into_iter().map(|one| FieldError::new(one.field, one.message)).collect())
    })?;
    let needs_credentials = connection::provider(provider).is_some_and(|provider| provider.needs_credentials);
    if needs_credentials && credentials.is_none() && !has_credentials {
        return Err(invalid_field("credentials", "must be set for this provider"));
    }
    // Names are resolved and checked at every call; an address in the URL is known now.
    if let Some(Address { field, url }) = address(provider, settings) {
        let blocked = |failure: OutboundFailure| invalid_field(&format!("settings.{field}"), failure.to_string());
        platform.outbound.check_host(&url).map_err(blocked)?;
    }
    Ok(())
}

/// The server that the settings lead to.
fn address(provider: &str, settings: &Value) -> Option<Address> {
    connection::provider(provider)?.address(settings)
}

/// The credentials sealed, with the key's generation. Workers alone open them.
fn seal(
    platform: &Platform,
    workspace: WorkspaceId,
    id: ConnectionId,
    credentials: &Secret<Value>,
) -> Result<(i32, Vec<u8>), Problem> {
    let key = platform.keys.derive(workspace, KeyPurpose::Connection);
    let generation = i32::try_from(key.generation()).map_err(Problem::internal)?;
    let bytes = Secret::new(credentials.expose().to_string().into_bytes());
    Ok((generation, crypt::envelope::seal(&key, &crypt::connection_owner(workspace, id), &bytes)))
}

pub async fn create(
    change: &mut Change,
    platform: &Platform,
    member: &Member<WriteConnections>,
    body: &CreateConnection,
) -> Result<Model, Problem> {
    validate(platform, &body.provider, &body.settings, body.credentials.as_ref(), false)?;
    // The lock makes concurrent creations see each other.
    member.lock(change).await?;
    let (workspace, id) = (member.workspace, ConnectionId::new());
    let credentials = body.credentials.as_ref().map(|credentials| seal(platform, workspace, id, credentials));
    let new = NewConnection {
        id,
        provider: &body.provider,
        name: &body.name,
        settings: &body.settings,
        credentials: credentials.transpose()?,
        enabled: body.enabled,
    };
    if !store::connection::insert(change, workspace, new).await? {
        return Err(Problem::new(Code::NameTaken));
    }
    change.audit_with(Action::ConnectionCreated, id, json!({ "provider": body.provider }));
    change.emit(EventType::ConnectionCreated, id, json!({ "name": body.name, "provider": body.provider }));
    find(change.tx(), workspace, id).await
}

pub async fn update(
    platform: &Platform,
    member: &Member<WriteConnections>,
    client: &ClientInfo,
    id: ConnectionId,
    revisions: Option<Vec<i32>>,
    body: &ChangeConnection,
) -> Result<Model, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let row = lock(change, member, id, revisions.as_deref()).await?;
            apply(change, platform, member.workspace, row, body).await
        })
        .await
}

/// Applies the change to a locked connection.
async fn apply(
    change: &mut Change,
    platform: &Platform,
    workspace: WorkspaceId,
    row: Model,
    body: &ChangeConnection,
) -> Result<Model, Problem> {
    let id = row.id;
    let mut changed = Vec::new();
    let name = body.name.clone().unwrap_or_else(|| row.name.clone());
    let settings = body.settings.clone().unwrap_or_else(|| row.settings.clone());
    let enabled = body.enabled.unwrap_or(row.enabled);
    let given = body.credentials.as_ref();
    let keeps = given.is_none() && row.credentials.is_some();
    validate(platform, &row.provider, &settings, given.and_then(Option::as_ref), keeps)?;
    // Otherwise a member could have a key that no response shows sent to a server of their own.
    if keeps && address(&row.provider, &settings) != address(&row.provider, &row.settings) {
        return Err(invalid_field("credentials", "must be given again if the address changes"));
    }
    if settings != row.settings {
        require_same_space(change, workspace, &row, &settings).await?;
    }
    let credentials = match given {
        None => None,
        Some(None) => Some(None),
        Some(Some(credentials)) => Some(Some(seal(platform, workspace, id, credentials)?)),
    };
    for (field, differs) in [
        ("name", name != row.name),
        ("settings", settings != row.settings),
        ("credentials", credentials.as_ref().is_some_and(|new| new.is_some() || row.credentials.is_some())),
        ("enabled", enabled != row.enabled),
    ] {
        if differs {
            changed.push(field);
        }
    }
    if changed.is_empty() {
        return Ok(row);
    }
    let new = ConnectionSettings { name, settings, credentials, enabled };
    if !store::connection::update(change, workspace, id, &new).await? {
        return Err(Problem::new(Code::NameTaken));
    }
    let details = json!({ "fields": changed });
    change.audit_with(Action::ConnectionUpdated, id, details.clone());
    change.emit(EventType::ConnectionUpdated, id, details);
    find(change.tx(), workspace, id).await
}

/// 409 if the vectors of a collection would no longer be comparable with those of its queries.
async fn require_same_space(change: &Change, workspace: WorkspaceId, row: &Model, new: &Value) -> Result<(), Problem> {
    let read = |settings| connection::read::<EmbeddingSettings>(settings).ok();
    let (Some(old), Some(new)) = (read(&row.settings), read(new)) else { return Ok(()) };
    if old.has_spaces_in(&new) {
        return Ok(());
    }
    match store::collection::named_by_connection(change.tx(), workspace, row.id).await? {
        None => Ok(()),
        Some(name) => {
            let detail = format!(
                "the collection `{name}` has vectors of its model: create another connection for another model"
            );
            Err(Problem::new(Code::InUse).detail(detail))
        }
    }
}

pub async fn delete(
    platform: &Platform,
    member: &Member<WriteConnections>,
    client: &ClientInfo,
    id: ConnectionId,
    revisions: Option<Vec<i32>>,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let row = lock(change, member, id, revisions.as_deref()).await?;
            if let Some(name) = store::collection::named_by_connection(change.tx(), member.workspace, row.id).await? {
                let detail = format!("it computes the vectors of the collection `{name}`");
                return Err(Problem::new(Code::InUse).detail(detail));
            }
            store::connection::delete(change, member.workspace, row.id).await?;
            change.audit(Action::ConnectionDeleted, row.id);
            change.emit(EventType::ConnectionDeleted, row.id, json!({}));
            Ok(())
        })
        .await
}

/// Locks workspace and connection; 412 unless it has one of these revisions.
pub async fn lock(
    tx: &Tx,
    member: &Member<WriteConnections>,
    id: ConnectionId,
    revisions: Option<&[i32]>,
) -> Result<Model, Problem> {
    member.lock(tx).await?;
    let row = store::connection::lock(tx, member.workspace, id).await?.ok_or_else(Problem::not_found)?;
    check_revision(row.revision, revisions)?;
    Ok(row)
}
