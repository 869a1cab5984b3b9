//! The arithmetic of the encoder: matrix product, GELU, softmax, layer normalisation.
//!
//! One source for every processor: `pulp` compiles each routine for the vector units it knows (AVX-512, AVX2, NEON, none) and
//! picks at run time. A weight matrix is stored once, in *panels* as wide as two vectors of this processor, in the order in
//! which the inner loop reads it; the other operand is read where it lies, so a product copies nothing.

use pulp::{Arch, Simd, WithSimd};

/// Vectors side by side in a panel. With the rows of a tile this fills the registers: more spills, fewer waits for memory.
const VECTORS: usize = 2;
/// Floats in the widest vector any supported processor has, times [`VECTORS`].
const WIDEST: usize = 16 * VECTORS;
/// Lanes of the plain loops below: a sum over separate lanes may be vectorised, a running sum may not.
const LANES: usize = 16;
/// Floats in a cache line: panels start on one, since a vector that straddles two costs two loads.
const LINE: usize = 16;

/// A matrix of `inner` x `outer` numbers plus a bias per column, laid out for [`multiply`].
#[derive(Default)]
pub(super) struct Panels {
    inner: usize,
    outer: usize,
    data: Vec<f32>,
    start: usize,
    bias: Vec<f32>,
}

impl Panels {
    /// Lays out a matrix for this processor from `outer` rows of `inner` weights, which is how published models store a
    /// linear layer.
    pub(super) fn pack(inner: usize, outer: usize, weights: &[f32], bias: &[f32]) -> Self {
        let mut panels = Self::default();
        panels.refill(inner, outer, |k, column| weights[column * inner + k]);
        panels.bias[..outer].copy_from_slice(bias);
        panels
    }

    /// Replaces the matrix by `element(k, column)`, with no bias, keeping the memory.
    #[inline]
    pub(super) fn refill(&mut self, inner: usize, outer: usize, element: impl Fn(usize, usize) -> f32) {
        let width = panel_width();
        let count = outer.div_ceil(width);
        self.inner = inner;
        self.outer = outer;
        let len = count * inner * width + LINE;
        if self.data.len() < len {
            self.data = vec![0.0; len];
            self.start = self.data.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        }
        self.bias.clear();
        self.bias.resize(count * width, 0.0);
        let data = &mut self.data[self.start..];
        for (panel, data) in data.chunks_exact_mut(inner * width).take(count).enumerate() {
            let first = panel * width;
            let filled = width.min(outer - first);
            for (k, line) in data.chunks_exact_mut(width).enumerate() {
                for (column, value) in line[..filled].iter_mut().enumerate() {
                    *value = element(k, first + column);
                }
                line[filled..].fill(0.0);
            }
        }
    }
}

/// Floats in a line of a panel on this processor.
fn panel_width() -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            VECTORS * S::F32_LANES
        }
    }
    Arch::new().dispatch(Width)
}

/// Rows of numbers inside a larger buffer: row `r` is `data[r * stride..]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Where the first row begins.
    pub(super) data: &'a [f32],
    /// From one row's start to the next.
    pub(super) stride: usize,
    /// How many.
    pub(super) count: usize,
}

/// `out[r] = input[r] x panels + bias` for every row; `stride` apart in `out`. Reads `panels.inner` numbers of each row.
pub(super) fn multiply(input: Rows<'_>, panels: &Panels, out: &mut [f32], stride: usize) {
    Arch::new().dispatch(Multiply { input, panels, out, stride });
}

struct Multiply<'a> {
    input: Rows<'a>,
    panels: &'a Panels,
    out: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Twelve rows of two vectors are 24 sums; with 16 registers only six rows fit.
        let most = if S::REGISTER_COUNT >= 32 { 12 } else { 6 };
        let width = VECTORS * S::F32_LANES;
        let data = &self.panels.data[self.panels.start..];
        for (panel, data) in
            data.chunks_exact(self.panels.inner * width).take(self.panels.outer.div_ceil(width)).enumerate()
        {
            let column = panel * width;
            let panel = Panel {
                lines: S::as_simd_f32s(data).0.as_chunks::<VECTORS>().0,
                bias: S::as_simd_f32s(&self.panels.bias[column..column + width]).0.as_chunks::<VECTORS>().0[0],
                column,
                filled: width.min(self.panels.outer - column),
            };
            let mut row = 0;
            while row < self.input.count {
                let left = self.input.count - row;
                row += match left {
                    _ if left >= 12 && most == 12 => self.tile::<S, 12>(simd, &panel, row),
                    _ if left >= 6 => self.tile::<S, 6>(simd, &panel, row),
                    _ if left >= 3 => self.tile::<S, 3>(simd, &panel, row),
                    _ => self.tile::<S, 1>(simd, &panel, row),
                };
            }
        }
    }
}

struct Panel<'a, S: Simd> {
    lines: &'a [[S::f32s; VECTORS]],
    bias: [S::f32s; VECTORS],
    column: usize,
    filled: usize,
}

impl Multiply<'_> {
    /// One panel times `R` rows.
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, panel: &Panel<'_, S>, first: usize) -> usize {
        let sums = self.sums::<S, R>(simd, panel, first);
        for (r, sums) in sums.iter().enumerate() {
            let out = &mut self.out[(first + r) * self.stride + panel.column..][..panel.filled];
            if panel.filled == VECTORS * S::F32_LANES {
                S::as_mut_simd_f32s(out).0.copy_from_slice(sums);
            } else {
                let mut edge = [0.0; WIDEST];
                S::as_mut_simd_f32s(&mut edge).0[..VECTORS].copy_from_slice(sums);
                out.copy_from_slice(&edge[..panel.filled]);
            }
        }
        R
    }

    /// The inner loop. All sums stay in registers, which the compiler manages only while nothing takes a reference to them
    /// and every index is a constant once the loop over `r` is unrolled.
    #[inline(always)]
    fn sums<S: Simd, const R: usize>(&self, simd: S, panel: &Panel<'_, S>, first: usize) -> [[S::f32s; VECTORS]; R] {
        let inner = panel.lines.len();
        let mut rows = [&self.input.data[..0]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = &self.input.data[(first + r) * self.input.stride..][..inner];
        }
        let (mut left, mut right) = ([panel.bias[0]; R], [panel.bias[1]; R]);
        for (k, line) in panel.lines.iter().enumerate() {
            for r in 0..R {
                let x = simd.splat_f32s(rows[r][k]);
                left[r] = simd.mul_add_e_f32s(x, line[0], left[r]);
                right[r] = simd.mul_add_e_f32s(x, line[1], right[r]);
            }
        }
        let mut sums = [panel.bias; R];
        for r in 0..R {
            sums[r] = [left[r], right[r]];
        }
        sums
    }
}

/// `e^x` to about two units in the last place, for `x` of at most 88; in operations that vectorise.
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
