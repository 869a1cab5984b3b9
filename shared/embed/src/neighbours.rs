//! Arithmetic on the vectors of search results: a query that is moved towards its best hits, and scores that similar hits share.

use crate::to_unit_length;

/// The query, moved towards the mean of its best hits, which counts `weight` times; `None` without hits. All vectors have length
/// one.
#[must_use]
pub fn move_towards(query: &[f32], best: &[&[f32]], weight: f32) -> Option<Vec<f32>> {
    if best.is_empty() {
        return None;
    }
    let share = weight / best.len() as f32;
    let mut moved = query.to_vec();
    for vector in best {
        moved.iter_mut().zip(*vector).for_each(|(value, more)| *value += share * more);
    }
    to_unit_length(&mut moved).then_some(moved)
}

/// Each score mixed with those of the most similar hits: `weight` of the result is their mean, in which a hit counts by its
/// cosine similarity. Hits without a vector keep their score.
#[must_use]
pub fn smooth(scores: &[f64], vectors: &[Option<&[f32]>], neighbours: usize, weight: f64) -> Vec<f64> {
    let mut similarities: Vec<Vec<(f32, usize)>> = vec![Vec::new(); scores.len()];
    for (place, vector) in vectors.iter().enumerate() {
        let Some(vector) = vector else { continue };
        for (other, other_vector) in vectors.iter().enumerate().take(place) {
            let Some(other_vector) = other_vector else { continue };
            let similarity = dot(vector, other_vector);
            similarities[place].push((similarity, other));
            similarities[other].push((similarity, place));
        }
    }
    let mix = |(place, mut similar): (usize, Vec<(f32, usize)>)| {
        // Equally similar ones in their order, so that a result is the same each time.
        let order = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if similar.len() > neighbours {
            similar.select_nth_unstable_by(neighbours, order);
            similar.truncate(neighbours);
        }
        let parts = similar.iter().map(|(similarity, other)| (f64::from(similarity.max(0.0)), scores[*other]));
        let (sum, total) = parts.fold((0.0, 0.0), |(sum, total), (share, score)| (sum + share * score, total + share));
        if total > 0.0 { (1.0 - weight) * scores[place] + weight * sum / total } else { scores[place] }
    };
    similarities.into_iter().enumerate().map(mix).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums, which the compiler keeps in one register.
    let mut sums = [0.0_f32; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_moves_towards_the_mean_of_its_hits() {
        let moved = move_towards(&[1.0, 0.0], &[&[0.0, 1.0], &[0.0, 1.0]], 1.0).unwrap();
        assert!((moved[0] - moved[1]).abs() < 1e-6 && (moved[0] - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(move_towards(&[1.0, 0.0], &[], 1.0), None);
    }

    #[test]
    fn hit_among_good_ones_rises_above_an_isolated_one() {
        let near: Vec<Vec<f32>> = [0.0_f32, 0.1, 0.2, 0.05].iter().map(|x| vec![x.cos(), x.sin()]).collect();
        let far = vec![0.0, -1.0];
        let vectors: Vec<Option<&[f32]>> = near.iter().chain([&far]).map(|vector| Some(vector.as_slice())).collect();
        let smoothed = smooth(&[1.0, 0.9, 0.8, 0.3, 0.4], &vectors, 2, 0.4);
        assert!(smoothed[3] > smoothed[4], "{smoothed:?}");
        assert_eq!(smoothed[4], 0.4, "nothing is similar to it");
        assert_eq!(smooth(&[0.5, 0.2], &[None, None], 2, 0.4), [0.5, 0.2]);
    }

    #[test]
    fn dot_product_has_all_components() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..19).map(|n| (n as f32, (n % 3) as f32)).unzip();
        let expected: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert_eq!(dot(&a, &b), expected);
    }
}
