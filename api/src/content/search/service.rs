//! Search: the query is embedded in the spaces of the collections first, then the store finds the hits.

use futures::future::try_join_all;
use nvisy_embed::{EmbedError, InputType};
use nvisy_shared::{
    domain::filter::{Filter, FilterError, FilterErrorKind},
    id::{CollectionId, WorkspaceId},
    platform::{Platform, spaces::ServedSpace},
    store::{
        self,
        collection::CollectionSpace,
        search::{
            AccessPath, Language, SearchMode, SearchQuery, SearchResult, SpaceVector, has_words, meaning, search,
        },
    },
};
use serde_json::Value;

use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
};

/// A search of a workspace.
#[derive(Debug)]
pub struct SearchCommand {
    pub mode: SearchMode,
    /// A question or words; may be empty where there is a vector.
    pub text: String,
    /// The language of the text; `None`: it is detected.
    pub language: Option<Language>,
    /// A vector of the collections' space, in place of the text's own.
    pub vector: Option<Vec<f32>>,
    /// Names or ids; `None`: all.
    pub collections: Option<Vec<String>>,
    pub filter: Option<Value>,
    pub limit: i64,
}

/// Searches. No database connection is held while the query is embedded.
pub async fn run(platform: &Platform, workspace: WorkspaceId, command: SearchCommand) -> Result<SearchResult, Problem> {
    let SearchCommand { mode, text, language, vector, collections, filter, limit } = command;
    if text.trim().is_empty() && (mode != SearchMode::Vector || vector.is_none()) {
        return Err(invalid_field("query", "must not be empty"));
    }
    let filter = filter.as_ref().map(Filter::parse).transpose().map_err(filter_problem)?;
    let all = store::collection::spaces(&platform.db, workspace).await?;
    let chosen = choose(&all, collections.as_deref())?;
    if vector.is_none() && !has_words(&text) {
        // Punctuation or excluded words only: its vector would find passages at random.
        return Ok(SearchResult { hits: Vec::new(), access_path: AccessPath::Lexical, is_incomplete: false });
    }
    let vectors = match (mode, vector) {
        (SearchMode::Text, _) => Vec::new(),
        (_, Some(vector)) => vec![check_vector(platform, &served_spaces(platform, &chosen)?, vector)?],
        (_, None) => embed_query(served_spaces(platform, &chosen)?, &meaning(&text)).await?,
    };
    // Without the ids of all, no statement looks at the collection of each chunk.
    let collections = (chosen.len() < all.len()).then(|| chosen.iter().map(|collection| collection.id).collect());
    // PostgreSQL cannot store NUL in a text; like other control characters, it separates words.
    let text = text.replace('\0', " ");
    let query = SearchQuery { mode, text, language, vectors, collections, filter, limit };
    Ok(search(&platform.db, workspace, &query).await?)
}

/// The collections with these names or ids; 404 for an unknown one.
fn choose<'a>(all: &'a [CollectionSpace], keys: Option<&[String]>) -> Result<Vec<&'a CollectionSpace>, Problem> {
    let Some(keys) = keys else { return Ok(all.iter().collect()) };
    let mut chosen: Vec<&CollectionSpace> = Vec::new();
    for key in keys {
        let id = key.parse().ok().map(CollectionId);
        let found = all.iter().find(|collection| collection.name == *key || Some(collection.id) == id);
        let found = found.ok_or_else(|| Problem::not_found().detail("a collection does not exist"))?;
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// The spaces of collections, each once. 409 unless this server embeds in all of them: vectors of two spaces do not compare,
/// and the search would find nothing. Not 503, because waiting does not help; other collections can be searched, and mode
/// `text` works meanwhile. Collections without vectors have no space.
fn served_spaces<'a>(
    platform: &'a Platform,
    collections: &[&CollectionSpace],
) -> Result<Vec<&'a ServedSpace>, Problem> {
    let (mut spaces, mut others) = (Vec::<&ServedSpace>::new(), Vec::new());
    for collection in collections {
        let Some(id) = collection.space_id else { continue };
        match platform.spaces.get(id) {
            Some(space) if spaces.iter().all(|known| known.id != id) => spaces.push(space),
            Some(_) => {}
            None => others.push(format!("`{}`", collection.name)),
        }
    }
    if others.is_empty() {
        return Ok(spaces);
    }
    Err(Problem::new(Code::SpaceNotServed).detail(format!(
        "this server does not compute vectors of the model of {}; mode `text` works, and other collections",
        others.join(", ")
    )))
}

/// 400 for unknown fields and operators, 422 for values.
fn filter_problem(error: FilterError) -> Problem {
    let separator = if error.path.is_empty() { "" } else { "." };
    let path = format!("filter{separator}{}", error.path);
    match error.kind {
        FilterErrorKind::UnknownField | FilterErrorKind::UnknownOperator => {
            Problem::new(Code::InvalidFilter).detail(format!("{path} {}", error.kind))
        }
        reason => invalid_field(&path, reason.to_string()),
    }
}

fn check_vector(platform: &Platform, spaces: &[&ServedSpace], vector: Vec<f32>) -> Result<SpaceVector, Problem> {
    let space = match spaces {
        [] => platform.spaces.default(),
        [space] => space,
        _ => return Err(invalid_field("vector", "needs `collections` that have the same model")),
    };
    let dimensions = space.embedder.space().dimensions;
    if vector.len() != usize::from(dimensions) {
        return Err(invalid_field("vector", format!("must have {dimensions} numbers")));
    }
    if !vector.iter().any(|number| *number != 0.0) || vector.iter().any(|number| !number.is_finite()) {
        return Err(invalid_field("vector", "must have finite numbers, not all of them 0"));
    }
    Ok(SpaceVector { space: space.id, vector })
}

/// The query's vector in each space, computed at the same time.
async fn embed_query(spaces: Vec<&ServedSpace>, text: &str) -> Result<Vec<SpaceVector>, Problem> {
    try_join_all(spaces.into_iter().map(async |space| {
        let vectors = space.embedder.embed(InputType::Query, vec![text.to_owned()]).await;
        let vectors = vectors.map_err(|error| embed_problem(&space.embedder.space().model, error))?;
        let vector = vectors.into_iter().next();
        let vector = vector.ok_or_else(|| Problem::internal("the embedder returned no vector"))?;
        Ok(SpaceVector { space: space.id, vector })
    }))
    .await
}

/// 503 that names the model whose provider is away. Its message is logged: it is for operators.
fn embed_problem(model: &str, error: EmbedError) -> Problem {
    let detail = format!("the embedding model `{model}` is not available; mode `text` works");
    let seconds = match &error {
        EmbedError::Busy { retry_after, .. } => u32::try_from(retry_after.as_secs().max(1)).unwrap_or(60),
        EmbedError::Blocked(_) => 60,
        EmbedError::Unavailable(_) => 5,
        // The query itself.
        EmbedError::Rejected(_) => {
            return invalid_field("query", format!("is rejected by the embedding model `{model}`"));
        }
    };
    Problem::unavailable(seconds).detail(detail).caused_by(error)
}
