//! What calls of models cost.

use actix_web::web::Data;
use apistos::{ApiComponent, api_operation};
use chrono::NaiveDate;
use garde::Validate;
use nvisy_shared::{id::RunId, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    auth::member::{Member, ReadConnections},
    http::{extract::Json, query::Query},
    problem::Problem,
    state::State,
};

/// The usage to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct UsageQuery {
    /// Only that of this run.
    run: Option<Uuid>,
}

/// Calls, tokens and cost of models.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct ModelUsage {
    /// By month, connection and model, newest month first.
    items: Vec<UsageOfModel>,
}

/// The usage of a model in a month.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageOfModel {
    /// The first day of the month, in UTC.
    month: NaiveDate,
    /// The id of the connection, which may be deleted.
    connection_id: Uuid,
    /// The name of the model at the provider.
    model: String,
    /// The number of calls.
    calls: i64,
    /// Tokens that the model read.
    input_tokens: i64,
    /// Tokens that the model wrote.
    output_tokens: i64,
    /// The cost by the prices of the connection at the time of each call, in their currency.
    cost: f64,
}

#[api_operation(
    operation_id = "listModelUsage",
    tag = "connections",
    summary = "List the usage of models",
    description = "Calls, tokens and cost by month, connection and model, of the workspace or of a run. A call counts when its answer arrives, also if the item fails later."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadConnections>,
    query: Query<UsageQuery>,
) -> Result<Json<ModelUsage>, Problem> {
    let rows = store::model_usage::list(&state.platform.db, member.workspace, query.0.run.map(RunId)).await?;
    let items = rows.into_iter().map(|row| UsageOfModel {
        month: row.month,
        connection_id: row.connection_id.0,
        model: row.model,
        calls: row.calls,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cost: row.cost as f64 / 1e6,
    });
    Ok(Json(ModelUsage { items: items.collect() }))
}
