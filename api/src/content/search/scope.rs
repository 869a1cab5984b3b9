//! The collections and spaces of a search.

use std::collections::BTreeSet;

use nvisy_shared::{
    domain::{
        filter::{Filter, FilterError, FilterErrorKind},
        space::Quantisation,
    },
    id::{CollectionId, SpaceId},
    platform::Platform,
    store::{
        collection::CollectionSpace,
        search::{Boost, BoostRequest, SearchMode},
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

/// The spaces of collections, and the collections for whose spaces this server has no model.
#[derive(Debug, Default)]
pub struct QuerySpaces<'a> {
    /// Each once.
    pub served: Vec<QuerySpace>,
    pub unserved: Vec<&'a CollectionSpace>,
}

/// The spaces of collections. Those without vectors have none.
pub async fn query_spaces<'a>(
    platform: &Platform,
    collections: &[&'a CollectionSpace],
) -> Result<QuerySpaces<'a>, Problem> {
    let of_models = collections.iter().filter(|collection| collection.connection_id.is_none());
    let of_models: Vec<SpaceId> = of_models.filter_map(|collection| collection.space_id).collect();
    platform.spaces.load(&platform.db, of_models).await?;
    let mut spaces = QuerySpaces::default();
    for &collection in collections {
        let Some((id, quantisation)) = collection.space_id.zip(collection.quantisation) else { continue };
        let space = QuerySpace { id, quantisation, of_connection: collection.connection_id.is_some() };
        if !space.of_connection && platform.spaces.get(id).is_none() {
            spaces.unserved.push(collection);
        } else if !spaces.served.contains(&space) {
            spaces.served.push(space);
        }
    }
    Ok(spaces)
}

impl QuerySpaces<'_> {
    /// The spaces; 409 unless this server embeds in all of them.
    pub fn all(self) -> Result<Vec<QuerySpace>, Problem> {
        if self.unserved.is_empty() { Ok(self.served) } else { Err(self.not_served()) }
    }

    /// Vectors of two spaces do not compare, and a search by vector would find nothing. Not 503, because waiting does not help;
    /// other collections can be searched, and mode `text` works meanwhile.
    fn not_served(&self) -> Problem {
        Problem::new(Code::SpaceNotServed).detail(format!(
            "this server does not compute vectors of the model of {}; mode `text` works, and other collections",
            self.unserved_names()
        ))
    }

    fn unserved_names(&self) -> String {
        let names: Vec<String> = self.unserved.iter().map(|collection| format!("`{}`", collection.name)).collect();
        names.join(", ")
    }

    /// Whether a vector of a request could be of more than one space.
    fn has_several(&self) -> bool {
        let unserved = self.unserved.iter().filter_map(|collection| collection.space_id);
        let ids: BTreeSet<SpaceId> = self.served.iter().map(|space| space.id).chain(unserved).collect();
        ids.len() > 1
    }
}

/// How a search goes on where this server does not have the model of each collection.
#[derive(Debug)]
pub struct SearchScope<'a> {
    /// [`SearchMode::Text`] where a hybrid search has no space to compare vectors in.
    pub mode: SearchMode,
    /// The collections to search.
    pub collections: Vec<&'a CollectionSpace>,
    /// The spaces of the query's vectors.
    pub spaces: Vec<QuerySpace>,
    /// Why vectors are not compared in all chosen collections.
    pub degraded: Option<String>,
}

impl<'a> SearchScope<'a> {
    /// A search that compares no vectors.
    pub fn without_vectors(mode: SearchMode, chosen: &[&'a CollectionSpace]) -> Self {
        Self { mode, collections: chosen.to_vec(), spaces: Vec::new(), degraded: None }
    }

    /// A search that compares vectors. A collection whose model this server does not have is searched by words if it is a hybrid
    /// search, otherwise left out; 409 if a search by vector has no other collection. `has_vector`: the request has the query's
    /// vector, which belongs to one space; 422 if there are several.
    pub async fn find(
        platform: &Platform,
        mode: SearchMode,
        chosen: &[&'a CollectionSpace],
        has_vector: bool,
    ) -> Result<Self, Problem> {
        let spaces = query_spaces(platform, chosen).await?;
        if has_vector && spaces.has_several() {
            return Err(invalid_field("vector", "needs `collections` that have the same model"));
        }
        let mut scope = Self::without_vectors(mode, chosen);
        if !spaces.unserved.is_empty() {
            let is_by_words = match mode {
                SearchMode::Vector if spaces.served.is_empty() => return Err(spaces.not_served()),
                SearchMode::Vector => {
                    scope.collections.retain(|collection| !spaces.unserved.contains(collection));
                    false
                }
                SearchMode::Hybrid if spaces.served.is_empty() => {
                    scope.mode = SearchMode::Text;
                    true
                }
                SearchMode::Hybrid | SearchMode::Text => true,
            };
            let how = if is_by_words { "searched by words only" } else { "not searched" };
            let names = spaces.unserved_names();
            let reason = format!("{names}: {how}, because this server does not compute vectors of the model");
            scope.degraded = Some(reason);
        }
        scope.spaces = spaces.served;
        Ok(scope)
    }
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
