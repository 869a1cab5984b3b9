//! Recall against exact search, and the number of hits.

use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::filter::Filter,
    store::search::{SearchMode, search},
};

use super::{
    clients::Times,
    requests::{TOP, query},
    selectivity::{SELECTIVITIES, Selectivity, tag_filter},
    tenants::{FEW_CHUNKS, OTHERS, Tenant, World},
    texts::{thousands, words},
    vectors::least_similarity,
};
use crate::noise::Noise;

/// Queries of a line, in all tenants together.
const QUERIES: usize = 60;
/// Hits of a longer result.
const LONG_TOP: usize = 50;
/// The error of half precision.
const TOLERANCE: f64 = 1e-4;

/// Where the vector of a query is.
#[derive(Clone, Copy)]
enum Place {
    NearMatches,
    NearNothing,
}

/// The hits that queries found of those that an exact search finds.
#[derive(Default)]
struct Found {
    right: usize,
    expected: usize,
    times: Vec<Duration>,
    paths: BTreeSet<&'static str>,
}

/// Prints the recall of the largest tenant, and of some of those that share its index.
pub async fn report(world: &World, largest: &Tenant, others: &[Tenant], noise: &mut Noise) {
    println!(
        "\n| recall@{TOP} against exact search (target: at least 0.95) | access | near matching vectors | near nothing that matches |"
    );
    println!("|---|---|---|---|");
    let name = format!("one tenant of {}", thousands(largest.chunks));
    let each = others.first().map_or(0, |tenant| tenant.chunks);
    let other_name = format!("{} of {} tenants of {}", others.len(), thousands(OTHERS), thousands(each));
    for (name, tenants) in [(name, vec![largest]), (other_name, others.iter().collect())] {
        for selectivity in &SELECTIVITIES {
            let near = find(world, &tenants, selectivity, Place::NearMatches, noise).await;
            let far = find(world, &tenants, selectivity, Place::NearNothing, noise).await;
            let paths = near.paths.union(&far.paths).copied().collect::<Vec<_>>().join(", ");
            println!("| {name}, {} | {paths} | {} | {} |", selectivity.name, near.cell(), far.cell());
        }
    }
    count_hits(world, largest, noise).await;
}

/// Searches the tenants, each as often as the others.
async fn find(world: &World, tenants: &[&Tenant], selectivity: &Selectivity, place: Place, noise: &mut Noise) -> Found {
    let mut found = Found::default();
    for tenant in tenants {
        let matching = tenant.vectors.of_each(selectivity.nth);
        let top = TOP.min(matching.len());
        for _ in 0..QUERIES / tenants.len() {
            let vector = match place {
                Place::NearMatches if top > 0 => {
                    let near = (noise.share() * matching.len() as f64) as usize;
                    noise.near(matching[near])
                }
                _ => world.centres.unmatched(noise, selectivity.tag.is_some()),
            };
            let query = query(SearchMode::Vector, "", world.space, &vector, selectivity.filter(), TOP);
            let began = Instant::now();
            let result = search(&world.app.db, tenant.id, &query).await.unwrap();
            found.times.push(began.elapsed());
            found.paths.insert(result.access_path.name());
            let distinct: HashSet<_> = result.hits.iter().map(|hit| hit.chunk_id).collect();
            assert_eq!((distinct.len(), result.hits.len()), (top, top), "as many hits as match, up to the limit");
            if top > 0 {
                let least = least_similarity(&vector, &matching, top) - TOLERANCE;
                found.right += result.hits.iter().filter(|hit| hit.vector_score.unwrap() >= least).count();
                found.expected += top;
            }
        }
    }
    found
}

impl Found {
    fn cell(self) -> String {
        if self.expected == 0 {
            return "nothing matches, no hits".to_owned();
        }
        let recall = self.right as f64 / self.expected as f64;
        format!("**{recall:.3}**, p50 {:.1} ms", Times::new(self.times).p50())
    }
}

/// Fails unless results are as long as their limit where as many match, and otherwise have all that match.
async fn count_hits(world: &World, tenant: &Tenant, noise: &mut Noise) {
    let rarest = &SELECTIVITIES[SELECTIVITIES.len() - 1];
    let matching = tenant.vectors.of_each(rarest.nth).len();
    let few = Filter::parse(&tag_filter("few")).unwrap();
    for (filter, limit, matching) in [(rarest.filter(), LONG_TOP, matching), (Some(few), TOP, FEW_CHUNKS)] {
        let expected = limit.min(matching);
        for mode in [SearchMode::Vector, SearchMode::Hybrid] {
            for is_random in [false, true] {
                let vector = world.centres.unmatched(noise, !is_random);
                let text = words(noise, 6);
                let query = query(mode, &text, world.space, &vector, filter.clone(), limit);
                let result = search(&world.app.db, tenant.id, &query).await.unwrap();
                let distinct: HashSet<_> = result.hits.iter().map(|hit| hit.chunk_id).collect();
                assert_eq!((distinct.len(), result.hits.len()), (expected, expected), "{mode:?}, {matching} match");
            }
        }
        println!(
            "k = {limit}, {} chunks match: each search by vector and hybrid has {expected} hits",
            thousands(matching)
        );
    }
}
