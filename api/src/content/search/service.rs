//! Search: the query is embedded first, then one statement finds the hits.

use nvisy_embed::{EmbedError, InputType};
use nvisy_shared::{
    domain::filter::{Filter, FilterError, FilterErrorKind},
    id::WorkspaceId,
    platform::Platform,
    store::{
        self,
        search::{SearchMode, SearchQuery, SearchResult, SearchSpace, search},
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
    /// A vector of the workspace's space, in place of the text's own.
    pub vector: Option<Vec<f32>>,
    pub filter: Option<Value>,
    pub limit: i64,
}

/// Searches. No database connection is held while the query is embedded.
pub async fn run(platform: &Platform, workspace: WorkspaceId, command: SearchCommand) -> Result<SearchResult, Problem> {
    let SearchCommand { mode, text, vector, filter, limit } = command;
    let dimensions = platform.embedder.space().dimensions;
    if text.trim().is_empty() && (mode != SearchMode::Vector || vector.is_none()) {
        return Err(invalid_field("query", "must not be empty"));
    }
    let filter = filter.as_ref().map(Filter::parse).transpose().map_err(filter_problem)?;
    if mode != SearchMode::Text {
        require_served_space(platform, workspace).await?;
    }
    let vector = match vector {
        _ if mode == SearchMode::Text => Vec::new(),
        Some(vector) => check_vector(vector, dimensions)?,
        None => embed_query(platform, &text).await?,
    };
    // PostgreSQL cannot store NUL in a text; like other control characters, it separates words.
    let text = text.replace('\0', " ");
    let query = SearchQuery { mode, text, vector, filter, limit };
    Ok(search(&platform.db, workspace, SearchSpace { id: platform.space, dimensions }, &query).await?)
}

/// 409 unless this server embeds in the workspace's space: vectors of two spaces do not compare, and the search would find
/// nothing. Not 503, because waiting does not help; the workspace can be changed, and mode `text` works meanwhile.
async fn require_served_space(platform: &Platform, workspace: WorkspaceId) -> Result<(), Problem> {
    match store::space::of_workspace(&platform.db, workspace).await? {
        Some(space) if space != platform.space => Err(Problem::new(Code::SpaceNotServed).detail(format!(
            "the workspace's space is {space}, the server's is {}; mode `text` works in both",
            platform.space
        ))),
        Some(_) | None => Ok(()),
    }
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

fn check_vector(vector: Vec<f32>, dimensions: u16) -> Result<Vec<f32>, Problem> {
    if vector.len() != usize::from(dimensions) {
        return Err(invalid_field("vector", format!("must have {dimensions} numbers")));
    }
    if !vector.iter().any(|number| *number != 0.0) || vector.iter().any(|number| !number.is_finite()) {
        return Err(invalid_field("vector", "must have finite numbers, not all of them 0"));
    }
    Ok(vector)
}

async fn embed_query(platform: &Platform, text: &str) -> Result<Vec<f32>, Problem> {
    let vectors =
        platform.embedder.embed(InputType::Query, vec![text.to_owned()]).await.map_err(|error| match error {
            EmbedError::Busy { retry_after } => {
                Problem::unavailable(u32::try_from(retry_after.as_secs().max(1)).unwrap_or(60))
            }
            error @ EmbedError::Unavailable(_) => Problem::unavailable(5).caused_by(error),
            error @ EmbedError::Rejected(_) => Problem::internal(error),
        })?;
    vectors.into_iter().next().ok_or_else(|| Problem::internal("the embedder returned no vector"))
}
