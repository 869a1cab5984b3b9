//! Search for passages that are similar to others.

use actix_web::web::Data;
use nvisy_shared::{
    id::{ChunkId, FileId, WorkspaceId},
    store::{
        self,
        collection::CollectionSpace,
        search::{FacetField, SearchMode, Threshold, collections_by_space, search},
    },
};
use serde_json::json;

use super::{
    as_of::AsOf,
    command::{SearchOptions, SearchOutcome},
    cursor::Fingerprint,
    scope::choose,
};
use crate::{
    problem::{Code, Problem},
    state::State,
};

/// A search for passages that are similar to a passage or a file.
#[derive(Clone, Debug)]
pub struct SimilarCommand {
    pub origin: Origin,
    pub threshold: Threshold,
    pub facets: Vec<FacetField>,
    pub options: SearchOptions,
}

/// The passage or file to which others are similar.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    File(FileId),
    Chunk(ChunkId),
}

/// Finds passages that are similar to a passage or a file, by its stored vectors: no model is called. 409 if it has none. `all` are
/// the collections of the workspace.
pub async fn similar(
    state: Data<State>,
    workspace: WorkspaceId,
    all: Vec<CollectionSpace>,
    command: SimilarCommand,
) -> Result<SearchOutcome, Problem> {
    let SimilarCommand { origin, threshold, facets, options } = command;
    let db = &state.platform.db;
    let chosen = choose(&all, options.collections.as_deref())?;
    let as_of = AsOf::find(db, workspace, options.as_of.as_deref(), &chosen).await?;
    let (visibility, degraded) = (as_of.visibility, as_of.missing_vectors(db, workspace).await?);
    let mut query = options.query(&all, &chosen, visibility)?;
    let vectors = match origin {
        Origin::File(file) => {
            store::file::find(db, workspace, file).await?.ok_or_else(Problem::not_found)?;
            query.hidden.push(file);
            let collections: Vec<_> = chosen.iter().map(|collection| collection.id).collect();
            store::search::file_vectors(db, workspace, file, &collections, visibility).await?
        }
        Origin::Chunk(chunk) => {
            query.hidden_chunks = store::search::passage_chunks(db, workspace, chunk, visibility).await?;
            if query.hidden_chunks.is_empty() {
                return Err(Problem::not_found());
            }
            store::search::chunk_vectors(db, workspace, chunk).await?
        }
    };
    let is_searched = |space| chosen.iter().any(|collection| collection.space_id == Some(space));
    query.vectors = vectors.into_iter().filter(|vector| is_searched(vector.space)).collect();
    if query.vectors.is_empty() {
        return Err(Problem::new(Code::NotEmbedded));
    }
    query.collections_by_space = collections_by_space(chosen.iter().map(|found| (*found, found.space_id)));
    query.mode = SearchMode::Vector;
    query.threshold = threshold;
    query.facets = facets;
    let origin = match origin {
        Origin::File(file) => file.0,
        Origin::Chunk(chunk) => chunk.0,
    };
    let fingerprint = Fingerprint::of(&json!([origin, options.defining(visibility)]));
    query.seen = fingerprint.decode(options.cursor.as_deref())?;
    let result = search(db, workspace, &query).await?;
    as_of.require_kept(db, workspace).await?;
    state.recall.sample(&state.platform, &state.lifecycle, workspace, &query);
    Ok(SearchOutcome { degraded, ..SearchOutcome::new(&query, fingerprint, result) })
}
