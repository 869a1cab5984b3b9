//! Metrics of a ranking: nDCG, recall, precision, reciprocal rank, and the share of judged hits.

use serde::{Deserialize, Serialize};

/// Hits that nDCG and the share of judged hits read.
pub const NDCG_DEPTH: usize = 10;
/// The largest number of hits that recall and precision read.
pub const MAX_DEPTH: u32 = 100;

/// The metrics of a ranking, or their means over queries. All are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The discounted gain of the first ten hits, as a share of that of the best ranking (nDCG@10; the gain
    /// is the grade, as in `trec_eval`).
    pub ndcg10: f64,
    /// The share of the relevant files among the first k hits.
    pub recall: f64,
    /// The share of the first k hits that are relevant.
    pub precision: f64,
    /// One divided by the place of the first relevant hit; 0 without one.
    pub mrr: f64,
    /// The share of the first ten hits that are judged; 1 without hits.
    pub judged10: f64,
}

/// The metrics of a ranking of files, each once. `ranked` has the grades of the hits, best first, `None` where a hit is not
/// judged; `judged` the grades of all judged files. `None`: no file is relevant, so there is nothing to find.
#[must_use]
pub fn measure(ranked: &[Option<i16>], judged: &[i16], k: usize) -> Option<Metrics> {
    let mut relevant: Vec<i16> = judged.iter().copied().filter(|grade| *grade > 0).collect();
    relevant.sort_unstable_by(|a, b| b.cmp(a));
    if relevant.is_empty() {
        return None;
    }
    let is_relevant = |grade: &&Option<i16>| grade.is_some_and(|grade| grade > 0);
    let found = ranked.iter().take(k).filter(is_relevant).count() as f64;
    let first = ranked.iter().position(|grade| is_relevant(&grade));
    let best = &ranked[..ranked.len().min(NDCG_DEPTH)];
    let judged = best.iter().filter(|grade| grade.is_some()).count();
    Some(Metrics {
        ndcg10: gain(best.iter().map(|grade| grade.unwrap_or_default()))
            / gain(relevant.iter().copied().take(NDCG_DEPTH)),
        recall: found / relevant.len() as f64,
        precision: found / k.max(1) as f64,
        mrr: first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0)),
        judged10: if best.is_empty() { 1.0 } else { judged as f64 / best.len() as f64 },
    })
}

/// The sum of grades, each divided by the logarithm of its place.
fn gain(grades: impl Iterator<Item = i16>) -> f64 {
    grades.enumerate().map(|(place, grade)| f64::from(grade.max(0)) / (place as f64 + 2.0).log2()).sum()
}

/// The means of metrics; `None`: there are none.
#[must_use]
pub fn mean(all: &[Metrics]) -> Option<Metrics> {
    let count = all.len() as f64;
    let of = |value: fn(&Metrics) -> f64| all.iter().map(value).sum::<f64>() / count;
    (!all.is_empty()).then(|| Metrics {
        ndcg10: of(|metrics| metrics.ndcg10),
        recall: of(|metrics| metrics.recall),
        precision: of(|metrics| metrics.precision),
        mrr: of(|metrics| metrics.mrr),
        judged10: of(|metrics| metrics.judged10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-4, "{value} is not {expected}");
    }

    #[test]
    fn graded_ranking_has_the_metrics_of_the_worked_example() {
        // Grades 3, 2, 3, 0, 1, 2 of the usual example, where a 3 and a 2 were not found.
        let ranked = [Some(3), Some(2), Some(3), Some(0), Some(1), Some(2)];
        let metrics = measure(&ranked, &[3, 2, 3, 0, 1, 2, 3, 2], 6).unwrap();
        // DCG 3 + 1.2619 + 1.5 + 0 + 0.3869 + 0.7124 = 6.8611, ideal 3 + 1.8928 + 1.5 + 0.8614 + 0.7737 + 0.7124 + 0.3333.
        assert_near(metrics.ndcg10, 6.8611 / 9.0736);
        assert_near(metrics.recall, 5.0 / 7.0);
        assert_near(metrics.precision, 5.0 / 6.0);
        assert_eq!((metrics.mrr, metrics.judged10), (1.0, 1.0));
    }

    #[test]
    fn unjudged_hits_gain_nothing_and_are_reported() {
        let metrics = measure(&[None, Some(1), None, Some(0)], &[1, 0, 1], 2).unwrap();
        assert_near(metrics.ndcg10, 0.6309 / 1.6309);
        assert_eq!((metrics.recall, metrics.precision, metrics.mrr, metrics.judged10), (0.5, 0.5, 0.5, 0.5));
    }

    #[test]
    fn only_the_first_ten_hits_have_a_gain() {
        let mut ranked = [None; 11];
        ranked[10] = Some(1);
        let metrics = measure(&ranked, &[1], 11).unwrap();
        assert_eq!((metrics.ndcg10, metrics.recall), (0.0, 1.0));
        assert_near(metrics.mrr, 1.0 / 11.0);
    }

    #[test]
    fn query_without_a_relevant_file_is_not_measured() {
        assert_eq!(measure(&[Some(0)], &[0], 10), None);
        assert_eq!(measure(&[], &[2], 10).unwrap().recall, 0.0);
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn mean_is_over_queries() {
        let metrics = |ndcg10| Metrics { ndcg10, ..Metrics::default() };
        assert_eq!(mean(&[metrics(0.5), metrics(1.0)]).unwrap().ndcg10, 0.75);
    }
}
