//! Own: a service gets batches of elements, and responds with metadata, texts or records.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use jsonschema::Validator;
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::node::http::{Http, HttpOutput},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    items::{batches, items},
    metadata::{MAX_RECORD_BYTES, has_nul, set_metadata},
};
use crate::{
    pipeline::{
        calling::{Service, message_id},
        contract::{Behaviour, Call, Output},
        element::{Elements, RecordElement},
        schemas::{self, Described},
    },
    runner::JobError,
};

impl Behaviour for Http {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let (input_schema, output_schema) = (compile(&self.input_schema)?, compile(&self.output_schema)?);
        let items = items("http", &input)?;
        if let Some(schema) = &input_schema {
            for (place, item) in items.iter().enumerate() {
                if let Some(mismatch) = mismatch(schema, item) {
                    let detail = format!("element {place} does not match `inputSchema` {mismatch}");
                    return Err(JobError::Fail(Failure::new(FailureCode::SchemaMismatch, detail)));
                }
            }
        }
        let max_bytes = self.max_response_bytes as usize;
        let service =
            Service::open(call.cx, call.workspace, &self.url, self.request_timeout_seconds, max_bytes).await?;
        let mut results = Vec::with_capacity(items.len());
        for batch in batches(&items, self.batch_size)? {
            let body = Bytes::from(request(self, call, &input, &items[batch.clone()]).to_string());
            let id = message_id(&[&call.key.0, &(batch.start as u64).to_le_bytes()]);
            let response = service.post(&id, body).await?;
            let invalid = |reason: String| service.failed(FailureCode::InvalidResponse, &reason);
            results.extend(read(&response, batch.start, batch.len(), output_schema.as_deref()).map_err(invalid)?);
        }
        let invalid = |reason: &str| service.failed(FailureCode::InvalidResponse, reason);
        match self.output {
            HttpOutput::Same => same(call, input, results, invalid),
            HttpOutput::Records => records(&input, results, invalid),
        }
    }
}

fn compile(schema: &Option<Value>) -> Result<Option<Arc<Validator>>, JobError> {
    let compiled = schema.as_ref().map(|schema| schemas::validator(Described::Service, schema)).transpose();
    compiled.map_err(JobError::retry("a schema of the pipeline is not valid"))
}

/// Where a value does not match, without the value: it is a part of the document.
fn mismatch(schema: &Validator, value: &Value) -> Option<String> {
    let error = schema.iter_errors(value).next()?;
    let (place, rule) = (error.instance_path().to_string(), error.schema_path().to_string());
    let place = if place.is_empty() { "/".to_owned() } else { place };
    Some(format!("at `{place}` (rule `{rule}`)"))
}

/// The body of a request.
fn request(settings: &Http, call: &Call<'_>, input: &Elements, items: &[Value]) -> Value {
    let mut data =
        json!({ "workspaceId": call.workspace, "node": call.node, "flow": input.flow().name(), "items": items });
    // The output of a pure step is reused for other files, so it must not depend on them.
    if !settings.pure {
        data["file"] = call.file.variables(input.flow());
        data["metadata"] = call.file.metadata.clone().into();
    }
    json!({ "type": "pipeline.step", "data": data })
}

/// The body of a response.
#[derive(Deserialize)]
struct Response {
    items: Vec<Value>,
}

/// The result for an element.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseItem {
    #[allow(dead_code, reason = "results are sorted by it before they are read")]
    id: Value,
    #[serde(default = "kept")]
    keep: bool,
    #[serde(default)]
    metadata: Map<String, Value>,
    text: Option<String>,
    record: Option<Value>,
    #[serde(default)]
    records: Vec<Value>,
}

const fn kept() -> bool {
    true
}

/// The results of a response, in the order of the request: for each of `count` elements from `first` on, one.
fn read(body: &[u8], first: usize, count: usize, schema: Option<&Validator>) -> Result<Vec<ResponseItem>, String> {
    // Some servers begin with a byte order mark.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let not_json =
        |error: serde_json::Error| format!("the response is not `{{\"items\": [..]}}`: {}", position(&error));
    let response: Response = serde_json::from_slice(body).map_err(not_json)?;
    let mut by_place: HashMap<usize, Value> = HashMap::with_capacity(count);
    for item in response.items {
        let id = match item.get("id") {
            Some(Value::String(id)) => id.parse::<usize>().ok(),
            Some(Value::Number(id)) => id.as_u64().and_then(|id| usize::try_from(id).ok()),
            _ => None,
        };
        let Some(place) = id.filter(|place| (first..first + count).contains(place)) else {
            return Err("the response has an item whose `id` was not in the request".to_owned());
        };
        match by_place.get(&place) {
            Some(before) if *before != item => {
                return Err(format!("the response has two different items with the `id` {place}"));
            }
            Some(_) => {}
            None => {
                by_place.insert(place, item);
            }
        }
    }
    let mut results = Vec::with_capacity(count);
    for place in first..first + count {
        let Some(item) = by_place.remove(&place) else {
            return Err(format!("the response has no item with the `id` {place}"));
        };
        if let Some(mismatch) = schema.and_then(|schema| mismatch(schema, &item)) {
            return Err(format!("item {place} of the response does not match `outputSchema` {mismatch}"));
        }
        if has_nul(&item) {
            return Err(format!("item {place} of the response has the character U+0000"));
        }
        let shape = |error: serde_json::Error| {
            format!("item {place} of the response has unknown fields or wrong types: {}", position(&error))
        };
        results.push(serde_json::from_value(item).map_err(shape)?);
    }
    Ok(results)
}

/// Where JSON is wrong, without a part of it.
fn position(error: &serde_json::Error) -> String {
    match error.line() {
        0 => "its fields are `id`, `keep`, `metadata`, `text`, `record`, `records`".to_owned(),
        line => format!("line {line}, column {}", error.column()),
    }
}

/// The elements with the metadata and texts of the results.
fn same(
    call: &Call<'_>,
    mut elements: Elements,
    results: Vec<ResponseItem>,
    invalid: impl Fn(&str) -> JobError,
) -> Result<Output, JobError> {
    if results.iter().any(|result| !result.records.is_empty()) {
        return Err(invalid("the response has `records`, which need the setting `output`: `records`"));
    }
    match &mut elements {
        Elements::Chunks(chunks) => {
            if results.iter().any(|result| result.record.is_some()) {
                return Err(invalid("the response has a `record` for a chunk"));
            }
            let tokenizer = call.model().embedder().tokenizer();
            for (chunk, text) in chunks.iter_mut().zip(results.iter().map(|result| &result.text)) {
                if let Some(text) = text {
                    chunk.text.clone_from(text);
                    chunk.tokens = u32::try_from(tokenizer.count(text)).unwrap_or(u32::MAX);
                }
            }
        }
        Elements::Records(records) => {
            if results.iter().any(|result| result.text.is_some()) {
                return Err(invalid("the response has a `text` for a record"));
            }
            for (record, row) in records.iter_mut().zip(results.iter().map(|result| &result.record)) {
                if let Some(row) = row {
                    record.row = checked(row.clone(), &invalid)?;
                }
            }
        }
        _ if results.iter().any(|result| result.text.is_some() || result.record.is_some()) => {
            return Err(invalid("the response has a `text` or `record` for a document"));
        }
        _ => {}
    }
    let keep: Vec<bool> = results.iter().map(|result| result.keep).collect();
    let metadata: Vec<_> = results.into_iter().map(|result| result.metadata).collect();
    let has_metadata = metadata.iter().any(|metadata| !metadata.is_empty());
    let effect = if has_metadata { set_metadata(&mut elements, metadata)? } else { None };
    let ports = vec![elements.select(|place| keep[place])];
    Ok(Output { ports, effects: effect.into_iter().collect(), ..Output::default() })
}

/// The records of the results.
fn records(
    input: &Elements,
    results: Vec<ResponseItem>,
    invalid: impl Fn(&str) -> JobError,
) -> Result<Output, JobError> {
    let mut records = Vec::new();
    for (origin, result) in input.origins().into_iter().zip(results) {
        let rows = result.records.into_iter().chain(result.record);
        for row in rows.filter(|_| result.keep) {
            records.push(RecordElement { row: checked(row, &invalid)?, origin: Arc::clone(origin) });
        }
    }
    Ok(Output::one(Elements::Records(records)))
}

fn checked(row: Value, invalid: impl Fn(&str) -> JobError) -> Result<Value, JobError> {
    if !row.is_object() {
        return Err(invalid("a record of the response is not an object"));
    }
    if row.to_string().len() > MAX_RECORD_BYTES {
        return Err(invalid(&format!("a record of the response has more than {MAX_RECORD_BYTES} bytes")));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<Vec<String>, String> {
        let schema = json!({ "properties": { "metadata": { "maxProperties": 1 } } });
        let schema = schemas::validator(Described::Service, &schema).unwrap();
        let results = super::read(body.to_string().as_bytes(), 4, 2, Some(&schema))?;
        Ok(results.into_iter().map(|result| Value::Object(result.metadata).to_string()).collect())
    }

    #[test]
    fn items_are_matched_by_id_in_any_order_and_once() {
        let (one, two) = (json!({ "id": "4", "metadata": { "a": 1 } }), json!({ "id": 5, "metadata": { "a": 2 } }));
        let expected = Ok(vec![r#"{"a":1}"#.to_owned(), r#"{"a":2}"#.to_owned()]);
        assert_eq!(read(&json!({ "items": [two, one] })), expected);
        assert_eq!(read(&json!({ "items": [one, one, two] })), expected);
        for (invalid, reason) in [
            (json!({ "items": [one, two, { "id": "5" }] }), "two different items with the `id` 5"),
            (json!({ "items": [one] }), "no item with the `id` 5"),
            (json!({ "items": [one, two, { "id": "6" }] }), "`id` was not in the request"),
            (json!({ "items": [one, two, {}] }), "`id` was not in the request"),
            (json!({ "items": [one, { "id": "5", "metadata": 7 }] }), "wrong types"),
            (json!({ "items": [one, { "id": "5", "score": "secret" }] }), "unknown fields"),
            (json!({ "items": [one, { "id": "5", "text": "\0" }] }), "U+0000"),
            (
                json!({ "items": [one, { "id": "5", "metadata": { "a": "secret", "b": 2 } }] }),
                "`outputSchema` at `/metadata`",
            ),
            (json!([one, two]), "the response is not"),
            (json!("secret"), "the response is not"),
        ] {
            let found = read(&invalid).unwrap_err();
            assert!(found.contains(reason) && !found.contains("secret"), "{found}");
        }
        let html = super::read(b"<html>secret</html>", 0, 1, None).map(|_| ()).unwrap_err();
        assert!(html.contains("line 1") && !html.contains("secret"), "{html}");
    }
}
