//! Times of searches as ratios to bare statements, by mode, selectivity and number of connections.

use nvisy_lexical::{analysis::language_of_term, query::Query};
use nvisy_shared::store::search::{SearchMode, SearchQuery, search};

use super::{
    bare::{self, Bare, Parameter},
    clients::{Times, repeat},
    requests::{SearchBody, SearchEndpoint, TOP, query},
    selectivity::{SELECTIVITIES, Selectivity},
    tenants::{Tenant, World},
    texts::words,
};
use crate::noise::Noise;

const CONNECTIONS: [usize; 2] = [1, 16];
const MODES: [(&str, SearchMode); 3] =
    [("text", SearchMode::Text), ("vector", SearchMode::Vector), ("hybrid", SearchMode::Hybrid)];
/// Different questions, and their words.
const QUESTIONS: usize = 128;
const LENGTH: usize = 6;

/// Milliseconds of half and of 99 % of the calls.
#[derive(Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

/// The times of the bare statements beside a cell.
struct BareTimes {
    /// The read of the postings, and of the matching units.
    text: Percentiles,
    vector: Percentiles,
    /// PostgreSQL's own text search.
    text_search: Percentiles,
}

/// A question, and a vector near vectors that match.
struct Question {
    text: String,
    terms: Vec<String>,
    vector: Vec<f32>,
}

/// Prints the times of searches of a tenant.
pub async fn report(world: &World, tenant: &Tenant, noise: &mut Noise) {
    bare::create_lexemes(world, tenant).await;
    let languages = languages(world, tenant).await;
    println!(
        "\n| mode | files | connections | bare statement p50, p99 | `store::search` | over HTTP (target: p50 under 2 times, p99 under 3) |"
    );
    println!("|---|---|---|---|---|---|");
    for connections in CONNECTIONS {
        for selectivity in &SELECTIVITIES {
            let questions = questions(tenant, selectivity, &languages, noise);
            let bare = bare_times(world, tenant, selectivity, &questions, connections).await;
            for (name, mode) in MODES {
                let store = store_times(world, tenant, (mode, selectivity), &questions, connections);
                let http = http_times(world, tenant, (name, selectivity), &questions, connections).await;
                let row = |name: &str, bare: Percentiles| {
                    println!(
                        "| {name} | {} | {connections} | {} | {} | {} |",
                        selectivity.name,
                        bare.cell(),
                        store.cell_beside(bare),
                        http.cell_beside(bare)
                    );
                };
                match mode {
                    SearchMode::Text => {
                        row("text, beside a read of postings", bare.text);
                        row("text, beside PostgreSQL's text search", bare.text_search);
                    }
                    SearchMode::Vector => row("vector", bare.vector),
                    SearchMode::Hybrid => row("hybrid, beside both reads", bare.text.plus(bare.vector)),
                }
            }
        }
    }
}

/// The languages of the chunks, by which a search chooses the terms of its words.
async fn languages(world: &World, tenant: &Tenant) -> Vec<nvisy_lexical::Language> {
    let (workspace, collection) = (tenant.id, tenant.collection);
    let rows = world
        .app
        .rows(&format!(
            "select distinct term from posting
             where workspace_id = '{workspace}' and collection_id = '{collection}' and term < E'\\x02'"
        ))
        .await;
    rows.iter().filter_map(|row| language_of_term(&row.try_get::<String>("", "term").unwrap())).collect()
}

fn questions(
    tenant: &Tenant,
    selectivity: &Selectivity,
    languages: &[nvisy_lexical::Language],
    noise: &mut Noise,
) -> Vec<Question> {
    let matching = tenant.vectors.of_each(selectivity.nth);
    let mut questions = Vec::new();
    for _ in 0..QUESTIONS {
        let text = words(noise, LENGTH);
        let conditions = Query::parse(&text).conditions(None, languages);
        let mut terms: Vec<String> = conditions.words.into_iter().flat_map(|word| word.terms).collect();
        terms.extend(conditions.identifiers);
        let place = (noise.share() * matching.len() as f64) as usize;
        questions.push(Question { text, terms, vector: noise.near(matching[place]) });
    }
    questions
}

async fn bare_times(
    world: &World,
    tenant: &Tenant,
    selectivity: &Selectivity,
    questions: &[Question],
    connections: usize,
) -> BareTimes {
    let bare = Bare::connect(world, connections).await;
    let question = |place: usize| &questions[place % questions.len()];
    // The plan that a search has chosen.
    let first = store_query(world, SearchMode::Vector, selectivity, question(0));
    let path = search(&world.app.db, tenant.id, &first).await.unwrap().access_path;

    let sql = bare::nearest(world, tenant, selectivity, path);
    let vector = repeat(connections, async |connection, place| {
        bare.read(connection, &sql, &Parameter::Vector(question(place).vector.clone())).await;
    });
    let (postings, units) = (bare::postings(tenant), bare::matching_units(tenant, selectivity));
    let text = repeat(connections, async |connection, place| {
        if let Some(units) = &units {
            bare.read(connection, units, &Parameter::None).await;
        }
        bare.read(connection, &postings, &Parameter::Terms(question(place).terms.clone())).await;
    });
    let sql = bare::text_search(tenant, selectivity);
    let text_search = repeat(connections, async |connection, place| {
        bare.read(connection, &sql, &Parameter::Words(question(place).text.replace(' ', " | "))).await;
    });
    BareTimes { text: text.into(), vector: vector.into(), text_search: text_search.into() }
}

fn store_times(
    world: &World,
    tenant: &Tenant,
    (mode, selectivity): (SearchMode, &Selectivity),
    questions: &[Question],
    connections: usize,
) -> Percentiles {
    let queries: Vec<SearchQuery> =
        questions.iter().map(|question| store_query(world, mode, selectivity, question)).collect();
    let (db, workspace) = (&world.app.db, tenant.id);
    let times = repeat(connections, async |_, place| {
        search(db, workspace, &queries[place % queries.len()]).await.unwrap();
    });
    times.into()
}

async fn http_times(
    world: &World,
    tenant: &Tenant,
    (mode, selectivity): (&str, &Selectivity),
    questions: &[Question],
    connections: usize,
) -> Percentiles {
    let endpoint = SearchEndpoint::new(world, tenant).await;
    let body = |question: &Question| {
        let vector = (mode != "text").then_some(question.vector.as_slice());
        let (query, filter) = (question.text.as_str(), selectivity.body());
        SearchBody { query, mode, limit: TOP, vector, filter, rerank: None }.to_bytes()
    };
    let bodies: Vec<_> = questions.iter().map(body).collect();
    repeat(connections, async |_, place| endpoint.search(&bodies[place % bodies.len()]).await).into()
}

fn store_query(world: &World, mode: SearchMode, selectivity: &Selectivity, question: &Question) -> SearchQuery {
    query(mode, &question.text, world.space, &question.vector, selectivity.filter(), TOP)
}

impl From<Times> for Percentiles {
    fn from(times: Times) -> Self {
        Self { p50: times.p50(), p99: times.p99() }
    }
}

impl Percentiles {
    fn plus(self, other: Self) -> Self {
        Self { p50: self.p50 + other.p50, p99: self.p99 + other.p99 }
    }

    fn cell(self) -> String {
        format!("{:.2}, {:.2} ms", self.p50, self.p99)
    }

    fn cell_beside(self, bare: Self) -> String {
        format!("{}: **{:.2}, {:.2}**", self.cell(), self.p50 / bare.p50, self.p99 / bare.p99)
    }
}
