//! Evaluating expressions for each element of an input.

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::expression::{EvaluationError, Expected, Expression, Variables},
};
use tokio_util::sync::CancellationToken;

use super::chunking::compute;
use crate::{
    pipeline::{contract::Call, element::Elements},
    runner::JobError,
};

/// Parses an expression of the settings, once for a call.
pub(super) fn parse(source: &str, expected: Expected) -> Result<Expression, JobError> {
    // The definition was validated before it was stored.
    Expression::parse(source, expected).map_err(JobError::retry("an expression of the pipeline is not valid"))
}

/// Evaluates something for each element, with its variables, and gives the elements back. It runs on a thread for computation,
/// because one evaluation may take seconds; it ends early when the call is dropped.
///
/// # Errors
/// [`FailureCode::ExpressionFailed`] with the first element that fails.
pub(super) async fn evaluate<T: Send + 'static>(
    call: &Call<'_>,
    elements: Elements,
    evaluate: impl Fn(&Variables) -> Result<T, EvaluationError> + Send + 'static,
) -> Result<(Elements, Vec<T>), JobError> {
    let (cx, workspace, file) = (call.cx.clone(), call.workspace, call.file.clone());
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let evaluated = compute(move || {
        let call = Call { cx: &cx, workspace, node: "", file: &file, spaces: &[] };
        let values = (0..elements.len()).map(|index| {
            if stop.is_cancelled() {
                return Err(EvaluationFailure { index, reason: "the evaluation was cancelled" });
            }
            let value = evaluate(&call.variables(&elements, index));
            value.map_err(|error| EvaluationFailure { index, reason: reason(&error) })
        });
        let values = values.collect::<Result<Vec<T>, _>>();
        (elements, values)
    });
    let (elements, values) = evaluated.await?;
    let values = values.map_err(|EvaluationFailure { index, reason }| {
        let detail = match elements.len() {
            1 => format!("an expression of the node `{}` failed: {reason}", call.node),
            count => {
                format!(
                    "an expression of the node `{}` failed at element {} of {count}: {reason}",
                    call.node,
                    index + 1
                )
            }
        };
        JobError::Fail(Failure::new(FailureCode::ExpressionFailed, detail))
    })?;
    Ok((elements, values))
}

struct EvaluationFailure {
    index: usize,
    reason: &'static str,
}

/// The reason in words of its own: messages of the evaluation quote values, which are parts of the document.
const fn reason(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::TooCostly => "it takes too many steps with these values",
        EvaluationError::Failed(_) => "a value is missing or has the wrong type",
        EvaluationError::NotBool => "the result is not true or false",
    }
}
