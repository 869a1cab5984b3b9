//! The credentials that each operation accepts.

use serde_json::{Value, json};

use super::{errors::permission, operations::each_operation};
use crate::auth::bearer;

/// Adds sessions as the alternative of API tokens, marks public operations, and names the permission that a token needs.
pub fn declare(document: &mut Value) {
    each_operation(document, |operation| {
        let session = json!([{ (bearer::SESSION): [] }]);
        let both = json!([{ (bearer::SESSION): [] }, { (bearer::TOKEN): [] }]);
        let security = if operation.accepts(bearer::TOKEN) {
            // Outside of workspaces, API tokens can only read.
            if operation.method == "get" || operation.path.contains("{ws}") { both } else { session }
        } else if operation.accepts(bearer::SESSION) {
            session
        } else {
            json!([])
        };
        if let Some(permission) = permission(&operation) {
            let text = operation.object.get("description").and_then(Value::as_str).unwrap_or_default();
            let text = format!("{text} Requires the permission `{}`.", permission.name());
            operation.object.insert("description".to_owned(), text.trim().into());
        }
        operation.object.insert("security".to_owned(), security);
    });
}
