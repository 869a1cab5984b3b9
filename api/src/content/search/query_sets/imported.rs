//! The queries and judgements of imported texts, and the problems of their lines.

use nvisy_shared::{domain::evaluation::MAX_QUERY_CHARS, id::FileId};

use crate::{
    http::validation::line,
    problem::{FieldError, Problem},
};

/// Characters of a client's name of a query.
pub const MAX_QUERY_ID_CHARS: usize = 200;
/// Bad lines that a problem lists.
pub const MAX_ERRORS: usize = 20;

/// What the texts contain.
#[derive(Debug, Default)]
pub struct Import {
    pub queries: Vec<ImportedQuery>,
    pub judgements: Vec<ImportedJudgement>,
}

impl Import {
    /// Adds a query, if its fields are within their limits.
    pub fn add_query(&mut self, place: Place, external_id: Option<&str>, text: &str, problems: &mut Problems) {
        if let Some(Err(error)) = external_id.map(|id| line(1, MAX_QUERY_ID_CHARS)(id, &())) {
            return problems.add(place, format!("the id of the query {error}"));
        }
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX_QUERY_CHARS || text.contains('\0') {
            return problems.add(place, format!("the query must have 1 to {MAX_QUERY_CHARS} characters"));
        }
        self.queries.push(ImportedQuery { external_id: external_id.map(str::to_owned), text: text.to_owned() });
    }
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedQuery {
    /// The client's name of it.
    pub external_id: Option<String>,
    pub text: String,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedJudgement {
    pub place: Place,
    pub query: QueryReference,
    pub document: Document,
    pub range: Option<(i64, i64)>,
    pub grade: i16,
}

/// The query of a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryReference {
    /// By its place among the imported ones.
    Imported(usize),
    /// By the client's name.
    ExternalId(String),
}

/// The file of a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A file that must exist.
    File(FileId),
    /// A file that need not exist.
    ExternalId(String),
    /// The id of a file, if it is one, or else an external id.
    Any(String),
}

/// A line of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub field: &'static str,
    /// From 1.
    pub line: usize,
}

impl Place {
    pub fn error(self, message: impl std::fmt::Display) -> FieldError {
        FieldError::new(self.field, format!("line {}: {message}", self.line))
    }
}

/// Problems of lines, of which the first are reported.
#[derive(Debug, Default)]
pub struct Problems(Vec<FieldError>);

impl Problems {
    pub fn add(&mut self, place: Place, message: impl std::fmt::Display) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(place.error(message));
        }
    }

    /// 422 with the problems, unless there are none.
    pub fn check(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}
