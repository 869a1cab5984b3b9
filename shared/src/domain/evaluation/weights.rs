//! The choice of a setting by its scores on queries, and how well such a choice does on queries that it has not seen.

/// Parts of the queries: each is scored with the setting that is best on the others.
pub const FOLDS: usize = 5;

/// A chosen setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// The setting that is best on all queries, by its place.
    pub best: usize,
    /// Its mean score, which is too good to expect: the queries have chosen it.
    pub score: f64,
    /// The mean score of queries with the setting that is best on the other parts.
    pub cross_validated: f64,
}

/// The best setting. `scores` has, for each query, a score for each setting; of equal ones, the nearest to `default` is chosen.
/// `None`: there are fewer than two queries, or no settings.
#[must_use]
pub fn choose_setting(scores: &[Vec<f64>], default: usize) -> Option<Fitted> {
    let settings = scores.first()?.len();
    if scores.len() < 2 || settings == 0 || scores.iter().any(|query| query.len() != settings) {
        return None;
    }
    let folds = FOLDS.min(scores.len());
    let mut unseen = 0.0;
    for fold in 0..folds {
        let best = best_setting(scores, settings, default, |query| query % folds != fold);
        unseen += scores.iter().skip(fold).step_by(folds).map(|query| query[best]).sum::<f64>();
    }
    let best = best_setting(scores, settings, default, |_| true);
    let count = scores.len() as f64;
    let score = scores.iter().map(|query| query[best]).sum::<f64>() / count;
    Some(Fitted { best, score, cross_validated: unseen / count })
}

fn best_setting(scores: &[Vec<f64>], settings: usize, default: usize, is_in: impl Fn(usize) -> bool) -> usize {
    let sum = |setting: usize| -> f64 {
        scores.iter().enumerate().filter(|(query, _)| is_in(*query)).map(|(_, query)| query[setting]).sum()
    };
    let mut order: Vec<usize> = (0..settings).collect();
    order.sort_by_key(|setting| setting.abs_diff(default));
    let mut best = (default.min(settings - 1), f64::NEG_INFINITY);
    for setting in order {
        let sum = sum(setting);
        if sum > best.1 + 1e-9 {
            best = (setting, sum);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_with_the_highest_mean_is_chosen() {
        let scores = [vec![0.2, 0.4, 0.9], vec![0.1, 0.5, 0.7], vec![0.6, 0.2, 0.8]];
        let fitted = choose_setting(&scores, 0).unwrap();
        assert_eq!(fitted.best, 2);
        assert!((fitted.score - 0.8).abs() < 1e-9 && (fitted.cross_validated - 0.8).abs() < 1e-9);
    }

    #[test]
    fn equal_settings_leave_the_default() {
        let scores = [vec![0.5; 9], vec![0.5; 9], vec![0.5; 9]];
        assert_eq!(choose_setting(&scores, 4).unwrap().best, 4);
    }

    #[test]
    fn choice_by_chance_does_not_hold_on_unseen_queries() {
        // Each query is good with one setting only, so the others choose another one.
        let scores: Vec<Vec<f64>> =
            (0..4).map(|query| (0..4).map(|setting| f64::from(u8::from(setting == query))).collect()).collect();
        let fitted = choose_setting(&scores, 0).unwrap();
        assert_eq!(fitted.score, 0.25);
        assert_eq!(fitted.cross_validated, 0.0);
    }

    #[test]
    fn one_query_is_too_few() {
        assert_eq!(choose_setting(&[vec![1.0]], 0), None);
        assert_eq!(choose_setting(&[], 0), None);
    }
}
