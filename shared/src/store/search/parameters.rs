//! The parameters of a statement that is built at run time.

use sea_orm::{DbBackend, Statement, Value};

/// Collects values. A placeholder exists only for a value that was added, so no number is written by hand.
#[derive(Debug, Default)]
pub(in crate::store) struct Parameters {
    values: Vec<Value>,
}

impl Parameters {
    /// Adds a value and returns its placeholder, which can be used several times.
    pub(in crate::store) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// The statement with this text.
    pub(in crate::store) fn into_statement(self, text: String) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, text, self.values)
    }
}
