//! Repeatable random numbers and vectors.

/// A generator; the number is its state, and not 0.
pub struct Noise(pub u64);

impl Noise {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A vector of length 1.
    pub fn unit(&mut self, dimensions: usize) -> Vec<f32> {
        scaled((0..dimensions).map(|_| (self.share() + self.share() + self.share() - 1.5) as f32).collect())
    }

    /// A vector around a centre.
    pub fn near(&mut self, centre: &[f32]) -> Vec<f32> {
        let away = self.unit(centre.len());
        scaled(centre.iter().zip(away).map(|(a, b)| a + 0.6 * b).collect())
    }
}

fn scaled(mut vector: Vec<f32>) -> Vec<f32> {
    assert!(nvisy_embed::to_unit_length(&mut vector), "a vector has a direction");
    vector
}

/// The similarity of two vectors of length 1.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Sums that do not wait for each other: an exact search compares millions of vectors.
    let mut sums = [0.0_f32; 16];
    let (a, b) = (a.chunks_exact(sums.len()), b.chunks_exact(sums.len()));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    f64::from(sums.iter().sum::<f32>() + rest)
}
