//! Pages and filters of lists.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::{
    domain::failure::FailureCode,
    store::run_list::{ItemFilter, RunFilter},
};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::identifiers::{ItemState, RunState, RunTrigger};
use crate::http::{
    pagination::{PageQuery, default_limit},
    string_schema::{Opaque, failure_codes},
};

/// The page of runs to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct RunsQuery {
    /// Only runs of this pipeline.
    pipeline: Option<Uuid>,
    /// Only runs in this state.
    state: Option<RunState>,
    /// Only runs that were started for this reason.
    trigger: Option<RunTrigger>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

impl RunsQuery {
    pub fn into_parts(self) -> (RunFilter, PageQuery) {
        let filter = RunFilter {
            pipeline: self.pipeline.map(Into::into),
            state: self.state.map(|state| state.0),
            trigger: self.trigger.map(|trigger| trigger.0),
        };
        (filter, PageQuery::new(self.limit, self.cursor))
    }
}

/// The page of items to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ItemsQuery {
    /// Only items in this state.
    state: Option<ItemState>,
    /// Only items that failed with this code.
    #[serde(default)]
    #[schemars(schema_with = "failure_codes")]
    code: Option<FailureCode>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

impl ItemsQuery {
    pub fn into_parts(self) -> (ItemFilter, PageQuery) {
        let filter = ItemFilter { state: self.state.map(|state| state.0), code: self.code };
        (filter, PageQuery::new(self.limit, self.cursor))
    }
}
