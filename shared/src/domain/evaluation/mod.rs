//! Evaluation of rankings on judged queries: metrics, comparison, and weights. All of it is arithmetic.

mod judgements;
mod metrics;
mod paired_test;
mod weights;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

pub use self::{
    judgements::{FileJudgement, grade_of, grades_by_file},
    metrics::{MAX_DEPTH, Metrics, NDCG_DEPTH, mean, measure},
    paired_test::{EXACT_PAIRS, Paired, ROUNDS, compare},
    weights::{FOLDS, Fitted, choose_setting},
};

/// Grades of judgements: 0 is not relevant, 3 the highest.
pub const MAX_GRADE: i16 = 3;
/// Queries of a set.
pub const MAX_QUERIES: usize = 1_000;
/// Judgements of a set.
pub const MAX_JUDGEMENTS: usize = 100_000;
/// Query sets of a workspace.
pub const MAX_SETS: i64 = 100;
/// Evaluations of a workspace.
pub const MAX_EVALUATIONS: i64 = 10_000;
/// Evaluations of a workspace that run at the same time.
pub const MAX_RUNNING: i64 = 5;
/// Characters of a query.
pub const MAX_QUERY_CHARS: usize = 10_000;

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EvaluationState {
    /// Its queries are being searched.
    Running,
    /// It has its metrics.
    Done,
    /// It ended without metrics.
    Failed,
}
