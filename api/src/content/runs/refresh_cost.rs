//! The cost of computing stale results again.

use std::collections::BTreeMap;

use nvisy_shared::{
    domain::connection::{
        self,
        embedding::EmbeddingSettings,
        model::{ModelProvider, ModelSettings},
    },
    id::{ConnectionId, WorkspaceId},
    pipeline::{node::Settings, plan::Plan},
    store::{self, Conn, staleness::ConnectionTokens},
};

use crate::problem::Problem;

/// The cost by the prices of the connections, in millionths; `None`: none of them has a price. `tokens` are those of the stale
/// chunks, which each node of the plan that asks a model reads at least.
pub async fn refresh_cost(
    conn: &impl Conn,
    workspace: WorkspaceId,
    plan: &Plan,
    tokens: i64,
    spent: Vec<ConnectionTokens>,
) -> Result<Option<i64>, Problem> {
    let mut uses: BTreeMap<ConnectionId, (u64, ConnectionTokens)> = BTreeMap::new();
    for of_connection in spent {
        uses.insert(of_connection.connection_id, (0, of_connection));
    }
    for connection in asked(plan) {
        uses.entry(connection).or_insert_with(|| (0, ConnectionTokens::none(connection))).0 += 1;
    }
    let mut cost = None;
    for (id, (nodes, spent)) in uses {
        let Some(row) = store::connection::find(conn, workspace, id).await? else { continue };
        let priced = if ModelProvider::parse(&row.provider).is_some() {
            let settings: Option<ModelSettings> = connection::read(&row.settings).ok();
            settings.and_then(|settings| model_cost(&settings, nodes, tokens, spent))
        } else {
            let settings: Option<EmbeddingSettings> = connection::read(&row.settings).ok();
            settings.and_then(|settings| embedding_cost(&settings, spent))
        };
        if let Some(priced) = priced {
            cost = Some(cost.unwrap_or(0_i64).saturating_add(priced));
        }
    }
    Ok(cost)
}

/// The connections that nodes of a plan ask, once for each node.
fn asked(plan: &Plan) -> impl Iterator<Item = ConnectionId> {
    plan.nodes().filter_map(|step| match step.settings {
        Settings::SourceConnection(_) | Settings::SinkConnection(_) => None,
        _ => step.settings.connection(),
    })
}

/// The cost of answers: the tokens that the nodes read last time, or at least the texts, and those that the model wrote.
fn model_cost(settings: &ModelSettings, nodes: u64, tokens: i64, spent: ConnectionTokens) -> Option<i64> {
    settings.prices?;
    // No node of the newest version asks it.
    if nodes == 0 {
        return Some(0);
    }
    let texts = count(tokens).saturating_mul(nodes);
    Some(settings.cost(count(spent.input_tokens).max(texts), count(spent.output_tokens)))
}

fn embedding_cost(settings: &EmbeddingSettings, spent: ConnectionTokens) -> Option<i64> {
    settings.price_per_million?;
    Some(settings.cost(count(spent.embedded_tokens)))
}

fn count(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spent(input_tokens: i64, output_tokens: i64, embedded_tokens: i64) -> ConnectionTokens {
        let none = ConnectionTokens::none(ConnectionId::new());
        ConnectionTokens { input_tokens, output_tokens, embedded_tokens, ..none }
    }

    #[test]
    fn answers_cost_what_they_did_and_at_least_the_texts() {
        let settings = json!({ "model": "m", "prices": { "inputPerMillion": 1.0, "outputPerMillion": 10.0 } });
        let settings: ModelSettings = connection::read(&settings).unwrap();
        assert_eq!(model_cost(&settings, 1, 50, spent(80, 2, 0)), Some(100));
        assert_eq!(model_cost(&settings, 2, 50, spent(80, 2, 0)), Some(120));
        assert_eq!(model_cost(&settings, 0, 50, spent(80, 2, 0)), Some(0));
        let free: ModelSettings = connection::read(&json!({ "model": "m" })).unwrap();
        assert_eq!(model_cost(&free, 1, 50, spent(80, 2, 0)), None);
    }

    #[test]
    fn vectors_cost_the_tokens_of_their_chunks() {
        let settings = |more: serde_json::Value| -> EmbeddingSettings {
            let mut all = json!({ "model": "m", "dimensions": 3 });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            connection::read(&all).unwrap()
        };
        assert_eq!(embedding_cost(&settings(json!({ "pricePerMillion": 2.0 })), spent(9, 9, 50)), Some(100));
        assert_eq!(embedding_cost(&settings(json!({})), spent(9, 9, 50)), None);
    }
}
