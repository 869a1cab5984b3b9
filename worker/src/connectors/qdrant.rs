//! Qdrant: points of a collection, over its REST interface.

use nvisy_shared::{domain::connection::CheckStep, id};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    CallFailure,
    rest::{Server, checked, missing, unless_gone},
    target::{Place, Row, Target, mismatch, same_dimension, vector},
};

pub(super) struct Qdrant(pub(super) Server);

impl Qdrant {
    async fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, CallFailure> {
        // Otherwise the server confirms before points are there, and a deletion could come first.
        let wait: &[_] = if method == Method::GET { &[] } else { &[("wait", "true")] };
        let headers = self.0.key().map(|key| ("api-key", key.to_owned())).into_iter().collect();
        self.0.call(method, path, wait, headers, body).await
    }

    /// Deletes points, as an operation that fails without the collection.
    async fn delete_points(&self, place: &Place, ids: &[Uuid]) -> Result<Value, CallFailure> {
        let path = ["collections", place.into.as_str(), "points", "delete"];
        self.call(Method::POST, &path, Some(&json!({ "points": ids }))).await
    }
}

impl Target for Qdrant {
    async fn check(&self) -> Vec<CheckStep> {
        let collections = self.call(Method::GET, &["collections"], None).await;
        checked(collections.and_then(|found| {
            let found = found["result"]["collections"].as_array().ok_or_else(|| missing("list of collections"))?;
            Ok(format!("the server answers and has {} collections", found.len()))
        }))
    }

    async fn prepare(&self, place: &Place, like: &Row) -> Result<(), CallFailure> {
        let found = self.call(Method::GET, &["collections", &place.into], None).await?;
        let vectors = &found["result"]["config"]["params"]["vectors"];
        let (vectors, name) = match &place.vector_field {
            Some(name) => (&vectors[name.as_str()], format!("{}.{name}", place.into)),
            None => (vectors, place.into.clone()),
        };
        match vectors["size"].as_u64() {
            Some(size) => same_dimension(&name, size, like),
            None => {
                Err(mismatch(format!("the collection `{}` has no such vector: `vectorField` names it", place.into)))
            }
        }
    }

    async fn write(&self, place: &Place, rows: &[Row]) -> Result<(), CallFailure> {
        let points = rows.iter().map(|row| {
            let vector = vector(row)?;
            let vector = match &place.vector_field {
                Some(name) => json!({ name.as_str(): vector }),
                None => json!(vector),
            };
            Ok(json!({ "id": row.id, "vector": vector, "payload": row.fields }))
        });
        let body = json!({ "points": points.collect::<Result<Vec<_>, CallFailure>>()? });
        self.call(Method::PUT, &["collections", &place.into, "points"], Some(&body)).await?;
        Ok(())
    }

    async fn delete(&self, place: &Place, ids: &[Uuid]) -> Result<(), CallFailure> {
        unless_gone(self.delete_points(place, ids).await)
    }

    /// Deletes an id that no row has.
    async fn try_writing(&self, place: Option<&Place>) -> Result<bool, CallFailure> {
        let Some(place) = place else { return Ok(false) };
        self.delete_points(place, &[id::new()]).await?;
        Ok(true)
    }
}
