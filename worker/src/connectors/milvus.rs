//! Milvus: entities of a collection, over its REST interface of version 2.

use nvisy_shared::{domain::connection::CheckStep, id};
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    CallFailure,
    rest::{Server, checked, is_about_dimension, missing, unless_gone},
    target::{Place, Row, Target, mismatch, rejected, same_dimension, vector},
};
use crate::providers::failure::shorten;

/// The vector where the sink names none.
const DEFAULT_VECTOR: &str = "vector";

pub(super) struct Milvus(pub(super) Server);

impl Milvus {
    /// Calls an operation, which says in the body whether it failed.
    async fn call(&self, path: [&str; 2], body: &Value) -> Result<Value, CallFailure> {
        let path = ["v2", "vectordb", path[0], path[1]];
        let answer = self.0.call(Method::POST, &path, &[], self.0.bearer(), Some(body)).await?;
        let code = answer["code"].as_i64().ok_or_else(|| missing("code"))?;
        // Older servers say 200 in case of success.
        if matches!(code, 0 | 200) {
            return Ok(answer);
        }
        let message = answer["message"].as_str().unwrap_or_default();
        let message = match self.0.key() {
            Some(key) => message.replace(key, "[hidden]"),
            None => message.to_owned(),
        };
        Err(failure(code, &message))
    }

    /// Deletes entities, as an operation that fails without the collection.
    async fn delete_entities(&self, place: &Place, ids: &[Uuid]) -> Result<Value, CallFailure> {
        let filter = format!("{} in {}", place.id_field, json!(ids));
        let body = json!({ "collectionName": place.into, "filter": filter });
        self.call(["entities", "delete"], &body).await
    }
}

/// The failure of a code of Milvus.
fn failure(code: i64, message: &str) -> CallFailure {
    let reason = shorten(&format!("code {code}: {message}"));
    match code {
        // Too many requests, and limits of rate or quota.
        4 | 8 | 9 => CallFailure::Busy { retry_after: None, reason },
        // Not ready, no memory or disk, no node for the work.
        1..=7 | 11 | 101 | 103 | 500..=599 | 900..=999 => CallFailure::Unavailable(reason),
        // Not authenticated, no right.
        80 | 1400..=1499 | 1800 => CallFailure::Blocked(reason),
        // No database, collection, partition or field.
        100 | 201..=299 | 800 | 1700..=1799 => mismatch(reason),
        _ if is_about_dimension(message) => mismatch(reason),
        _ => rejected(reason),
    }
}

impl Target for Milvus {
    async fn check(&self) -> Vec<CheckStep> {
        let collections = self.call(["collections", "list"], &json!({})).await;
        checked(collections.and_then(|found| {
            let found = found["data"].as_array().ok_or_else(|| missing("list of collections"))?;
            Ok(format!("the server answers and has {} collections", found.len()))
        }))
    }

    async fn prepare(&self, place: &Place, like: &Row) -> Result<(), CallFailure> {
        let found = self.call(["collections", "describe"], &json!({ "collectionName": place.into })).await?;
        let fields = found["data"]["fields"].as_array().ok_or_else(|| missing("list of fields"))?;
        let named = |name: &str| fields.iter().find(|field| field["name"] == name);
        if named(&place.id_field).is_none_or(|field| field["type"] != "VarChar") {
            let reason = format!("`{}` has no field `{}` of type VarChar", place.into, place.id_field);
            return Err(mismatch(reason));
        }
        let name = place.vector_field.as_deref().unwrap_or(DEFAULT_VECTOR);
        let Some(field) = named(name) else {
            return Err(mismatch(format!("`{}` has no field `{name}`: `vectorField` names it", place.into)));
        };
        let parameters = field["params"].as_array().into_iter().flatten();
        let dimension = parameters.filter(|one| one["key"] == "dim").find_map(|one| match &one["value"] {
            Value::String(text) => text.parse().ok(),
            value => value.as_u64(),
        });
        same_dimension(&place.into, dimension.ok_or_else(|| missing("dimension"))?, like)
    }

    async fn write(&self, place: &Place, rows: &[Row]) -> Result<(), CallFailure> {
        let name = place.vector_field.as_deref().unwrap_or(DEFAULT_VECTOR);
        let data = rows.iter().map(|row| {
            let mut entity: Map<String, Value> = row.fields.clone();
            entity.insert(place.id_field.clone(), json!(row.id));
            entity.insert(name.to_owned(), json!(vector(row)?));
            Ok(Value::Object(entity))
        });
        let data = data.collect::<Result<Vec<_>, CallFailure>>()?;
        self.call(["entities", "upsert"], &json!({ "collectionName": place.into, "data": data })).await?;
        Ok(())
    }

    async fn delete(&self, place: &Place, ids: &[Uuid]) -> Result<(), CallFailure> {
        unless_gone(self.delete_entities(place, ids).await)
    }

    /// Deletes an id that no row has.
    async fn try_writing(&self, place: Option<&Place>) -> Result<bool, CallFailure> {
        let Some(place) = place else { return Ok(false) };
        self.delete_entities(place, &[id::new()]).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rest::meaning, failure};

    #[test]
    fn codes_decide_what_helps() {
        let meanings = [8, 2, 1800, 100, 1100].map(|code| meaning(&failure(code, "no")));
        assert_eq!(meanings, ["busy", "unavailable", "blocked", "target_mismatch", "provider_rejected"]);
        assert_eq!(meaning(&failure(65535, "vector dimension mismatch")), "target_mismatch");
    }
}
