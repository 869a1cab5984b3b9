//! Search: the query is embedded in the spaces of the collections first, then the store finds the hits.

use actix_web::web::Data;
use futures::future::join_all;
use nvisy_shared::{
    id::WorkspaceId,
    store::{collection::CollectionSpace, search::meaning},
};

use super::{
    command::{SearchCommand, SearchOutcome},
    embedding::QueryEmbedding,
    prepared::{Found, Prepared},
    scope::QuerySpace,
};
use crate::{problem::Problem, state::State};

/// Searches. `all` are the collections of the workspace.
pub async fn run(
    state: Data<State>,
    workspace: WorkspaceId,
    all: Vec<CollectionSpace>,
    command: SearchCommand,
) -> Result<SearchOutcome, Problem> {
    let mut outcomes = run_all(state, workspace, all, vec![command]).await?;
    outcomes.pop().unwrap_or_else(|| Err(Problem::internal("a search has no outcome")))
}

/// Runs searches, each with its own outcome. Their queries are embedded together, and models rank their hits at the same time. No
/// database connection is held meanwhile, and one at a time is otherwise: the searches of a request take no connections from
/// other requests.
pub async fn run_all(
    state: Data<State>,
    workspace: WorkspaceId,
    all: Vec<CollectionSpace>,
    commands: Vec<SearchCommand>,
) -> Result<Vec<Result<SearchOutcome, Problem>>, Problem> {
    let state: &State = &state;
    let mut prepared = Vec::new();
    for command in commands {
        prepared.push(Prepared::new(&state.platform, workspace, &all, command).await);
    }
    let queries: Vec<(&[QuerySpace], String)> = prepared
        .iter()
        .map(|prepared| match prepared {
            Ok(prepared) => (prepared.spaces.as_slice(), meaning(&prepared.query.text)),
            Err(_) => (&[][..], String::new()),
        })
        .collect();
    let embeddings = QueryEmbedding::request(state, workspace, &queries);
    let embedded =
        prepared.into_iter().zip(embeddings).map(async |(prepared, embedding)| prepared?.embed(embedding).await);
    let mut found = Vec::new();
    for prepared in join_all(embedded).await {
        found.push(match prepared {
            Ok(prepared) => prepared.find_passages(state, workspace).await,
            Err(problem) => Err(problem),
        });
    }
    let ranked = found.into_iter().map(async |found: Result<Found, Problem>| match found {
        Ok(found) => Ok(found.rank(state, workspace).await),
        Err(problem) => Err(problem),
    });
    let mut outcomes = Vec::new();
    for prepared in join_all(ranked).await {
        outcomes.push(match prepared {
            Ok(prepared) => prepared.run(state, workspace).await,
            Err(problem) => Err(problem),
        });
    }
    Ok(outcomes)
}
