//! The headers of responses, declared where they are sent; `required` ones are always sent.

use serde_json::{Map, Value, json};

use super::{
    errors::RETRYABLE,
    operations::{Operation, each_operation},
};
use crate::{
    http::idempotency,
    problem::{Code, MEDIA_TYPE},
};

/// The operations whose success names the new resource in `Location`.
const LOCATED: [(&str, &str); 16] = [
    ("signUp", "201"),
    ("confirmSignUp", "201"),
    ("createWorkspace", "201"),
    ("createInvite", "201"),
    ("createPipeline", "201"),
    ("createCollection", "201"),
    ("createConnection", "201"),
    ("createSecondSpace", "201"),
    ("createQuerySet", "201"),
    ("createSnapshot", "201"),
    ("startEvaluation", "202"),
    ("uploadFiles", "202"),
    ("startRun", "202"),
    ("startInlineRun", "202"),
    ("previewPipeline", "202"),
    ("forkRun", "202"),
];

/// Adds `Location`, `Idempotency-Replayed`, `Retry-After` and `WWW-Authenticate`, and `If-None-Match` beside 304.
pub fn declare(document: &mut Value) {
    each_operation(document, |mut operation| {
        let is_idempotent = operation.has_parameter(idempotency::HEADER);
        let located = LOCATED.iter().find(|(id, _)| *id == operation.id()).map(|(_, status)| *status);
        for (status, response) in operation.responses() {
            if located == Some(status) {
                add(response, "Location", true, "The path of the resource.");
            }
            if is_idempotent && status.starts_with('2') {
                let text = "`true` if this is the response of an earlier request with the same `Idempotency-Key`.";
                add(response, "Idempotency-Replayed", false, text);
            }
            let codes = response["content"][MEDIA_TYPE]["examples"].as_object();
            let has = |code: &Code| codes.is_some_and(|codes| codes.contains_key(code.name()));
            if RETRYABLE.iter().any(has) {
                add(response, "Retry-After", false, "The seconds after which the client may retry.");
                response["headers"]["Retry-After"]["schema"] = json!({ "type": "integer", "minimum": 0 });
            }
            if status == "401" {
                add(response, "WWW-Authenticate", true, "The scheme of the credentials: `Bearer`.");
            }
        }
        if operation.responses().contains_key("304") {
            accept_cached(&mut operation);
        }
    });
}

fn add(response: &mut Value, name: &str, required: bool, description: &str) {
    let header = json!({ "description": description, "required": required, "schema": { "type": "string" } });
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| Value::Object(Map::new()));
    headers[name] = header;
}

fn accept_cached(operation: &mut Operation<'_>) {
    let parameter = json!({
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the client's copy: the response is 304 if it is current.",
        "schema": { "type": "string" },
    });
    let parameters = operation.object.entry("parameters").or_insert_with(|| json!([]));
    parameters.as_array_mut().into_iter().for_each(|all| all.push(parameter.clone()));
}
