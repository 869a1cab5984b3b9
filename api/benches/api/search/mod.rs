//! `just bench-search`: tenants of up to 100,000 chunks, or as many as the argument says, are loaded one after the other into one
//! space. It prints
//! - the CPU time of searches over HTTP for each of their sizes, and its growth from one to the next;
//! - the recall of the largest one, and of some of a thousand tenants that have as many chunks together, in the same index, and
//!   fails if a search has fewer hits than match, up to its limit;
//! - the times of searches of the largest one as ratios to bare statements.

mod bare;
mod clients;
mod cost;
mod cpu;
mod recall;
mod requests;
mod selectivity;
mod tenants;
mod texts;
mod times;
mod vectors;

use self::{cost::Costs, tenants::World};
use crate::noise::Noise;

/// Chunks of the tenants, each in an index with the smaller ones before it.
const SIZES: [usize; 3] = [1_845, 10_000, 100_000];
const LARGEST: usize = 100_000;

// The runtime of the API itself.
#[tokio::main]
pub async fn run() {
    let largest = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(LARGEST);
    let mut noise = Noise(42);
    let mut world = World::start(largest, &mut noise).await;
    let mut costs = Costs::default();
    for size in SIZES.into_iter().filter(|size| *size < largest) {
        let (tenant, _) = world.load(&mut noise, size, false).await;
        costs.measure(&world, &tenant, &mut noise).await;
    }
    let (tenant, others) = world.load(&mut noise, largest, true).await;
    costs.measure(&world, &tenant, &mut noise).await;
    costs.print();
    cost::report_embedding(&world, &mut noise).await;
    recall::report(&world, &tenant, &others, &mut noise).await;
    times::report(&world, &tenant, &mut noise).await;
    world.app.stop().await;
}
