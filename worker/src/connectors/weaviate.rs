//! Weaviate: objects of a class, over its REST interface.

use nvisy_shared::{domain::connection::CheckStep, id};
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    CallFailure,
    rest::{Server, checked, is_about_dimension, missing, unless_gone},
    target::{Place, Row, Target, mismatch, rejected, vector},
};
use crate::providers::failure::shorten;

pub(super) struct Weaviate(pub(super) Server);

impl Weaviate {
    async fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, CallFailure> {
        self.0.call(method, path, &[], self.0.bearer(), body).await
    }

    /// Deletes objects, as an operation that fails without the class.
    async fn delete_objects(&self, place: &Place, ids: &[Uuid]) -> Result<Value, CallFailure> {
        let filter = json!({ "path": ["id"], "operator": "ContainsAny", "valueTextArray": ids });
        let body = json!({ "match": { "class": place.into, "where": filter }, "output": "minimal" });
        match self.call(Method::DELETE, &["v1", "batch", "objects"], Some(&body)).await {
            Ok(answer) if answer["results"]["failed"].as_u64().unwrap_or_default() > 0 => {
                Err(CallFailure::Unavailable("some objects could not be deleted".to_owned()))
            }
            // The server says 422 of a class that it does not have.
            Err(CallFailure::Item(failure)) if failure.detail.contains("could not find class") => {
                Err(mismatch(failure.detail))
            }
            deleted => deleted,
        }
    }
}

impl Target for Weaviate {
    async fn check(&self) -> Vec<CheckStep> {
        // The schema needs the key; `meta` may be open to everyone.
        let schema = self.call(Method::GET, &["v1", "schema"], None).await;
        checked(schema.and_then(|found| {
            let found = found["classes"].as_array().ok_or_else(|| missing("list of classes"))?;
            Ok(format!("the server answers and has {} classes", found.len()))
        }))
    }

    async fn prepare(&self, place: &Place, like: &Row) -> Result<(), CallFailure> {
        vector(like)?;
        // The dimension of a class is that of its first object: the server compares it when objects are written.
        self.call(Method::GET, &["v1", "schema", &place.into], None).await?;
        Ok(())
    }

    async fn write(&self, place: &Place, rows: &[Row]) -> Result<(), CallFailure> {
        let objects = rows.iter().map(|row| {
            // Null is no value of a property.
            let properties: Map<String, Value> =
                row.fields.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
            let mut object = json!({ "class": place.into, "id": row.id, "properties": properties });
            let vector = json!(vector(row)?);
            match &place.vector_field {
                Some(name) => object["vectors"] = json!({ name.as_str(): vector }),
                None => object["vector"] = vector,
            }
            Ok(object)
        });
        let body = json!({ "objects": objects.collect::<Result<Vec<_>, CallFailure>>()? });
        let answer = self.call(Method::POST, &["v1", "batch", "objects"], Some(&body)).await?;
        let results = answer.as_array().ok_or_else(|| missing("list of results"))?;
        if results.len() != rows.len() {
            return Err(missing("result for each object"));
        }
        match results.iter().find(|one| one["result"]["status"] == "FAILED") {
            Some(failed) => Err(failure(&failed["result"]["errors"]["error"][0]["message"])),
            None => Ok(()),
        }
    }

    async fn delete(&self, place: &Place, ids: &[Uuid]) -> Result<(), CallFailure> {
        unless_gone(self.delete_objects(place, ids).await)
    }

    /// Deletes an id that no row has.
    async fn try_writing(&self, place: Option<&Place>) -> Result<bool, CallFailure> {
        let Some(place) = place else { return Ok(false) };
        self.delete_objects(place, &[id::new()]).await?;
        Ok(true)
    }
}

fn failure(message: &Value) -> CallFailure {
    let message = shorten(message.as_str().unwrap_or("an object failed"));
    if is_about_dimension(&message) { mismatch(message) } else { rejected(message) }
}
