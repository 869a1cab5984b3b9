//! The OpenAPI document: every test that goes through all operations finds them here.

use reqwest::Method;
use serde_json::{Value, json};

pub struct Document(Value);

#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    /// With parameters in braces.
    pub path: String,
    /// The operation as the document has it.
    pub object: Value,
}

impl Document {
    pub fn new(json: Value) -> Self {
        Self(json)
    }

    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Every operation.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, methods) in self.0["paths"].as_object().expect("paths") {
            for (method, object) in methods.as_object().expect("methods") {
                operations.push(Operation {
                    id: object["operationId"].as_str().expect("an operationId").to_owned(),
                    method: method.to_uppercase().parse().expect("an HTTP method"),
                    path: path.clone(),
                    object: object.clone(),
                });
            }
        }
        assert!(operations.len() > 50, "the document is incomplete");
        operations
    }

    /// The operations within a workspace.
    pub fn workspace_operations(&self) -> Vec<Operation> {
        let operations: Vec<_> = self.operations().into_iter().filter(Operation::is_in_workspace).collect();
        assert!(operations.len() > 15, "the document is incomplete");
        operations
    }

    /// The value that a `$ref` refers to.
    pub fn resolve(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    /// Every `$ref` of the document.
    pub fn references(&self) -> Vec<String> {
        let mut references = Vec::new();
        collect_references(&self.0, &mut references);
        references
    }
}

impl Operation {
    pub fn is_in_workspace(&self) -> bool {
        self.path.contains("{ws}")
    }

    /// The parameters of the path, in braces.
    pub fn path_parameters(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| segment.starts_with('{')).collect()
    }

    /// The path with a value for each parameter, which `value` gets in braces.
    pub fn path_with(&self, mut value: impl FnMut(&str) -> String) -> String {
        let segment = |segment: &str| if segment.starts_with('{') { value(segment) } else { segment.to_owned() };
        self.path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// The path with this workspace, and an unknown id for every other parameter.
    pub fn path_with_unknown_ids(&self, workspace: &str) -> String {
        let unknown = nvisy_shared::id::new().to_string();
        self.path_with(|parameter| if parameter == "{ws}" { workspace.to_owned() } else { unknown.clone() })
    }

    /// The names of the parameters in `query`, `path` or `header`.
    pub fn parameters(&self, location: &str) -> Vec<&str> {
        let parameters = self.object["parameters"].as_array().into_iter().flatten();
        parameters
            .filter(|parameter| parameter["in"] == location)
            .map(|parameter| parameter["name"].as_str().expect("a name"))
            .collect()
    }

    /// The names of the accepted security schemes.
    pub fn security(&self) -> Vec<&str> {
        let schemes = self.object["security"].as_array().into_iter().flatten();
        schemes.flat_map(|scheme| scheme.as_object().expect("a scheme").keys().map(String::as_str)).collect()
    }

    pub fn has_response(&self, status: u16) -> bool {
        self.object["responses"].get(status.to_string()).is_some()
    }

    /// The documented example of the JSON body.
    pub fn example(&self, document: &Document) -> Option<Value> {
        let schema = document.resolve(self.body_schema()["$ref"].as_str()?)?;
        Some(schema.get("example").cloned().unwrap_or_else(|| json!({})))
    }

    /// The fields of the JSON body that hold ids.
    pub fn id_fields(&self, document: &Document) -> Vec<String> {
        let mut fields = Vec::new();
        collect_id_fields(document, self.body_schema(), "", &mut Vec::new(), &mut fields);
        fields
    }

    fn body_schema(&self) -> &Value {
        &self.object["requestBody"]["content"]["application/json"]["schema"]
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.push(reference.clone());
            }
            fields.values().for_each(|value| collect_references(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, references)),
        _ => {}
    }
}

/// `within`: the references that lead to the schema. A recursive schema is followed once.
fn collect_id_fields<'a>(
    document: &'a Document,
    schema: &'a Value,
    field: &str,
    within: &mut Vec<&'a str>,
    found: &mut Vec<String>,
) {
    if let Some(reference) = schema["$ref"].as_str().filter(|reference| !within.contains(reference)) {
        within.push(reference);
        collect_id_fields(document, document.resolve(reference).expect("a schema"), field, within, found);
        within.pop();
    }
    if schema["format"] == "uuid" {
        found.push(field.to_owned());
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        collect_id_fields(document, schema, name, within, found);
    }
    if schema["items"].is_object() {
        collect_id_fields(document, &schema["items"], field, within, found);
    }
    for combination in ["items", "allOf", "anyOf", "oneOf"] {
        for schema in schema[combination].as_array().into_iter().flatten() {
            collect_id_fields(document, schema, field, within, found);
        }
    }
}
