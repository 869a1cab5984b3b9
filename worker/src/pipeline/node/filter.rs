//! Compute: keeps the elements for which a condition holds.

use nvisy_shared::pipeline::{expression::Expected, node::filter::Filter};

use super::evaluation::{evaluate, parse};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for Filter {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let condition = parse(&self.expression, Expected::Bool)?;
        let (elements, holds) = evaluate(call, input, move |variables| condition.holds(variables)).await?;
        Ok(Output::one(elements.select(|index| holds[index])))
    }
}
