//! Runs queries in both spaces of a collection.

use std::collections::HashSet;

use futures::future::join_all;
use nvisy_shared::{
    domain::space::SecondSpaceState,
    id::{ChunkId, CollectionId, WorkspaceId},
    store::{
        self, Db,
        collection::CollectionSpace,
        search::{SearchMode, SearchQuery, SpaceVector, has_words, meaning, nearest_chunks},
    },
};

use super::super::{
    embedding::QueryEmbedding,
    scope::{QuerySpace, choose, query_spaces},
};
use crate::{
    auth::member::{Member, WriteCollections},
    problem::{Code, Problem},
    state::State,
};

/// Passages of each space that are compared.
const DEPTH: i64 = 10;
/// Queries whose vectors are requested together.
const BATCH_QUERIES: usize = 32;

/// A comparison to run.
#[derive(Debug)]
pub struct ComparisonCommand {
    /// `None`: the newest queries of the collection's sample.
    pub queries: Option<Vec<String>>,
    /// Maximum number of queries of the sample.
    pub limit: i64,
}

/// The result of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// The queries that have hits, in the order of the request.
    pub overlaps: Vec<QueryOverlap>,
    /// Queries that a model rejects.
    pub rejected: usize,
    /// Whether every passage has its vector in both spaces.
    pub is_complete: bool,
}

/// A query, and the share of hits that both spaces have in common, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryOverlap {
    pub query: String,
    pub overlap: f64,
}

/// Compares the spaces of a collection. No database connection is held while the queries are embedded, and one at a time is afterwards.
pub async fn compare(
    state: &State,
    member: &Member<WriteCollections>,
    collection: String,
    command: ComparisonCommand,
) -> Result<Comparison, Problem> {
    let (db, workspace) = (&state.platform.db, member.workspace);
    let all = store::collection::spaces(db, workspace).await?;
    let chosen = choose(&all, Some(&[collection]))?;
    let &[first] = chosen.as_slice() else { return Err(Problem::not_found()) };
    let second = store::second_space::read(db, workspace, first.id).await?.ok_or_else(Problem::not_found)?;
    if second.state == SecondSpaceState::Deleting {
        return Err(Problem::not_found());
    }
    let is_complete = second.state == SecondSpaceState::Ready;
    let moved = CollectionSpace {
        space_id: Some(second.space_id),
        quantisation: Some(second.quantisation),
        connection_id: second.connection_id,
        ..first.clone()
    };
    let spaces = query_spaces(&state.platform, &[first, &moved]).await?.all()?;
    let mut queries = match command.queries {
        Some(queries) => queries,
        None => store::query_sample::list(db, workspace, first.id, command.limit).await?,
    };
    queries.retain(|query| has_words(query));
    state.limiter.count_further(member.caller(), workspace, queries.len().saturating_sub(1)).await?;
    let mut comparison = Comparison { overlaps: Vec::new(), rejected: 0, is_complete };
    for batch in queries.chunks(BATCH_QUERIES) {
        let (embedded, rejected) = embed(state, workspace, &spaces, batch).await?;
        comparison.rejected += rejected;
        for (query, vectors) in embedded {
            let mut found = Vec::new();
            for vector in vectors {
                found.push(nearest(db, workspace, first.id, &query, vector).await?);
            }
            let overlap = overlap(&found);
            comparison.overlaps.extend(overlap.map(|overlap| QueryOverlap { query, overlap }));
        }
    }
    Ok(comparison)
}

/// The queries of a batch with their vectors, one of each space, and the number of those that a model rejects.
async fn embed(
    state: &State,
    workspace: WorkspaceId,
    spaces: &[QuerySpace],
    batch: &[String],
) -> Result<(Vec<(String, Vec<SpaceVector>)>, usize), Problem> {
    let meanings: Vec<_> = batch.iter().map(|query| (spaces, meaning(query))).collect();
    let requested = QueryEmbedding::request(state, workspace, &meanings);
    let vectors = join_all(requested.into_iter().map(QueryEmbedding::finish)).await;
    let (mut embedded, mut rejected) = (Vec::new(), 0);
    for (query, vectors) in batch.iter().zip(vectors) {
        match vectors {
            Ok(vectors) => embedded.push((query.replace('\0', " "), vectors)),
            Err(problem) if problem.is(Code::InvalidBody) => rejected += 1,
            Err(problem) => return Err(problem),
        }
    }
    Ok((embedded, rejected))
}

/// The passages that are nearest to a query in one space.
async fn nearest(
    db: &Db,
    workspace: WorkspaceId,
    collection: CollectionId,
    text: &str,
    vector: SpaceVector,
) -> Result<HashSet<ChunkId>, Problem> {
    let query = SearchQuery {
        mode: SearchMode::Vector,
        text: text.to_owned(),
        vectors: vec![vector],
        collections: Some(vec![collection]),
        limit: DEPTH,
        ..SearchQuery::default()
    };
    Ok(nearest_chunks(db, workspace, &query).await?.into_iter().collect())
}

/// The share of hits that two spaces have in common; `None`: neither has any.
fn overlap(found: &[HashSet<ChunkId>]) -> Option<f64> {
    let [first, second] = found else { return None };
    let most = first.len().max(second.len());
    (most > 0).then(|| first.intersection(second).count() as f64 / most as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_the_share_of_the_longer_list() {
        let [a, b, c] = [ChunkId::new(), ChunkId::new(), ChunkId::new()];
        let set = |chunks: &[ChunkId]| chunks.iter().copied().collect::<HashSet<_>>();
        assert_eq!(overlap(&[set(&[a, b]), set(&[b, a])]), Some(1.0));
        assert_eq!(overlap(&[set(&[a, b]), set(&[b, c])]), Some(0.5));
        assert_eq!(overlap(&[set(&[a]), set(&[])]), Some(0.0));
        assert_eq!(overlap(&[set(&[]), set(&[])]), None);
    }
}
