//! Bare statements with the plans of searches: plain SQL with the same conditions, on connections with the same settings.

use nvisy_shared::store::search::AccessPath;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, postgres::PgArguments, query::Query};
use tokio::sync::Mutex;

use super::{
    requests::TOP,
    selectivity::Selectivity,
    tenants::{Tenant, World},
    vectors::DIMENSIONS,
};

/// Candidates that the leg of a search asks for, of the index where it has a filter, and of a scan where it has none: see
/// `shared/src/store/search/vector_leg.rs`.
const CANDIDATES: usize = 50;
const FILTERED_WALK: usize = 2 * CANDIDATES;
const UNFILTERED_SCAN: usize = CANDIDATES + CANDIDATES / 4;
/// The settings of a search that decide its plan and its work.
const SETTINGS: [&str; 3] = ["hnsw.ef_search", "hnsw.iterative_scan", "hnsw.max_scan_tuples"];

/// Connections of their own, one for each client.
pub struct Bare {
    connections: Vec<Mutex<PgConnection>>,
}

impl Bare {
    pub async fn connect(world: &World, connections: usize) -> Self {
        let mut settings = "set plan_cache_mode = force_generic_plan; set enable_seqscan = off".to_owned();
        for name in SETTINGS {
            let rows = world.app.rows(&format!("select current_setting('{name}') as value")).await;
            let value: String = rows[0].try_get("", "value").unwrap();
            settings += &format!("; set {name} = '{value}'");
        }
        let mut opened = Vec::new();
        for _ in 0..connections {
            let mut connection = PgConnection::connect(world.app.config().database.url.expose()).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(settings.clone())).execute(&mut connection).await.unwrap();
            opened.push(Mutex::new(connection));
        }
        Self { connections: opened }
    }

    /// Reads all rows of a statement with a vector, terms or the words of a text search as its parameter.
    pub async fn read(&self, connection: usize, sql: &str, parameter: &Parameter) {
        let statement: Query<'_, Postgres, PgArguments> = sqlx::query(AssertSqlSafe(sql));
        let statement = match parameter {
            Parameter::None => statement,
            Parameter::Vector(vector) => statement.bind(vector.clone()),
            Parameter::Terms(terms) => statement.bind(terms.clone()),
            Parameter::Words(words) => statement.bind(words.clone()),
        };
        let mut connection = self.connections[connection].lock().await;
        statement.fetch_all(&mut *connection).await.unwrap();
    }
}

/// The parameter of a statement.
pub enum Parameter {
    None,
    Vector(Vec<f32>),
    Terms(Vec<String>),
    Words(String),
}

/// The nearest vectors, as many as the leg of a search asks for on this access path.
pub fn nearest(world: &World, tenant: &Tenant, selectivity: &Selectivity, path: AccessPath) -> String {
    let (workspace, space) = (tenant.id, world.space);
    let vector = format!("(select ($1::real[])::halfvec({DIMENSIONS}))");
    let targets = targets("t.id", tenant, selectivity);
    match (path, selectivity.tag) {
        // `is true` keeps the planner from another index than that of the vectors.
        (AccessPath::Index, tag) => {
            let (matching, limit) = match tag {
                None => (String::new(), CANDIDATES),
                Some(_) => (format!("and (e.target_id in ({targets})) is true"), FILTERED_WALK),
            };
            format!(
                "select e.chunk_id, e.vector::halfvec({DIMENSIONS}) <=> {vector} as distance
                 from embedding e
                 where e.space_id = '{space}' and (e.workspace_id = '{workspace}') is true {matching}
                 order by distance limit {limit}"
            )
        }
        (_, None) => format!(
            "select chunk_id, vector <=> {vector} as distance from embedding
             where workspace_id = '{workspace}' and space_id = '{space}' order by distance limit {UNFILTERED_SCAN}"
        ),
        (_, Some(_)) => format!(
            "select e.chunk_id, e.vector <=> {vector} as distance
             from ({targets}) matching cross join lateral (
                 select chunk_id, vector from embedding
                 where workspace_id = '{workspace}' and space_id = '{space}' and target_id = matching.id offset 0) e
             order by distance limit {CANDIDATES}"
        ),
    }
}

/// The postings of terms.
pub fn postings(tenant: &Tenant) -> String {
    let (workspace, collection) = (tenant.id, tenant.collection);
    format!(
        "select term, postings from posting
         where workspace_id = '{workspace}' and collection_id = '{collection}' and term = any($1::text[])"
    )
}

/// The units of the files that a filter matches, by which a search leaves out postings.
pub fn matching_units(tenant: &Tenant, selectivity: &Selectivity) -> Option<String> {
    selectivity.tag.map(|_| targets("unnest(t.units) as unit", tenant, selectivity))
}

/// The text search of PostgreSQL.
pub fn text_search(tenant: &Tenant, selectivity: &Selectivity) -> String {
    let workspace = tenant.id;
    let matching = selectivity.tag.map_or_else(String::new, |tag| {
        format!("and file_id in (select id from file where workspace_id = '{workspace}' and tags && array['{tag}'])")
    });
    format!(
        "select id from bench_lexemes, to_tsquery('english', $1) as terms
         where workspace_id = '{workspace}' and lexemes @@ terms {matching}
         order by ts_rank_cd(lexemes, terms, 1) desc limit {TOP}"
    )
}

/// The lexemes of a tenant's chunks with their index, which [`text_search`] reads.
pub async fn create_lexemes(world: &World, tenant: &Tenant) {
    let workspace = tenant.id;
    let app = &world.app;
    app.sql(&format!(
        "set maintenance_work_mem = '1GB';
         create table bench_lexemes with (autovacuum_enabled = false) as
             select workspace_id, id, file_id, to_tsvector('english', text) as lexemes
             from chunk where workspace_id = '{workspace}';
         create index on bench_lexemes using gin (workspace_id, lexemes);
         reset maintenance_work_mem"
    ))
    .await;
    app.sql("vacuum analyze bench_lexemes").await;
}

/// A column of the live targets of the files with a tag, or of all files.
fn targets(column: &str, tenant: &Tenant, selectivity: &Selectivity) -> String {
    let workspace = tenant.id;
    let tagged = selectivity.tag.map_or_else(String::new, |tag| format!(" and f.tags && array['{tag}']"));
    format!(
        "select {column}
         from target t
         join file f on f.workspace_id = t.workspace_id and f.id = t.file_id
         join file_version v on v.workspace_id = t.workspace_id and v.id = t.version_id
         where t.workspace_id = '{workspace}' and t.live{tagged}"
    )
}
