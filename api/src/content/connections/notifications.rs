//! Notifications of the systems behind connections: which objects have changed.

use std::collections::BTreeSet;

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use nvisy_shared::{
    crypt::webhook_signature::{SigningSecret, is_path_code, path_code},
    domain::activity::Action,
    id::ConnectionId,
    store::{self, TransactionTrait, source_notification::ANYTHING},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::form_urlencoded;
use uuid::Uuid;

use super::{service, wire::ConnectionPath};
use crate::{
    auth::member::{Member, WriteConnections},
    http::{
        client_info::ClientInfo,
        extract::{Json, Path},
        signed_body::SignedBody,
        status_json::NoContent,
    },
    problem::Problem,
    state::State,
};

/// Objects that a notification names, above which the sources are rather listed.
const MAX_KEYS: usize = 1_000;
/// Maximum length of a key, in bytes.
const MAX_KEY_BYTES: usize = 4_096;

/// Where a system sends notifications, and how it signs them.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct NotificationAccess {
    /// The path of this API that takes them. Only this response contains it.
    path: String,
    /// The secret by which they are signed, `whsec_` and base64. Only this response contains it.
    secret: String,
    /// The version of both, from 1.
    version: i32,
}

/// A notification: keys, or records in the form of S3.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The event, with the keys of the objects that were written or deleted.
    #[serde(default)]
    data: Option<NotifiedObjects>,
    /// Records as S3 sends them.
    #[serde(default, rename = "Records")]
    records: Vec<NotifiedRecord>,
}

/// Objects by their keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifiedObjects {
    /// The keys.
    keys: Vec<String>,
}

/// A record of S3.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NotifiedRecord {
    /// The object.
    s3: NotifiedEntity,
}

/// The object of a record.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NotifiedEntity {
    /// The object.
    object: NotifiedKey,
}

/// The key of a record.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NotifiedKey {
    /// The key, encoded as in a form.
    key: String,
}

impl Notification {
    /// The keys that can be those of objects; the one of [`ANYTHING`] instead of too many.
    fn keys(self) -> Vec<String> {
        let decoded = |record: NotifiedRecord| {
            let encoded = record.s3.object.key;
            form_urlencoded::parse(encoded.as_bytes()).next().map(|(key, _)| key.into_owned())
        };
        let keys = self.data.map(|data| data.keys).unwrap_or_default();
        let keys = keys.into_iter().chain(self.records.into_iter().filter_map(decoded));
        let keys: BTreeSet<_> =
            keys.filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.contains('\0')).collect();
        if keys.len() > MAX_KEYS { vec![ANYTHING.to_owned()] } else { keys.into_iter().collect() }
    }
}

/// The path of a notification.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct NotificationPath {
    /// The code that the path has.
    pub code: String,
}

/// The connection and the code of a path.
fn parts(code: &str) -> Option<(ConnectionId, &str)> {
    let (connection, code) = code.split_once('-')?;
    Some((ConnectionId(Uuid::try_parse(connection).ok()?), code))
}

#[api_operation(
    operation_id = "renewNotifications",
    tag = "connections",
    summary = "Take notifications of a connection",
    description = "Makes a path and a secret with which the system behind the connection says which objects have changed, signed as Standard Webhooks has it. Earlier ones end at once. Enabled pipelines that read the connection then synchronise those objects alone; their schedules find what no notification named."
)]
pub async fn renew(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    path: Path<ConnectionPath>,
) -> Result<Json<NotificationAccess>, Problem> {
    let (id, workspace) = (ConnectionId(path.0.connection), member.workspace);
    let changes = member.changes(&state.platform, &client);
    let version = changes
        .run(async |change| {
            let row = service::lock(change, &member, id, None).await?;
            let version = store::source_notification::renew(change, workspace, row.id).await?;
            change.audit_with(Action::ConnectionNotificationsRenewed, row.id, json!({ "version": version }));
            Ok::<_, Problem>(version)
        })
        .await?;
    let keys = &state.platform.keys;
    let code = path_code(keys, workspace, id, version);
    let secret = SigningSecret::of_connection(keys, workspace, id, version);
    Ok(Json(NotificationAccess {
        path: format!("/api/v1/notifications/{}-{}", id.0.simple(), code.expose()),
        secret: secret.reveal().expose().clone(),
        version,
    }))
}

#[api_operation(
    operation_id = "endNotifications",
    tag = "connections",
    summary = "Take no more notifications of a connection",
    description = "Path and secret end at once."
)]
pub async fn end(
    state: Data<State>,
    member: Member<WriteConnections>,
    client: ClientInfo,
    path: Path<ConnectionPath>,
) -> Result<NoContent, Problem> {
    let id = ConnectionId(path.0.connection);
    let changes = member.changes(&state.platform, &client);
    changes
        .run(async |change| {
            let row = service::lock(change, &member, id, None).await?;
            store::source_notification::remove(change, member.workspace, row.id).await?;
            change.audit(Action::ConnectionNotificationsEnded, row.id);
            Ok::<_, Problem>(())
        })
        .await?;
    Ok(NoContent)
}

#[api_operation(
    operation_id = "receiveNotification",
    tag = "connections",
    summary = "Notify of changed objects",
    description = "For the system behind a connection, on the path of `renewNotifications`. The body has `data.keys`, or `Records` as S3 sends them; of more than 1000 keys, the sources are listed instead. It is signed: `webhook-id`, `webhook-timestamp` (at most five minutes off) and `webhook-signature`, as Standard Webhooks has them."
)]
pub async fn receive(
    state: Data<State>,
    path: Path<NotificationPath>,
    body: SignedBody<Notification>,
) -> Result<NoContent, Problem> {
    let (connection, code) = parts(&path.0.code).ok_or_else(Problem::not_found)?;
    let platform = &state.platform;
    let accepting = store::source_notification::find(&platform.db, connection).await?.ok_or_else(Problem::not_found)?;
    let (workspace, version) = (accepting.workspace_id, accepting.version);
    if !is_path_code(&path_code(&platform.keys, workspace, connection, version), code) {
        return Err(Problem::not_found());
    }
    state.limiter.count_workspace(body.request(), workspace).await?;
    let secret = SigningSecret::of_connection(&platform.keys, workspace, connection, version);
    let keys = body.verify(&secret)?.keys();
    let tx = platform.db.begin().await?;
    store::source_notification::add(&tx, workspace, connection, keys).await?;
    tx.commit().await?;
    Ok(NoContent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_both_forms_are_read() {
        let keys = |json: serde_json::Value| serde_json::from_value::<Notification>(json).unwrap().keys();
        assert_eq!(keys(json!({ "type": "x", "data": { "keys": ["a b.txt", "", "c\0"] } })), ["a b.txt"]);
        let records = json!([
            { "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "b" }, "object": { "key": "a+b%2Fc%C3%BC.txt" } } },
        ]);
        assert_eq!(keys(json!({ "Records": records })), ["a b/cü.txt"]);
        assert!(keys(json!({ "Event": "s3:TestEvent" })).is_empty());
    }

    #[test]
    fn too_many_keys_become_a_listing() {
        let keys = |number: usize| {
            let keys: Vec<_> = (0..number).map(|key| key.to_string()).collect();
            serde_json::from_value::<Notification>(json!({ "data": { "keys": keys } })).unwrap().keys()
        };
        assert_eq!(keys(MAX_KEYS).len(), MAX_KEYS);
        assert_eq!(keys(MAX_KEYS + 1), [ANYTHING]);
    }

    #[test]
    fn path_has_connection_and_code() {
        let id = Uuid::from_u128(7);
        assert_eq!(parts(&format!("{}-abc", id.simple())), Some((ConnectionId(id), "abc")));
        assert_eq!(parts("abc"), None);
    }
}
