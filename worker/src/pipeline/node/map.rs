//! Compute: metadata and records by expressions.

use std::sync::Arc;

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::{
        expression::{EvaluationError, Expected, Expression, Variables},
        node::map::MapValues,
    },
};
use serde_json::{Map, Value};

use super::{
    evaluation::{evaluate, parse},
    metadata::{MAX_RECORD_BYTES, check, set_metadata},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::{Elements, RecordElement},
    },
    runner::JobError,
};

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
            let metadata = values.iter().map(|values| values.metadata.clone()).collect();
            effects.extend(set_metadata(&mut elements, metadata)?);
        }
        if self.record.is_some() {
            elements = records(&elements, values)?;
        }
        Ok(Output { ports: vec![elements], effects, ..Output::default() })
    }
}

struct Expressions {
    metadata: Vec<(String, Arc<Expression>)>,
    record: Option<Arc<Expression>>,
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

fn failed(code: FailureCode, detail: impl Into<String>) -> JobError {
    JobError::Fail(Failure::new(code, detail))
}
