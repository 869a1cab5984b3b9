//! Route: the first branch whose condition holds.

use std::sync::Arc;

use nvisy_shared::pipeline::{
    expression::{EvaluationError, Expected, Expression, Variables},
    node::switch_when::SwitchWhen,
};

use super::{
    branches::divide,
    evaluation::{evaluate, parse},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for SwitchWhen {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let conditions = self
            .branches
            .iter()
            .map(|branch| parse(&branch.expression, Expected::Bool))
            .collect::<Result<Vec<_>, _>>()?;
        let count = conditions.len() + 1;
        let (elements, places) = evaluate(call, input, move |variables| place(&conditions, variables)).await?;
        Ok(divide(elements, &places, count))
    }
}

/// The place of the first condition that holds; the last output takes the rest.
fn place(conditions: &[Arc<Expression>], variables: &Variables) -> Result<usize, EvaluationError> {
    for (place, condition) in conditions.iter().enumerate() {
        if condition.holds(variables)? {
            return Ok(place);
        }
    }
    Ok(conditions.len())
}
