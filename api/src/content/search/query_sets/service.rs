//! Creating, importing, judging and deleting query sets, under the locks of workspace and set.

use std::collections::{HashMap, HashSet};

use nvisy_shared::{
    domain::{
        activity::Action,
        evaluation::{MAX_JUDGEMENTS, MAX_QUERIES, MAX_SETS},
    },
    entity::{judged_query, query_set::Model},
    id::{FileId, JudgedQueryId, QuerySetId, WorkspaceId},
    platform::Platform,
    store::{
        self, Conn, Tx,
        change::Change,
        query_set::{JudgedFile, Judgement, NewJudgement, NewQuery},
    },
};
use serde_json::json;

use super::imported::{Document, Import, ImportedQuery, Problems, QueryReference};
use crate::{
    auth::member::{Member, WriteEvaluations},
    http::client_info::ClientInfo,
    problem::{Code, FieldError, Problem},
};

/// A judgement of a hit.
#[derive(Clone, Debug)]
pub struct HitJudgement {
    pub query: String,
    pub file: FileId,
    pub range: Option<(i64, i64)>,
    /// `None`: the judgement is withdrawn.
    pub grade: Option<i16>,
}

/// A query with its first judgements.
pub type QueryWithJudgements = (judged_query::Model, Vec<Judgement>);

pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: QuerySetId) -> Result<Model, Problem> {
    store::query_set::find(conn, workspace, id).await?.ok_or_else(Problem::not_found)
}

pub async fn create(change: &mut Change, member: &Member<WriteEvaluations>, name: &str) -> Result<Model, Problem> {
    // The lock makes concurrent creations see each other.
    member.lock(change).await?;
    let id = store::query_set::insert(change, member.workspace, name).await?;
    let id = id.ok_or_else(|| Problem::new(Code::NameTaken))?;
    let count = store::query_set::count(change.tx(), member.workspace).await?;
    require_at_most("querySets", count, MAX_SETS.unsigned_abs())?;
    change.audit(Action::QuerySetCreated, id);
    find(change.tx(), member.workspace, id).await
}

pub async fn delete(
    platform: &Platform,
    member: &Member<WriteEvaluations>,
    client: &ClientInfo,
    id: QuerySetId,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            member.lock(change).await?;
            if !store::query_set::delete(change, member.workspace, id).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::QuerySetDeleted, id);
            Ok(())
        })
        .await
}

/// Queries of a set with their judgements.
pub async fn queries(
    conn: &impl Conn,
    workspace: WorkspaceId,
    set: QuerySetId,
    after: Option<JudgedQueryId>,
    limit: i64,
) -> Result<Vec<QueryWithJudgements>, Problem> {
    find(conn, workspace, set).await?;
    let queries = store::query_set::queries(conn, workspace, set, after, limit).await?;
    with_judgements(conn, workspace, queries).await
}

async fn with_judgements(
    conn: &impl Conn,
    workspace: WorkspaceId,
    queries: Vec<judged_query::Model>,
) -> Result<Vec<QueryWithJudgements>, Problem> {
    let ids = queries.iter().map(|query| query.id).collect();
    let mut judgements: HashMap<JudgedQueryId, Vec<Judgement>> = HashMap::new();
    for judgement in store::query_set::judgements(conn, workspace, ids).await? {
        judgements.entry(judgement.query_id).or_default().push(judgement);
    }
    let with = |query: judged_query::Model| {
        let judgements = judgements.remove(&query.id).unwrap_or_default();
        (query, judgements)
    };
    Ok(queries.into_iter().map(with).collect())
}

/// Adds queries and judgements to a set; all of them, or none with the reasons.
pub async fn import(
    platform: &Platform,
    member: &Member<WriteEvaluations>,
    client: &ClientInfo,
    id: QuerySetId,
    import: &Import,
) -> Result<Model, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let mut set = OpenSet::lock(change, member, id).await?;
            let queries = set.put_queries(change, import).await?;
            let judgements = set.judgements(change, import, &queries).await?;
            store::query_set::put_judgements(change, member.workspace, id, &judgements).await?;
            set.close(change, import.queries.len(), judgements.len()).await
        })
        .await
}

/// Judges a file for a query, which is added if the set does not have it.
pub async fn judge(
    platform: &Platform,
    member: &Member<WriteEvaluations>,
    client: &ClientInfo,
    id: QuerySetId,
    hit: &HitJudgement,
) -> Result<QueryWithJudgements, Problem> {
    let workspace = member.workspace;
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let mut set = OpenSet::lock(change, member, id).await?;
            if store::query_set::existing_files(change, workspace, vec![hit.file]).await?.is_empty() {
                return Err(Problem::not_found().detail("the file does not exist"));
            }
            let mut import = Import::default();
            import.queries.push(ImportedQuery { external_id: None, text: hit.query.clone() });
            let queries = set.put_queries(change, &import).await?;
            let judged = judged_file(Some(hit.file), None, hit.range);
            match hit.grade {
                Some(grade) => {
                    let judgement = NewJudgement { query_id: queries[0], judged, grade };
                    store::query_set::put_judgements(change, workspace, id, &[judgement]).await?;
                }
                None => {
                    store::query_set::withdraw(change, workspace, queries[0], &judged).await?;
                }
            }
            set.close(change, 0, 1).await?;
            let query = store::query_set::query(change.tx(), workspace, queries[0]).await?;
            let query = query.ok_or_else(|| Problem::internal("a judged query is gone"))?;
            let mut found = with_judgements(change.tx(), workspace, vec![query]).await?;
            found.pop().ok_or_else(|| Problem::internal("a judged query is gone"))
        })
        .await
}

fn judged_file(file_id: Option<FileId>, external_id: Option<String>, range: Option<(i64, i64)>) -> JudgedFile {
    let (start_byte, end_byte) = match range {
        Some((start, end)) => (Some(start), Some(end)),
        None => (None, None),
    };
    JudgedFile { file_id, external_id, start_byte, end_byte }
}

/// A locked set, and its queries by their names and texts.
struct OpenSet {
    workspace: WorkspaceId,
    id: QuerySetId,
    by_external_id: HashMap<String, JudgedQueryId>,
    by_text: HashMap<String, JudgedQueryId>,
}

impl OpenSet {
    async fn lock(change: &Change, member: &Member<WriteEvaluations>, id: QuerySetId) -> Result<Self, Problem> {
        let workspace = member.workspace;
        member.lock(change).await?;
        if !store::query_set::lock(change, workspace, id).await? {
            return Err(Problem::not_found());
        }
        let limit = i64::try_from(MAX_QUERIES).unwrap_or(i64::MAX);
        let mut set = Self { workspace, id, by_external_id: HashMap::new(), by_text: HashMap::new() };
        for query in store::query_set::queries(change.tx(), workspace, id, None, limit).await? {
            set.by_external_id.extend(query.external_id.map(|external_id| (external_id, query.id)));
            // Of queries with the same text, the first one.
            set.by_text.entry(query.text).or_insert(query.id);
        }
        Ok(set)
    }

    /// Stores queries: one with the name of another has its text from now on; one without a name is the one with the same text.
    /// Returns the ids in the order of the import.
    async fn put_queries(&mut self, tx: &Tx, import: &Import) -> Result<Vec<JudgedQueryId>, Problem> {
        let (mut ids, mut rows) = (Vec::new(), HashMap::new());
        for query in &import.queries {
            let known = match &query.external_id {
                Some(external_id) => self.by_external_id.get(external_id),
                None => self.by_text.get(&query.text),
            };
            let id = known.copied().unwrap_or_else(JudgedQueryId::new);
            if known.is_none() || query.external_id.is_some() {
                let (external_id, text) = (query.external_id.clone(), query.text.clone());
                rows.insert(id, NewQuery { id, external_id, text });
            }
            self.by_external_id.extend(query.external_id.clone().map(|external_id| (external_id, id)));
            self.by_text.entry(query.text.clone()).or_insert(id);
            ids.push(id);
        }
        let rows: Vec<NewQuery> = rows.into_values().collect();
        store::query_set::put_queries(tx, self.workspace, self.id, &rows).await?;
        Ok(ids)
    }

    /// The judgements of an import, the last one of each file. 422 with the lines that name no query or file.
    async fn judgements(
        &self,
        tx: &Tx,
        import: &Import,
        queries: &[JudgedQueryId],
    ) -> Result<Vec<NewJudgement>, Problem> {
        let existing = existing_files(tx, self.workspace, import).await?;
        let (mut judgements, mut problems) = (HashMap::new(), Problems::default());
        for judgement in &import.judgements {
            let query = match &judgement.query {
                QueryReference::Imported(place) => queries.get(*place),
                QueryReference::ExternalId(external_id) => self.by_external_id.get(external_id),
            };
            let Some(query_id) = query.copied() else {
                problems.add(judgement.place, "the set has no query with this id");
                continue;
            };
            let (file, external_id) = match &judgement.document {
                Document::File(file) if !existing.contains(file) => {
                    problems.add(judgement.place, format!("the file {file} does not exist"));
                    continue;
                }
                Document::File(file) => (Some(*file), None),
                Document::ExternalId(external_id) => (None, Some(external_id.clone())),
                Document::Any(name) => match name.parse().map(FileId).ok().filter(|file| existing.contains(file)) {
                    Some(file) => (Some(file), None),
                    None => (None, Some(name.clone())),
                },
            };
            judgements.insert((query_id, judged_file(file, external_id, judgement.range)), judgement.grade);
        }
        problems.check()?;
        let new = |((query_id, judged), grade)| NewJudgement { query_id, judged, grade };
        Ok(judgements.into_iter().map(new).collect())
    }

    /// Counts the set anew, and records the change. 409 if the set has become too large.
    async fn close(&self, change: &mut Change, queries: usize, judgements: usize) -> Result<Model, Problem> {
        store::query_set::revise(change, self.workspace, self.id).await?;
        let set = find(change.tx(), self.workspace, self.id).await?;
        require_at_most("queries", u64::from(set.queries.unsigned_abs()), MAX_QUERIES as u64)?;
        require_at_most("judgements", u64::from(set.judgements.unsigned_abs()), MAX_JUDGEMENTS as u64)?;
        change.audit_with(Action::QuerySetUpdated, self.id, json!({ "queries": queries, "judgements": judgements }));
        Ok(set)
    }
}

/// The files that an import names and the workspace has.
async fn existing_files(tx: &Tx, workspace: WorkspaceId, import: &Import) -> Result<HashSet<FileId>, Problem> {
    let named: HashSet<FileId> = import
        .judgements
        .iter()
        .filter_map(|judgement| match &judgement.document {
            Document::File(file) => Some(*file),
            Document::Any(name) => name.parse().map(FileId).ok(),
            Document::ExternalId(_) => None,
        })
        .collect();
    if named.is_empty() {
        return Ok(HashSet::new());
    }
    let existing = store::query_set::existing_files(tx, workspace, named.into_iter().collect()).await?;
    Ok(existing.into_iter().collect())
}

fn require_at_most(what: &'static str, count: u64, most: u64) -> Result<(), Problem> {
    if count <= most {
        return Ok(());
    }
    let error = FieldError::new(what, format!("at most {most} are possible"));
    Err(Problem::new(Code::QuotaExceeded).fields(vec![error]))
}
