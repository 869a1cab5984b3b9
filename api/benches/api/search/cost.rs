//! CPU time of searches over HTTP, by mode, length of the question and size of the tenant.

use std::time::{Duration, Instant};

use nvisy_embed::InputType;

use super::{
    clients::for_duration,
    cpu::Cpu,
    requests::{SearchBody, SearchEndpoint, TOP},
    tenants::{Tenant, World},
    texts::{thousands, words},
};
use crate::noise::Noise;

const CONNECTIONS: usize = 4;
/// Words of a question.
const LENGTHS: [usize; 3] = [3, 17, 60];
/// Different questions of a measurement.
const QUESTIONS: usize = 160;
const MEASURED: Duration = Duration::from_secs(3);
/// Questions that are embedded.
const EMBEDDED: usize = 40;

/// A row of the table: name, mode, and whether the hits are ranked again.
const ROWS: [(&str, &str, Option<&str>); 4] = [
    ("text", "text", None),
    ("vector", "vector", None),
    ("hybrid", "hybrid", None),
    ("hybrid, `neighbours`", "hybrid", Some("neighbours")),
];

/// The costs of a search for each size of the tenant, by row and length.
#[derive(Default)]
pub struct Costs(Vec<(usize, [[Cpu; LENGTHS.len()]; ROWS.len()])>);

impl Costs {
    /// Measures the searches of a tenant.
    pub async fn measure(&mut self, world: &World, tenant: &Tenant, noise: &mut Noise) {
        let mut costs = [[Cpu::default(); LENGTHS.len()]; ROWS.len()];
        for (costs, (_, mode, rerank)) in costs.iter_mut().zip(ROWS) {
            let endpoint = SearchEndpoint::new(world, tenant).await;
            for (cost, length) in costs.iter_mut().zip(LENGTHS) {
                let bodies: Vec<_> = (0..QUESTIONS)
                    .map(|_| {
                        let (question, vector) = (words(noise, length), world.centres.of_file(noise, false));
                        let vector = (mode != "text").then_some(vector.as_slice());
                        SearchBody { query: &question, mode, limit: TOP, vector, filter: None, rerank }.to_bytes()
                    })
                    .collect();
                let search = async |_: usize, place: usize| endpoint.search(&bodies[place % bodies.len()]).await;
                // Plans the statements on each connection.
                for_duration(CONNECTIONS, MEASURED / 6, &search);
                let before = Cpu::now(&world.app.db).await;
                let times = for_duration(CONNECTIONS, MEASURED, &search);
                *cost = Cpu::now(&world.app.db).await.of_each(before, times.count());
            }
        }
        self.0.push((tenant.chunks, costs));
    }

    /// Prints the costs, and how they grow from each size to the next.
    pub fn print(&self) {
        println!(
            "\nCPU of PostgreSQL / of the API with its client, per search at {CONNECTIONS} connections, and their growth from the size before:\n"
        );
        println!(
            "| PostgreSQL / API | growth of chunks |{} growth at 17 words |",
            LENGTHS.map(|n| format!(" {n} words |")).concat()
        );
        println!("|---|---|{}---|", "---|".repeat(LENGTHS.len()));
        for (place, (chunks, costs)) in self.0.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| &self.0[place]);
            for (row, (name, ..)) in ROWS.iter().enumerate() {
                let cells = costs[row].map(|cost| format!(" {:.2} / {:.2} ms |", cost.postgres, cost.api)).concat();
                let (of_chunks, of_cost) = match before {
                    None => (String::new(), String::new()),
                    Some((fewer, smaller)) => {
                        let (cost, smaller) = (costs[row][1], smaller[row][1]);
                        let growth = (cost.postgres / smaller.postgres, cost.api / smaller.api);
                        (
                            format!("{:.1} times", *chunks as f64 / *fewer as f64),
                            format!("**{:.2} / {:.2}** times", growth.0, growth.1),
                        )
                    }
                };
                println!("| {} chunks, {name} | {of_chunks} |{cells} {of_cost} |", thousands(*chunks));
            }
        }
    }
}

/// Prints the cost of the vector of a question. The searches of this benchmark have it in their requests.
pub async fn report_embedding(world: &World, noise: &mut Noise) {
    let embedder = &world.platform.spaces.default().embedder;
    let length = LENGTHS[1];
    let (before, began) = (Cpu::now(&world.app.db).await, Instant::now());
    for _ in 0..EMBEDDED {
        embedder.embed(InputType::Query, vec![words(noise, length)]).await.unwrap();
    }
    let each = began.elapsed().as_secs_f64() * 1e3 / EMBEDDED as f64;
    let cost = Cpu::now(&world.app.db).await.of_each(before, EMBEDDED);
    println!(
        "\nembedding of {length} words, which no search here waits for: {each:.2} ms, {:.2} ms of CPU of the API",
        cost.api
    );
}
