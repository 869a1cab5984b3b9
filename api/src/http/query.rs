//! Query strings. An error names the parameter and the rule that the parameter violates, in the words of this API and not in
//! those of the decoder.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use apistos::{
    ApiComponent, Schema,
    paths::{Parameter, RequestBody},
    reference_or::ReferenceOr,
};
use futures::future::LocalBoxFuture;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{gate::Gate, json_body::field_path};
use crate::problem::{Code, FieldError, Problem};

/// The most values of an enumeration that a message lists.
const MAX_LISTED_VALUES: usize = 10;

/// Extractor: the query string, of the declared shape and within its limits (else 400).
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()> + ApiComponent + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let query = decode(request.query_string());
        Box::pin(async move {
            gate.passed().await;
            query.map(Self).map_err(invalid_query)
        })
    }
}

fn invalid_query(errors: Vec<FieldError>) -> Problem {
    let detail = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Problem::new(Code::InvalidQuery).detail(detail).fields(errors)
}

fn decode<T: DeserializeOwned + Validate<Context = ()> + ApiComponent>(query: &str) -> Result<T, Vec<FieldError>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    // PostgreSQL cannot store NUL.
    if let Some((name, _)) = pairs.find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(vec![FieldError::new(name.replace('\0', ""), "must not contain a NUL character")]);
    }
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    let decoded: T = serde_path_to_error::deserialize(reader).map_err(|error| {
        let message = error.inner().to_string();
        let name = field_path(&error.path().to_string(), &message);
        let rule = violated_rule::<T>(&name, &message);
        vec![FieldError::new(name, rule)]
    })?;
    match decoded.validate() {
        Ok(()) => Ok(decoded),
        Err(report) => Err(report
            .iter()
            .map(|(path, error)| {
                let name = path.to_string();
                let rule = rule::<T>(&name).filter(|_| !error.message().starts_with("must "));
                FieldError::new(name, rule.unwrap_or_else(|| error.message().to_owned()))
            })
            .collect()),
    }
}

/// The rule behind a message of the decoder.
fn violated_rule<T: ApiComponent>(name: &str, message: &str) -> String {
    let text = if message.starts_with("unknown field") {
        "is not a parameter of this operation"
    } else if message.starts_with("duplicate field") {
        "must not appear more than once"
    } else if message.starts_with("missing field") {
        "is required"
    } else {
        return rule::<T>(name).unwrap_or_else(|| "is invalid".to_owned());
    };
    text.to_owned()
}

/// The rule of a parameter, from its schema in the OpenAPI document.
fn rule<T: ApiComponent>(name: &str) -> Option<String> {
    let parameters = web::Query::<T>::parameters();
    let parameter = parameters.into_iter().find(|parameter| parameter.name == name)?;
    Some(describe(&json!(parameter.definition)["schema"]))
}

fn describe(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array().filter(|values| values.len() <= MAX_LISTED_VALUES) {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        return format!("must be one of {}", values.join(", "));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        _ if schema["enum"].is_array() => "must be one of the documented values".to_owned(),
        (_, Some("uuid")) => "must be a UUID".to_owned(),
        (_, Some("date-time")) => "must be an RFC 3339 time".to_owned(),
        (Some("integer"), _) => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!("must be an integer from {least} to {most}"),
            _ => "must be an integer".to_owned(),
        },
        _ => "is invalid".to_owned(),
    }
}

impl<T: ApiComponent> ApiComponent for Query<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn request_body() -> Option<RequestBody> {
        None
    }

    fn parameters() -> Vec<Parameter> {
        web::Query::<T>::parameters()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use schemars::JsonSchema;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
    #[serde(deny_unknown_fields)]
    #[garde(allow_unvalidated)]
    #[allow(dead_code)]
    struct Example {
        #[serde(default)]
        #[garde(range(min = 1, max = 100))]
        #[schemars(range(min = 1, max = 100))]
        limit: Option<u32>,
        actor: Option<Uuid>,
        since: Option<DateTime<Utc>>,
    }

    fn error(query: &str) -> String {
        decode::<Example>(query).unwrap_err()[0].to_string()
    }

    #[test]
    fn errors_name_the_parameter_and_its_rule() {
        for query in ["limit=0", "limit=101", "limit=abc", "limit=-1", "limit=", "limit=1.5", "limit=99999999999"] {
            assert_eq!(error(query), "limit must be an integer from 1 to 100", "{query}");
        }
        assert_eq!(error("actor=me"), "actor must be a UUID");
        assert_eq!(error("limit=1&since=yesterday"), "since must be an RFC 3339 time");
        assert_eq!(error("colour=blue"), "colour is not a parameter of this operation");
        assert_eq!(error("limit=1&limit=2"), "limit must not appear more than once");
        assert_eq!(error("actor=%00"), "actor must not contain a NUL character");
    }

    #[test]
    fn valid_query_is_decoded() {
        let query: Example = decode("limit=7&since=2026-01-01T00%3A00%3A00Z").unwrap();
        assert_eq!(query.limit, Some(7));
        assert!(query.since.is_some() && query.actor.is_none());
        assert!(decode::<Example>("").is_ok());
    }
}
