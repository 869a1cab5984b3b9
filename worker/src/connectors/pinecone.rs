//! Pinecone: records of an index, whose host is the address of the connection.

use nvisy_shared::{domain::connection::CheckStep, id};
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    CallFailure,
    rest::{Server, checked, missing, unless_gone},
    target::{Place, Row, Target, is_mismatch, same_dimension, vector},
};

/// The version of the interface that requests are written for.
const API_VERSION: &str = "2025-04";

pub(super) struct Pinecone(pub(super) Server);

impl Pinecone {
    async fn call(&self, path: &[&str], body: &Value) -> Result<Value, CallFailure> {
        let version = ("x-pinecone-api-version", API_VERSION.to_owned());
        let key = self.0.key().map(|key| ("api-key", key.to_owned()));
        self.0.call(Method::POST, path, &[], key.into_iter().chain([version]).collect(), Some(body)).await
    }

    /// Deletes records; a namespace need not exist.
    async fn delete_records(&self, place: &Place, ids: &[Uuid]) -> Result<Value, CallFailure> {
        self.call(&["vectors", "delete"], &json!({ "ids": ids, "namespace": place.into })).await
    }
}

impl Target for Pinecone {
    async fn check(&self) -> Vec<CheckStep> {
        let statistics = self.call(&["describe_index_stats"], &json!({})).await;
        checked(statistics.and_then(|found| {
            let dimension = found["dimension"].as_u64().ok_or_else(|| missing("dimension"))?;
            Ok(format!("the index answers and has vectors of {dimension} dimensions"))
        }))
    }

    async fn prepare(&self, _: &Place, like: &Row) -> Result<(), CallFailure> {
        let found = self.call(&["describe_index_stats"], &json!({})).await?;
        let dimension = found["dimension"].as_u64().ok_or_else(|| missing("dimension"))?;
        same_dimension("the index", dimension, like)
    }

    async fn write(&self, place: &Place, rows: &[Row]) -> Result<(), CallFailure> {
        let vectors = rows
            .iter()
            .map(|row| Ok(json!({ "id": row.id, "values": vector(row)?, "metadata": metadata(&row.fields) })));
        let vectors = vectors.collect::<Result<Vec<_>, CallFailure>>()?;
        self.call(&["vectors", "upsert"], &json!({ "vectors": vectors, "namespace": place.into })).await?;
        Ok(())
    }

    async fn delete(&self, place: &Place, ids: &[Uuid]) -> Result<(), CallFailure> {
        unless_gone(self.delete_records(place, ids).await)
    }

    /// Deletes an id that no row has.
    async fn try_writing(&self, place: Option<&Place>) -> Result<bool, CallFailure> {
        let Some(place) = place else { return Ok(false) };
        match self.delete_records(place, &[id::new()]).await {
            // Its first record makes a namespace.
            Err(failure) if is_mismatch(&failure) => {}
            deleted => drop(deleted?),
        }
        Ok(true)
    }
}

/// Metadata are texts, numbers, booleans and lists of texts; other values become JSON text.
fn metadata(fields: &Map<String, Value>) -> Map<String, Value> {
    let kept = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let value = match value {
            Value::Object(_) => value.to_string().into(),
            Value::Array(items) if !items.iter().all(Value::is_string) => value.to_string().into(),
            value => value.clone(),
        };
        (name.clone(), value)
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_of_the_types_that_the_index_takes() {
        let Value::Object(fields) = json!({ "a": null, "b": ["x"], "c": [1], "d": { "e": 1 }, "f": 2 }) else {
            return;
        };
        let expected = json!({ "b": ["x"], "c": "[1]", "d": "{\"e\":1}", "f": 2 });
        assert_eq!(Value::Object(metadata(&fields)), expected);
    }
}
