//! Conditions and mappings in CEL: parsed, checked and bounded before they are stored, evaluated by the engine.
//!
//! CEL (crate `cel`) has no loops, no recursion and no side effects. Its macros over lists can still multiply work, so the
//! steps of an evaluation are bounded before it starts (`cost`).

mod cost;
mod types;
mod variables;

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value as Cel};
use serde_json::Value;

use self::variables::to_cel;
pub use self::variables::{Field, Kind, VARIABLES, Variable, Variables};
use super::problem::{NodeProblems, ProblemCode};

/// Maximum length of an expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 4_096;

/// Maximum number of operators and brackets. Parser and evaluation recurse once for each, at worst.
pub const MAX_OPERATORS: usize = 150;

/// The standard functions of CEL.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The type that a setting requires of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// `true` or `false`.
    Bool,
    /// A map.
    Map,
    /// Any value.
    Any,
}

/// An expression that has been parsed and checked.
#[derive(Debug)]
pub struct Expression {
    program: Program,
}

/// Why an expression is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is empty or too long, does not parse, or has type errors.
    #[error("{}", .0.join("; "))]
    Invalid(
        /// All mistakes.
        Vec<String>,
    ),
    /// It could run too long.
    #[error("could take more than {max} steps", max = cost::MAX_STEPS)]
    TooCostly,
}

/// Why an evaluation has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    /// It would take too long with these values.
    #[error("the expression would take more than {max} steps with these values", max = cost::MAX_STEPS)]
    TooCostly,
    /// A value is missing or has the wrong type.
    #[error("{0}")]
    Failed(String),
    /// The result is not true or false.
    #[error("the result of the expression is not true or false")]
    NotBool,
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// [`ExpressionError`] with all mistakes.
    pub fn parse(source: &str, expected: Expected) -> Result<Self, ExpressionError> {
        let invalid = |message: String| ExpressionError::Invalid(vec![message]);
        if source.trim().is_empty() || source.len() > MAX_EXPRESSION_BYTES {
            return Err(invalid(format!("must have 1 to {MAX_EXPRESSION_BYTES} bytes")));
        }
        if operators(source) > MAX_OPERATORS {
            return Err(invalid(format!("has more than {MAX_OPERATORS} operators and brackets")));
        }
        let program = ENVIRONMENT.compile(source).map_err(|errors| {
            let mistake =
                |error: &cel::ParseError| format!("at line {}, column {}: {}", error.pos.0, error.pos.1, error.msg);
            ExpressionError::Invalid(errors.errors.iter().take(10).map(mistake).collect())
        })?;
        let (kind, mistakes) = types::check(program.expression());
        if !mistakes.is_empty() {
            return Err(ExpressionError::Invalid(mistakes));
        }
        let expression = Self { program };
        require(expected, kind)?;
        let assumed = |name: &str| {
            VARIABLES.iter().find(|variable| variable.name == name).map_or(1.0, |variable| variable.assumed_size)
        };
        if cost::bounded(expression.program.expression(), &assumed).is_none() {
            return Err(ExpressionError::TooCostly);
        }
        expression.check_example(expected)?;
        Ok(expression)
    }

    /// Evaluates it with the examples of the variables, which finds type errors that depend on values.
    fn check_example(&self, expected: Expected) -> Result<(), ExpressionError> {
        match self.execute(&Variables::example()) {
            Ok(value) => require(expected, kind_of(&value)),
            Err(
                error @ (ExecutionError::UndeclaredReference(_)
                | ExecutionError::UnexpectedType { .. }
                | ExecutionError::UnsupportedBinaryOperator(..)
                | ExecutionError::NoSuchOverload(_)
                | ExecutionError::ValuesNotComparable(..)),
            ) => Err(ExpressionError::Invalid(vec![error.to_string()])),
            // Depends on the values: a key that only some metadata has, an index, a division.
            Err(_) => Ok(()),
        }
    }

    fn execute(&self, variables: &Variables) -> Result<Cel, ExecutionError> {
        let mut context = Context::with_env(ENVIRONMENT.clone());
        for variable in VARIABLES {
            let value = variables.get(variable.name).map_or(Cel::Null, to_cel);
            context.add_variable_from_value(variable.name, value);
        }
        self.program.execute(&context)
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// [`EvaluationError`] when it would run too long, or a value is missing or has the wrong type.
    pub fn evaluate(&self, variables: &Variables) -> Result<Value, EvaluationError> {
        let value = self.bounded(variables)?;
        value.json().map_err(|error| EvaluationError::Failed(error.to_string()))
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and when the result is not true or false.
    pub fn holds(&self, variables: &Variables) -> Result<bool, EvaluationError> {
        match self.bounded(variables)? {
            Cel::Bool(value) => Ok(value),
            _ => Err(EvaluationError::NotBool),
        }
    }

    fn bounded(&self, variables: &Variables) -> Result<Cel, EvaluationError> {
        let size = |name: &str| variables.get(name).map_or(1.0, json_size);
        let steps = cost::bounded(self.program.expression(), &size).ok_or(EvaluationError::TooCostly)?;
        variables.steps.set(variables.steps.get() + steps);
        self.execute(variables).map_err(|error| EvaluationError::Failed(error.to_string()))
    }
}

/// The number of operators and brackets. Those in texts count as well: to skip texts reliably would take a parser. `&&` and
/// `||` do not count, since the parser balances them.
fn operators(source: &str) -> usize {
    let single = source.bytes().filter(|byte| b"+-*/%!.?<>([{".contains(byte)).count();
    single + source.matches("==").count() + source.matches("in").count()
}

/// Adds the problems of an expression in a field.
pub fn validate(source: &str, expected: Expected, field: &str, problems: &mut NodeProblems<'_>) {
    match Expression::parse(source, expected) {
        Ok(_) => {}
        Err(ExpressionError::Invalid(mistakes)) => {
            for mistake in mistakes {
                let remedy = "correct the expression; docs/PIPELINES.md lists variables and functions";
                problems.add(ProblemCode::InvalidExpression, field, mistake, remedy);
            }
        }
        Err(error @ ExpressionError::TooCostly) => {
            let remedy = "nest fewer macros over lists";
            problems.add(ProblemCode::ExpressionTooCostly, field, error.to_string(), remedy);
        }
    }
}

fn require(expected: Expected, kind: Kind) -> Result<(), ExpressionError> {
    let wanted = match (expected, kind) {
        (Expected::Any, _) | (_, Kind::Any) | (Expected::Bool, Kind::Bool) => return Ok(()),
        (Expected::Map, Kind::Map | Kind::Fields(_)) => return Ok(()),
        (Expected::Bool, _) => Kind::Bool,
        (Expected::Map, _) => Kind::Map,
    };
    Err(ExpressionError::Invalid(vec![format!("the result is {}, not {}", kind.name(), wanted.name())]))
}

fn kind_of(value: &Cel) -> Kind {
    match value {
        Cel::Bool(_) => Kind::Bool,
        Cel::Int(_) | Cel::UInt(_) => Kind::Int,
        Cel::Float(_) => Kind::Double,
        Cel::String(_) => Kind::Text,
        Cel::Bytes(_) => Kind::Bytes,
        Cel::Null => Kind::Null,
        Cel::Timestamp(_) => Kind::Time,
        Cel::Duration(_) => Kind::Duration,
        Cel::List(_) => Kind::List,
        Cel::Map(_) => Kind::Map,
        _ => Kind::Any,
    }
}

/// The size of a value: the number of values in it, texts by their length.
fn json_size(value: &Value) -> f64 {
    match value {
        Value::String(text) => cost::text_size(text.len()),
        Value::Array(items) => 1.0 + items.iter().map(json_size).sum::<f64>(),
        Value::Object(entries) => {
            1.0 + entries.iter().map(|(key, value)| cost::text_size(key.len()) + json_size(value)).sum::<f64>()
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests;
