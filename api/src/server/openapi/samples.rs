//! Commands to paste, where an example of the body is not enough.

use serde_json::{Value, json};

use super::operations::each_operation;

const UPLOAD: &str = r#"curl -sS "$BASE/api/v1/workspaces/$WS/files" \
  -H "Authorization: Bearer $TOKEN" \
  -F tags=manual -F 'metadata={"year":2026}' -F file=@manual.pdf"#;

const DOWNLOAD: &str = r#"curl -sSOJ "$BASE/api/v1/workspaces/$WS/files/$FILE/content" \
  -H "Authorization: Bearer $TOKEN""#;

const EVENTS: &str = r#"curl -sSN "$BASE/api/v1/workspaces/$WS/events" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Last-Event-ID: 0'"#;

const SAMPLES: [(&str, &str); 3] = [("uploadFiles", UPLOAD), ("readFileContent", DOWNLOAD), ("streamEvents", EVENTS)];

/// Adds the commands, as reference pages show them.
pub fn declare(document: &mut Value) {
    each_operation(document, |operation| {
        if let Some((_, source)) = SAMPLES.iter().find(|(id, _)| *id == operation.id()) {
            let sample = json!([{ "lang": "Shell", "label": "curl", "source": source }]);
            operation.object.insert("x-codeSamples".to_owned(), sample);
        }
    });
}
