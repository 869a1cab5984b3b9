use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::EvaluationId};

/// Searches the next queries of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEvaluation {
    /// The evaluation.
    pub evaluation: EvaluationId,
}

impl Job for RunEvaluation {
    const KIND: &'static str = "evaluation.run";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Model
    }

    /// Behind the work for uploads and runs.
    fn level(&self) -> i16 {
        30
    }
}
