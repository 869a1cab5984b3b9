//! The collections and spaces of a search.

use chrono::{DateTime, Utc};
use nvisy_shared::{
    domain::{
        filter::{Filter, FilterError, FilterErrorKind},
        history,
        slug::is_slug,
        space::Quantisation,
    },
    id::{CollectionId, SnapshotId, SpaceId, WorkspaceId},
    platform::Platform,
    store::{
        self, Conn,
        collection::CollectionSpace,
        history::Kept,
        search::{Boost, BoostRequest, Visibility},
        snapshot::SnapshotKey,
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
    (has_superseded || chosen.len() < all.len()).then(|| ids(chosen))
}

fn ids(chosen: &[&CollectionSpace]) -> Vec<CollectionId> {
    chosen.iter().map(|collection| collection.id).collect()
}

/// The time of which a search finds passages, and the searched collections, which must have kept it.
#[derive(Debug, Default)]
pub struct AsOf {
    pub visibility: Visibility,
    searched: Vec<CollectionId>,
}

impl AsOf {
    /// The time of a search: now, an RFC 3339 time, or the time of a snapshot with this name or id. 404 for an unknown snapshot,
    /// 422 for the future, and 409 if a collection has not kept all of its passages: the search would find some of them only.
    pub async fn find(
        conn: &impl Conn,
        workspace: WorkspaceId,
        requested: Option<&str>,
        chosen: &[&CollectionSpace],
    ) -> Result<Self, Problem> {
        let Some(requested) = requested else { return Ok(Self::default()) };
        let time = match history::parse_time(requested) {
            Some(time) => time,
            None => {
                let key = snapshot_key(requested).ok_or_else(|| {
                    invalid_field(
                        "asOf",
                        "must be a time such as 2026-01-31T12:00:00Z, or the name or id of a snapshot",
                    )
                })?;
                let snapshot = store::snapshot::find(conn, workspace, &key).await?;
                snapshot.ok_or_else(|| Problem::not_found().detail("the snapshot does not exist"))?.at
            }
        };
        let as_of = Self { visibility: Visibility::At(time), searched: ids(chosen) };
        as_of.require_kept(conn, workspace).await?;
        Ok(as_of)
    }

    /// 409 unless the collections have kept the time. To be called behind the search, too: a snapshot may have been deleted
    /// meanwhile, and what it kept.
    pub async fn require_kept(&self, conn: &impl Conn, workspace: WorkspaceId) -> Result<(), Problem> {
        let Some(time) = self.visibility.past() else { return Ok(()) };
        require_kept(conn, workspace, "asOf", self.searched.clone(), time).await
    }

    /// Why a search by vector does not find all passages of a past time.
    pub async fn missing_vectors(&self, conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<String>, Problem> {
        let Some(time) = self.visibility.past() else { return Ok(None) };
        let others = store::history::has_other_spaces(conn, workspace, self.searched.clone(), time).await?;
        let reason =
            "passages of the time have vectors of another model than their collection has by now: only words find them";
        Ok(others.then(|| reason.to_owned()))
    }
}

/// 422 for a time of the future in the field, and 409 for one that a collection has not kept.
pub async fn require_kept(
    conn: &impl Conn,
    workspace: WorkspaceId,
    field: &str,
    collections: Vec<CollectionId>,
    time: DateTime<Utc>,
) -> Result<(), Problem> {
    let Kept { is_future, incomplete } = store::history::kept(conn, workspace, collections, time).await?;
    if is_future {
        return Err(invalid_field(field, "must not be in the future"));
    }
    if !incomplete.is_empty() {
        let names: Vec<String> = incomplete.iter().map(|name| format!("`{name}`")).collect();
        let detail = format!("not all passages of this time are kept in {}", names.join(", "));
        return Err(Problem::new(Code::HistoryNotKept).detail(detail));
    }
    Ok(())
}

/// The snapshot with this id or name; `None`: no snapshot can have this name.
pub fn snapshot_key(text: &str) -> Option<SnapshotKey> {
    match text.parse() {
        Ok(id) => Some(SnapshotKey::Id(SnapshotId(id))),
        Err(_) => is_slug(text).then(|| SnapshotKey::Name(text.to_owned())),
    }
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
