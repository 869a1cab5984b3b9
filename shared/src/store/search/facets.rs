//! Counts the values of fields over the files that a search may find: those in the collections that match the filter.

use std::collections::{BTreeMap, HashMap, HashSet};

use nvisy_lexical::{
    Language,
    analysis::{language_of_term, language_term, unit_of},
    postings::unpack,
};
use sea_orm::{FromQueryResult, Statement, raw_sql};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{condition::condition, parameters::Parameters, query::SearchQuery};
use crate::{
    id::{FileId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// Values of a field, those of the most files.
const MAX_VALUES: usize = 20;
/// Bytes of a value of metadata; longer ones are no categories.
const MAX_VALUE_BYTES: i32 = 1_000;

/// A field whose values are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FacetField {
    /// The media type of the live version.
    MediaType,
    /// Each tag.
    Tags,
    /// The languages of the passages.
    Language,
    /// The value at this path of keys in the metadata; of a list, each element.
    Metadata(Vec<String>),
}

/// The counts of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The values of the most files, and the number of files that have each.
    pub values: Vec<(Value, i64)>,
    /// The sum of the numbers of the other values.
    pub other: i64,
}

#[derive(FromQueryResult)]
struct Row {
    value: Value,
    files: i64,
    total: i64,
}

/// Counts the fields of a search over the files of collections that match its filter.
pub(super) async fn count(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    query: &SearchQuery,
) -> Result<Vec<Facet>> {
    let mut facets = Vec::with_capacity(query.facets.len());
    for field in &query.facets {
        facets.push(match field {
            FacetField::Language => languages(conn, workspace, collections, query).await?,
            field => {
                let rows: Vec<Row> = sql::all(conn, statement(workspace, collections, query, field)).await?;
                let total = rows.first().map_or(0, |row| row.total);
                let values: Vec<_> = rows.into_iter().map(|row| (row.value, row.files)).collect();
                Facet { other: total - values.iter().map(|(_, files)| files).sum::<i64>(), values }
            }
        });
    }
    Ok(facets)
}

/// The values of a field, and their files.
fn statement(workspace: WorkspaceId, collections: &[Uuid], query: &SearchQuery, field: &FacetField) -> Statement {
    let mut parameters = Parameters::default();
    let files = files(workspace, collections, query, &mut parameters);
    let values = match field {
        FacetField::Tags => "select to_jsonb(tag) as value from unnest(f.tags) as tag".to_owned(),
        FacetField::Metadata(path) => {
            let found = format!("(f.metadata #> {})", parameters.bind(path.clone()));
            let max_bytes = parameters.bind(MAX_VALUE_BYTES);
            format!(
                "select distinct value from jsonb_array_elements(
                     case jsonb_typeof({found}) when 'array' then {found} else jsonb_build_array({found}) end) as value
                 where jsonb_typeof(value) in ('string', 'number', 'boolean') and octet_length(value::text) <= {max_bytes}"
            )
        }
        _ => "select to_jsonb(f.media_type) as value".to_owned(),
    };
    let limit = parameters.bind(i64::try_from(MAX_VALUES).unwrap_or(i64::MAX));
    parameters.into_statement(format!(
        "with matching as materialized ({files})
         select value, files, (sum(files) over ())::bigint as total
         from (
             select found.value, count(*) as files
             from matching f cross join lateral ({values}) found
             group by found.value) counted
         order by files desc, value::text limit {limit}"
    ))
}

/// The statement of the files, each once.
fn files(workspace: WorkspaceId, collections: &[Uuid], query: &SearchQuery, parameters: &mut Parameters) -> String {
    let (workspace, collections) = (parameters.bind(workspace), parameters.bind(collections.to_vec()));
    let visible = query.visibility.condition(parameters);
    let matches = matching(query, parameters);
    format!(
        "select distinct on (f.id) f.id, f.tags, f.metadata, v.media_type
         from target t
         join file f on f.workspace_id = t.workspace_id and f.id = t.file_id
         join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
         where t.workspace_id = {workspace} and {visible} and t.collection_id = any({collections}) and {matches}
         order by f.id"
    )
}

/// The condition of the files that match the filter.
fn matching(query: &SearchQuery, parameters: &mut Parameters) -> String {
    query.filter.as_ref().map_or_else(|| "true".to_owned(), |filter| condition(filter, parameters))
}

/// The languages of the passages of each file, which postings know by their units.
async fn languages(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collections: &[Uuid],
    query: &SearchQuery,
) -> Result<Facet> {
    let mut parameters = Parameters::default();
    let (tenant, among) = (parameters.bind(workspace), parameters.bind(collections.to_vec()));
    let visible = query.visibility.condition(&mut parameters);
    let matches = matching(query, &mut parameters);
    let units = parameters.into_statement(format!(
        "select unnest(t.units) as unit, t.file_id
         from target t
         join file f on f.workspace_id = t.workspace_id and f.id = t.file_id
         join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
         where t.workspace_id = {tenant} and {visible} and t.collection_id = any({among}) and {matches}"
    ));
    let files: HashMap<i64, FileId> = sql::all_values::<(i64, FileId)>(conn, units).await?.into_iter().collect();
    let (collections, terms) = (collections.to_vec(), Language::all().map(language_term).collect::<Vec<String>>());
    let postings = raw_sql!(
        Postgres,
        "select found.term, found.postings
         from unnest({collections}::uuid[]) as searched (id) cross join unnest({terms}::text[]) as wanted (term)
         cross join lateral (
             select term, postings from posting
             where workspace_id = {workspace} and collection_id = searched.id and term = wanted.term offset 0) found"
    );
    let mut by_language: BTreeMap<String, HashSet<FileId>> = BTreeMap::new();
    for (term, postings) in sql::all_values::<(String, Vec<u8>)>(conn, postings).await? {
        let Some(language) = language_of_term(&term) else { continue };
        let units: HashSet<i64> = unpack(&postings).map(|posting| unit_of(posting.document)).collect();
        let found = units.iter().filter_map(|unit| files.get(unit));
        by_language.entry(language.code().to_owned()).or_default().extend(found);
    }
    let mut counts: Vec<(String, i64)> = by_language
        .into_iter()
        .map(|(code, files)| (code, i64::try_from(files.len()).unwrap_or(i64::MAX)))
        .filter(|(_, files)| *files > 0)
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let other = counts.split_off(counts.len().min(MAX_VALUES)).iter().map(|(_, files)| files).sum();
    Ok(Facet { values: counts.into_iter().map(|(code, files)| (json!(code), files)).collect(), other })
}
