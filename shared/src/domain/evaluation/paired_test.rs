//! The paired comparison of two rankings of the same queries: a permutation test that flips the signs of differences.

/// Up to so many pairs that differ, all flips are counted; beyond, [`ROUNDS`] of them are drawn.
pub const EXACT_PAIRS: usize = 13;
/// Drawn flips.
pub const ROUNDS: u32 = 10_000;
/// Differences up to this one are ties.
const TIE: f64 = 1e-9;

/// The comparison of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// The mean difference: second minus first.
    pub difference: f64,
    /// How probable a difference of at least this size is if it is by chance which of the two ranks a query better (two-sided).
    pub p: f64,
    /// Queries that the second ranks better.
    pub wins: usize,
    /// Queries that the second ranks worse.
    pub losses: usize,
    /// The other queries.
    pub ties: usize,
}

/// Compares a metric of the same queries. The result is the same each time: the flips are drawn from a fixed sequence.
#[must_use]
pub fn compare(pairs: &[(f64, f64)]) -> Paired {
    let differences: Vec<f64> = pairs.iter().map(|(first, second)| second - first).collect();
    let changed: Vec<f64> = differences.iter().copied().filter(|difference| difference.abs() > TIE).collect();
    let sum: f64 = changed.iter().sum();
    let wins = changed.iter().filter(|difference| **difference > 0.0).count();
    Paired {
        difference: if pairs.is_empty() { 0.0 } else { sum / pairs.len() as f64 },
        p: probability(&changed, sum.abs() - TIE),
        wins,
        losses: changed.len() - wins,
        ties: pairs.len() - changed.len(),
    }
}

/// The share of flips whose sum is at least as far from 0.
fn probability(changed: &[f64], least: f64) -> f64 {
    let is_extreme = |flips: &mut dyn FnMut(usize) -> bool| {
        let sum: f64 =
            changed.iter().enumerate().map(|(place, value)| if flips(place) { -value } else { *value }).sum();
        sum.abs() >= least
    };
    if changed.len() <= EXACT_PAIRS {
        let all = 1_u32 << changed.len();
        let extreme = (0..all).filter(|mask| is_extreme(&mut |place| (mask >> place) & 1 == 1)).count();
        return extreme as f64 / f64::from(all);
    }
    let mut sequence = Sequence(0);
    let extreme = (0..ROUNDS).filter(|_| is_extreme(&mut |_| sequence.draw() >> 63 == 1)).count();
    // The observed signs are one of the flips.
    (extreme as f64 + 1.0) / f64::from(ROUNDS + 1)
}

/// A fixed sequence that passes for random (SplitMix64).
struct Sequence(u64);

impl Sequence {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pairs_have_the_exact_probability() {
        // Of the eight flips of three equal gains, two have a sum as far from 0.
        let paired = compare(&[(0.0, 0.5), (0.1, 0.6), (0.2, 0.7), (0.4, 0.4)]);
        assert_eq!((paired.p, paired.wins, paired.losses, paired.ties), (0.25, 3, 0, 1));
        assert!((paired.difference - 0.375).abs() < 1e-9);
        // 3 - 1 - 1: all flips but those with a sum of 1 or -1 (3 - 1 - 1 itself) are as far.
        let mixed = compare(&[(0.0, 3.0), (1.0, 0.0), (1.0, 0.0)]);
        assert_eq!((mixed.p, mixed.wins, mixed.losses), (1.0, 1, 2));
    }

    #[test]
    fn equal_rankings_do_not_differ() {
        let paired = compare(&[(0.3, 0.3), (1.0, 1.0)]);
        assert_eq!((paired.difference, paired.p, paired.ties), (0.0, 1.0, 2));
        assert_eq!(compare(&[]).p, 1.0);
    }

    #[test]
    fn many_pairs_are_close_to_the_binomial_probability() {
        // Equal gains: the sum tells the number of wins, here 20 of 30, so p is that of a sign test: 0.0987.
        let pairs: Vec<(f64, f64)> = (0..30).map(|n| if n < 20 { (0.0, 0.1) } else { (0.1, 0.0) }).collect();
        let paired = compare(&pairs);
        assert!((paired.p - 0.0987).abs() < 0.01, "{}", paired.p);
        assert_eq!(compare(&pairs), paired);
        let clear: Vec<(f64, f64)> = (0..30).map(|_| (0.0, 0.1)).collect();
        assert!(compare(&clear).p < 0.001);
    }
}
