//! From a request to an answer: embed first, then ask the database once.

use nvisy_embed::{EmbedError, Purpose};
use nvisy_shared::{
    domain::filter::{Filter, FilterError, Reason},
    id::WorkspaceId,
    platform::Platform,
    store::{
        self,
        search::{Answer, Mode, Query, Space, search},
    },
};

use super::wire::SearchRequest;
use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
};

/// Searches. No database connection is held while the query is embedded.
pub async fn answer(platform: &Platform, workspace: WorkspaceId, request: SearchRequest) -> Result<Answer, Problem> {
    let mode = Mode::from(request.mode);
    let dimensions = platform.embedder.space().dimensions;
    let text = request.query.unwrap_or_default();
    if text.trim().is_empty() && (mode != Mode::Vector || request.vector.is_none()) {
        return Err(invalid_field("query", "must not be empty"));
    }
    let filter = request.filter.as_ref().map(Filter::parse).transpose().map_err(bad_filter)?;
    if mode != Mode::Text {
        served(platform, workspace).await?;
    }
    let vector = match request.vector {
        _ if mode == Mode::Text => Vec::new(),
        Some(vector) => checked(vector, dimensions)?,
        None => embedded(platform, &text).await?,
    };
    // PostgreSQL has no room for NUL in a text; it separates words like any other control character.
    let text = text.replace('\0', " ");
    let query = Query { mode, text, vector, filter, limit: i64::from(request.limit) };
    Ok(search(&platform.db, workspace, Space { id: platform.space, dimensions }, &query).await?)
}

/// Vectors of two spaces do not compare: in another than the workspace's nothing of it would be found. A conflict and no
/// outage: waiting does not help, but the workspace can be changed, and words are found meanwhile.
async fn served(platform: &Platform, workspace: WorkspaceId) -> Result<(), Problem> {
    match store::space::of_workspace(&platform.db, workspace).await? {
        Some(space) if space != platform.space => Err(Problem::new(Code::SpaceNotServed).detail(format!(
            "the workspace's space is {space}, this server's is {}; mode `text` searches all the same",
            platform.space
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Other names are a misunderstanding of the language, other values only of a field.
fn bad_filter(error: FilterError) -> Problem {
    let separator = if error.path.is_empty() { "" } else { "." };
    let path = format!("filter{separator}{}", error.path);
    match error.reason {
        Reason::UnknownField | Reason::UnknownOperator => {
            Problem::new(Code::InvalidFilter).detail(format!("{path} {}", error.reason))
        }
        reason => invalid_field(&path, reason.to_string()),
    }
}

fn checked(vector: Vec<f32>, dimensions: u16) -> Result<Vec<f32>, Problem> {
    if vector.len() != usize::from(dimensions) {
        return Err(invalid_field("vector", format!("must have {dimensions} numbers")));
    }
    if !vector.iter().any(|number| *number != 0.0) || vector.iter().any(|number| !number.is_finite()) {
        return Err(invalid_field("vector", "must be finite numbers, not all of them 0"));
    }
    Ok(vector)
}

async fn embedded(platform: &Platform, text: &str) -> Result<Vec<f32>, Problem> {
    let vectors =
        platform.embedder.embed(Purpose::Query, vec![text.to_owned()]).await.map_err(|error| match error {
            EmbedError::Busy { retry_after } => {
                Problem::unavailable(u32::try_from(retry_after.as_secs().max(1)).unwrap_or(60))
            }
            error @ EmbedError::Unavailable(_) => Problem::unavailable(5).caused_by(error),
            error @ EmbedError::Rejected(_) => Problem::internal(error),
        })?;
    vectors.into_iter().next().ok_or_else(|| Problem::internal("the embedder gave no vector"))
}
