//! Check: tests a condition, and warns or fails the item where it does not hold.

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::{
        expression::Expected,
        node::check::{Check, Severity},
    },
};

use super::evaluation::{evaluate, parse};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for Check {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let condition = parse(&self.expression, Expected::Bool)?;
        let (passed, holds) = evaluate(call, input, move |variables| condition.holds(variables)).await?;
        let elements = holds.iter().filter(|holds| !**holds).count() as u64;
        let message = self.message.as_ref().unwrap_or(&self.expression).clone();
        match (elements, self.severity) {
            (0, _) => Ok(Output::one(passed)),
            (_, Severity::Warn) => Ok(Output {
                ports: vec![passed],
                effects: vec![Effect::CheckFailed { message, elements }],
                ..Output::default()
            }),
            (_, Severity::Block) => Err(JobError::Fail(Failure::new(FailureCode::CheckFailed, message))),
        }
    }
}
