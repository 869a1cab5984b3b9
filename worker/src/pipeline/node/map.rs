//! Compute: metadata and records by expressions.

use std::sync::Arc;

use async_trait::async_trait;
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::{
        expression::{EvaluationError, Expected, Expression, Variables},
        node::map::MapValues,
    },
};
use serde_json::{Map, Value};

use super::evaluation::{evaluate, parse};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output},
        element::{Elements, Origin, RecordElement},
    },
    runner::JobError,
};

/// Maximum size of the metadata of a file, as JSON.
const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Maximum size of a record, as JSON.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

#[async_trait]
impl Behaviour for MapValues {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let expressions = Expressions {
            metadata: self
                .metadata
                .iter()
                .map(|(key, source)| Ok((key.clone(), parse(source, Expected::Any)?)))
                .collect::<Result<_, JobError>>()?,
            record: self.record.as_ref().map(|source| parse(source, Expected::Map)).transpose()?,
        };
        let (mut elements, values) = evaluate(call, input, move |variables| expressions.values(variables)).await?;
        let mut effects = Vec::new();
        if !self.metadata.is_empty() {
            effects.extend(set_metadata(&mut elements, &values)?);
        }
        if self.record.is_some() {
            elements = records(&elements, values)?;
        }
        Ok(Output { ports: vec![elements], effects, ..Output::default() })
    }
}

struct Expressions {
    metadata: Vec<(String, Expression)>,
    record: Option<Expression>,
}

/// The values for one element.
struct Values {
    metadata: Map<String, Value>,
    record: Option<Value>,
}

impl Expressions {
    /// All expressions see the metadata as they were before the node.
    fn values(&self, variables: &Variables) -> Result<Values, EvaluationError> {
        let metadata = self.metadata.iter().map(|(key, expression)| {
            let value = expression.evaluate(variables)?;
            Ok((key.clone(), value))
        });
        let record = self.record.as_ref().map(|expression| expression.evaluate(variables));
        Ok(Values { metadata: metadata.collect::<Result<_, _>>()?, record: record.transpose()? })
    }
}

/// Sets the metadata of the elements. The file gets those of the last element for each key.
fn set_metadata(elements: &mut Elements, values: &[Values]) -> Result<Option<Effect>, JobError> {
    let mut all = Map::new();
    for (origin, values) in elements.origins_mut().into_iter().zip(values) {
        let mut metadata = origin.metadata.clone();
        metadata.extend(values.metadata.clone());
        *origin = Arc::new(Origin { metadata, document: origin.document.clone() });
        all.extend(values.metadata.clone());
    }
    check("the metadata", &Value::Object(all.clone()), MAX_METADATA_BYTES)?;
    Ok((!values.is_empty()).then_some(Effect::Metadata(all)))
}

fn records(elements: &Elements, values: Vec<Values>) -> Result<Elements, JobError> {
    let records = elements.origins().into_iter().zip(values).map(|(origin, values)| {
        let row = values.record.unwrap_or_default();
        if !row.is_object() {
            return Err(failed(FailureCode::ExpressionFailed, "the result of `record` is not a map"));
        }
        check("a record", &row, MAX_RECORD_BYTES)?;
        Ok(RecordElement { row, origin: Arc::clone(origin) })
    });
    Ok(Elements::Records(records.collect::<Result<_, JobError>>()?))
}

/// Checks that a value can be stored.
fn check(what: &str, value: &Value, max_bytes: usize) -> Result<(), JobError> {
    if has_nul(value) {
        return Err(failed(FailureCode::ExpressionFailed, format!("{what} would contain the character U+0000")));
    }
    if value.to_string().len() > max_bytes {
        return Err(failed(FailureCode::TooLarge, format!("{what} would have more than {max_bytes} bytes")));
    }
    Ok(())
}

fn failed(code: FailureCode, detail: impl Into<String>) -> JobError {
    JobError::Fail(Failure::new(code, detail))
}

/// Whether a text in the value contains a character that PostgreSQL cannot store.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}
