//! Walking over the operations of a document.

use serde_json::{Map, Value};

/// An operation of the document.
pub struct Operation<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub object: &'a mut Map<String, Value>,
}

impl Operation<'_> {
    pub fn id(&self) -> &str {
        self.object.get("operationId").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the path is part of the versioned API.
    pub fn is_versioned(&self) -> bool {
        self.path.starts_with("/api/v1/")
    }

    pub fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.object.get("parameters").and_then(Value::as_array).into_iter().flatten()
    }

    pub fn has_parameter(&self, name: &str) -> bool {
        self.parameters().any(|parameter| parameter["name"] == name)
    }

    pub fn has_parameter_in(&self, location: &str) -> bool {
        self.parameters().any(|parameter| parameter["in"] == location)
    }

    /// The media type of the request's body.
    pub fn body_type(&self) -> Option<&str> {
        let content = self.object.get("requestBody")?["content"].as_object()?;
        content.keys().next().map(String::as_str)
    }

    /// Whether the operation accepts credentials of this scheme.
    pub fn accepts(&self, scheme: &str) -> bool {
        let schemes = self.object.get("security").and_then(Value::as_array);
        schemes.into_iter().flatten().any(|one| one.get(scheme).is_some())
    }

    pub fn responses(&mut self) -> &mut Map<String, Value> {
        let responses = self.object.get_mut("responses").and_then(Value::as_object_mut);
        responses.expect("every operation has responses")
    }
}

pub fn each_operation(document: &mut Value, mut visit: impl FnMut(Operation<'_>)) {
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, object) in operations.as_object_mut().into_iter().flatten() {
            if let Some(object) = object.as_object_mut() {
                visit(Operation { method, path, object });
            }
        }
    }
}
