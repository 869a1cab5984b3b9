//! Repeatable vectors around centres, and exact search among them.

use crate::noise::{Noise, dot};

pub const DIMENSIONS: usize = 384;
const CENTRES: usize = 2_000;
/// The first centres: no file with the tags of a filter has chunks around them.
const UNMATCHED: usize = 200;

/// The centres around which all tenants have vectors.
pub struct Centres(Vec<Vec<f32>>);

impl Centres {
    pub fn new(noise: &mut Noise) -> Self {
        Self((0..CENTRES).map(|_| noise.unit(DIMENSIONS)).collect())
    }

    /// A vector of a chunk. Files that a filter matches have chunks around any other centre.
    pub fn of_file(&self, noise: &mut Noise, has_filtered_tag: bool) -> Vec<f32> {
        let first = if has_filtered_tag { UNMATCHED } else { 0 };
        self.around(noise, first, CENTRES)
    }

    /// A vector near nothing that a filter matches; without a filter, near nothing.
    pub fn unmatched(&self, noise: &mut Noise, has_filter: bool) -> Vec<f32> {
        if has_filter { self.around(noise, 0, UNMATCHED) } else { noise.unit(DIMENSIONS) }
    }

    fn around(&self, noise: &mut Noise, first: usize, end: usize) -> Vec<f32> {
        let place = first + (noise.share() * (end - first) as f64) as usize;
        noise.near(&self.0[place])
    }
}

/// The vectors of a tenant, and the numbers of their files.
#[derive(Default)]
pub struct StoredVectors {
    numbers: Vec<f32>,
    files: Vec<u32>,
}

impl StoredVectors {
    pub fn add(&mut self, file: u32, vector: &[f32]) {
        self.numbers.extend_from_slice(vector);
        self.files.push(file);
    }

    /// The vectors of every nth file.
    pub fn of_each(&self, nth: u32) -> Vec<&[f32]> {
        let all = self.files.iter().zip(self.numbers.chunks_exact(DIMENSIONS));
        all.filter(|(file, _)| file.is_multiple_of(nth)).map(|(_, vector)| vector).collect()
    }
}

/// The similarity of the last of the `top` vectors that are nearest. There are as many.
pub fn least_similarity(query: &[f32], vectors: &[&[f32]], top: usize) -> f64 {
    let mut all: Vec<f64> = vectors.iter().map(|vector| dot(query, vector)).collect();
    let (_, last, _) = all.select_nth_unstable_by(top - 1, |a, b| b.total_cmp(a));
    *last
}
