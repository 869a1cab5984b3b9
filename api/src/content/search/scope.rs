//! The collections and spaces of a search.

use nvisy_shared::{
    domain::{
        filter::{Filter, FilterError, FilterErrorKind},
        space::Quantisation,
    },
    id::{CollectionId, SpaceId},
    platform::Platform,
    store::{
        collection::CollectionSpace,
        search::{Boost, BoostRequest},
    },
};
use serde_json::Value;

use crate::{
    http::extract::invalid_field,
    problem::{Code, Problem},
};

/// The collections with these names or ids; 404 for an unknown one.
pub fn choose<'a>(all: &'a [CollectionSpace], keys: Option<&[String]>) -> Result<Vec<&'a CollectionSpace>, Problem> {
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

/// The ids of chosen collections; `None`: without the ids of all, no statement looks at the collection of each chunk. Where
/// replaced passages are kept, a statement must look at the target of each chunk, because many of the nearest ones may be such.
pub fn chosen_ids(all: &[CollectionSpace], chosen: &[&CollectionSpace]) -> Option<Vec<CollectionId>> {
    let has_superseded = chosen.iter().any(|collection| collection.has_superseded);
    (has_superseded || chosen.len() < all.len()).then(|| chosen.iter().map(|collection| collection.id).collect())
}

/// A space to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuerySpace {
    pub id: SpaceId,
    /// What the index keeps of a vector.
    pub quantisation: Quantisation,
    /// Whether a worker computes the query's vector, because the credentials of connections are opened in workers only.
    of_connection: bool,
}

/// The spaces of collections, each once. 409 unless this server embeds in all of them: vectors of two spaces do not compare,
/// and the search would find nothing. Not 503, because waiting does not help; other collections can be searched, and mode
/// `text` works meanwhile. Collections without vectors have no space.
pub async fn query_spaces(platform: &Platform, collections: &[&CollectionSpace]) -> Result<Vec<QuerySpace>, Problem> {
    let of_models = collections.iter().filter(|collection| collection.connection_id.is_none());
    platform.spaces.load(&platform.db, of_models.filter_map(|collection| collection.space_id)).await?;
    let (mut spaces, mut others) = (Vec::new(), Vec::new());
    for collection in collections {
        let Some((id, quantisation)) = collection.space_id.zip(collection.quantisation) else { continue };
        let space = QuerySpace { id, quantisation, of_connection: collection.connection_id.is_some() };
        if !space.of_connection && platform.spaces.get(id).is_none() {
            others.push(format!("`{}`", collection.name));
        } else if !spaces.contains(&space) {
            spaces.push(space);
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

/// The filter of a request: 400 for unknown fields and operators, 422 for values.
pub fn parse_filter(filter: Option<&Value>) -> Result<Option<Filter>, Problem> {
    filter.map(Filter::parse).transpose().map_err(|error| filter_problem("filter", error))
}

/// The boosts of a request, whose filters have the same problems.
pub fn parse_boosts(boosts: &[BoostRequest]) -> Result<Vec<Boost>, Problem> {
    let boost = |(place, boost): (usize, &BoostRequest)| {
        boost.parse().map_err(|error| filter_problem(&format!("boosts[{place}].filter"), error))
    };
    boosts.iter().enumerate().map(boost).collect()
}

fn filter_problem(field: &str, error: FilterError) -> Problem {
    let separator = if error.path.is_empty() { "" } else { "." };
    let path = format!("{field}{separator}{}", error.path);
    match error.kind {
        FilterErrorKind::UnknownField | FilterErrorKind::UnknownOperator => {
            Problem::new(Code::InvalidFilter).detail(format!("{path} {}", error.kind))
        }
        reason => invalid_field(&path, reason.to_string()),
    }
}
