//! The operations between matrix products, number by number or row by row: GELU, softmax, layer normalisation.
//!
//! The loops have a form that the compiler vectorises; `pulp` compiles them once for each kind of processor.

use pulp::Arch;

/// Lanes of the loops below: the compiler may vectorise a sum over separate lanes, but not a running sum.
const LANES: usize = 16;

/// `e^x` to about two units in the last place, for `x` of at most 88; in operations that the compiler vectorises.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // x = n ln 2 + r; adding and subtracting 1.5 * 2^23 rounds to a whole n, which then sits in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    // Taylor's series: |r| <= ln 2 / 2, where the first term left out is below 4e-8.
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * r + 1.0;
    let series = series * r + 1.0;
    series * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// `x * P(X <= x)` for a standard normal `X`, with the error function of Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7).
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = 1.061_405_4;
    let series = series * t - 1.453_152;
    let series = series * t + 1.421_413_7;
    let series = series * t - 0.284_496_74;
    let series = series * t + 0.254_829_6;
    let tail = 0.5 * series * t * exp(-z * z);
    let positive = if x < 0.0 { tail } else { 1.0 - tail };
    x * positive
}

/// Applies GELU (the exact one, not its tanh approximation) to every number.
pub(super) fn gelu(values: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = gelu_of(*value)),
    );
}

/// Turns every row of `width` numbers into a probability distribution.
pub(super) fn softmax(rows: &mut [f32], width: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(width) {
                let highest = fold(row, f32::NEG_INFINITY, |a, b| if a > b { a } else { b });
                row.iter_mut().for_each(|value| *value = exp(*value - highest));
                let scale = 1.0 / fold(row, 0.0, |a, b| a + b);
                row.iter_mut().for_each(|value| *value *= scale);
            }
        },
    );
}

/// `rows = normalise(rows + added) * gain + shift`, row by row of `gain.len()` numbers.
pub(super) fn add_and_normalise(rows: &mut [f32], added: &[f32], gain: &[f32], shift: &[f32], epsilon: f32) {
    let width = gain.len();
    let shift = &shift[..width];
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (row, added) in rows.chunks_exact_mut(width).zip(added.chunks_exact(width)) {
                row.iter_mut().zip(added).for_each(|(value, added)| *value += added);
                let mean = fold(row, 0.0, |a, b| a + b) / width as f32;
                row.iter_mut().for_each(|value| *value -= mean);
                let scale = 1.0 / (sum_of_squares(row) / width as f32 + epsilon).sqrt();
                for ((value, gain), shift) in row.iter_mut().zip(gain).zip(shift) {
                    *value = *value * scale * gain + shift;
                }
            }
        },
    );
}

#[inline(always)]
fn fold(values: &[f32], start: f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, *value);
        }
    }
    lanes.iter().chain(rest).fold(start, |a, b| join(a, *b))
}

#[inline(always)]
fn sum_of_squares(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::{add_and_normalise, exp, gelu, softmax};

    /// Numbers without a pattern that would hide a wrong index.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * i * 37 + i * 11) % 101) as f32 / 50.0 - 1.0).collect()
    }

    #[test]
    fn exp_matches_the_standard_library() {
        for x in (-870..=200).map(|tenths| tenths as f32 / 10.0) {
            let ratio = f64::from(exp(x)) / f64::from(x).exp();
            assert!((ratio - 1.0).abs() < 1e-6, "{x}: {ratio}");
        }
    }

    #[test]
    fn gelu_has_its_known_values() {
        let mut values = [-10.0, -1.0, 0.0, 0.5, 1.0, 3.0, 10.0];
        gelu(&mut values);
        let known = [0.0, -0.158_655_25, 0.0, 0.345_731_23, 0.841_344_8, 2.995_950_3, 10.0];
        for (value, known) in values.iter().zip(known) {
            assert!((value - known).abs() < 1e-6, "{value} {known}");
        }
    }

    #[test]
    fn softmax_rows_sum_to_one_even_for_large_numbers() {
        let mut rows = numbers(3 * 19);
        rows[..19].iter_mut().for_each(|value| *value = *value * 40.0 + 1000.0);
        let before = rows.clone();
        softmax(&mut rows, 19);
        for (row, before) in rows.chunks(19).zip(before.chunks(19)) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            let (a, b) = (row[3] / row[5], (before[3] - before[5]).exp());
            assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn normalised_rows_have_the_given_mean_and_spread() {
        let mut rows = numbers(2 * 37);
        add_and_normalise(&mut rows, &numbers(2 * 37), &[3.0; 37], &[5.0; 37], 0.0);
        for row in rows.chunks(37) {
            let mean = row.iter().sum::<f32>() / 37.0;
            let variance = row.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / 37.0;
            assert!((mean - 5.0).abs() < 1e-4 && (variance - 9.0).abs() < 1e-3, "{mean} {variance}");
        }
    }
}
