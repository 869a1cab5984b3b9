//! Evaluating expressions for each element of an input.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

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

/// Expressions that a worker remembers: parsing and checking one takes longer than evaluating it for an item.
const MAX_EXPRESSIONS: usize = 2_000;

/// Steps of all evaluations of a call, at most: as many as a thousand of the most costly ones have. The steps of an evaluation are an
/// upper bound, so that simple conditions of a million elements stay below.
const MAX_CALL_STEPS: f64 = 1e10;

type KnownExpressions = HashMap<(Expected, String), Arc<Expression>>;

/// Expressions by their text, which has everything that they depend on.
static EXPRESSIONS: LazyLock<Mutex<KnownExpressions>> = LazyLock::new(Mutex::default);

/// An expression of the settings, parsed once.
pub(super) fn parse(source: &str, expected: Expected) -> Result<Arc<Expression>, JobError> {
    let key = (expected, source.to_owned());
    if let Some(known) = EXPRESSIONS.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(Arc::clone(known));
    }
    // The definition was validated before it was stored.
    let parsed = Expression::parse(source, expected);
    let parsed = Arc::new(parsed.map_err(JobError::retry("an expression of the pipeline is not valid"))?);
    let mut known = EXPRESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MAX_EXPRESSIONS {
        known.clear();
    }
    known.insert(key, Arc::clone(&parsed));
    Ok(parsed)
}

/// Evaluates something for each element, with its variables, and gives the elements back. It runs on a thread for computation,
/// because one evaluation may take seconds; it ends early when the call is dropped.
///
/// # Errors
/// [`FailureCode::ExpressionFailed`] with the first element that fails, or from which on there are too many steps.
pub(super) async fn evaluate<T: Send + 'static>(
    call: &Call<'_>,
    elements: Elements,
    evaluate: impl Fn(&Variables) -> Result<T, EvaluationError> + Send + 'static,
) -> Result<(Elements, Vec<T>), JobError> {
    let (cx, workspace, file) = (call.cx.clone(), call.workspace, call.file.clone());
    let (run, pipeline, preview, key) = (call.run, call.pipeline, call.preview, call.key);
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let evaluated = compute(move || {
        let call = Call {
            cx: &cx,
            workspace,
            run,
            pipeline,
            preview,
            node: "",
            key,
            file: &file,
            spaces: &[],
            model_access: None,
            target_access: None,
        };
        let mut steps = 0.0;
        let values = (0..elements.len()).map(|index| {
            if stop.is_cancelled() {
                return Err(EvaluationFailure { index, reason: "the evaluation was cancelled" });
            }
            let variables = call.variables(&elements, index);
            let value = evaluate(&variables);
            steps += variables.steps.get();
            if steps > MAX_CALL_STEPS {
                return Err(EvaluationFailure { index, reason: TOO_MANY_STEPS });
            }
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

/// Why a call ends in the middle.
const TOO_MANY_STEPS: &str =
    "all elements together take too many steps: simplify the expression, or let it read smaller lists and texts";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_is_parsed_once_and_by_its_type() {
        let source = "file.size > 41 && file.name == 'evaluation'";
        let first = parse(source, Expected::Bool).unwrap();
        assert!(Arc::ptr_eq(&first, &parse(source, Expected::Bool).unwrap()));
        assert!(!Arc::ptr_eq(&first, &parse(source, Expected::Any).unwrap()));
        assert!(parse(source, Expected::Map).is_err());
    }

    #[test]
    fn remembered_expressions_are_bounded() {
        for number in 0..MAX_EXPRESSIONS + 10 {
            parse(&format!("file.size > {number}"), Expected::Bool).unwrap();
        }
        assert!(EXPRESSIONS.lock().unwrap().len() <= MAX_EXPRESSIONS);
    }
}
