//! The matrix product, which takes nine tenths of the encoder's time.
//!
//! `pulp` compiles the code for several vector units (AVX-512, AVX2, NEON, none) and selects one at run time. A weight matrix is
//! stored once, in *panels* as wide as two vectors of this processor, in the order in which the inner loop reads it; the other
//! operand is read in place, so a product copies nothing.

use pulp::{Arch, Simd, WithSimd};

/// Vectors side by side in a panel. With the rows of a tile they fill the registers: more would spill, fewer would wait for memory.
const VECTORS_PER_PANEL: usize = 2;
/// Floats in the widest vector of any supported processor, times [`VECTORS_PER_PANEL`].
const MAX_PANEL_FLOATS: usize = 16 * VECTORS_PER_PANEL;
/// Floats in a cache line: panels start on one, since a vector that straddles two costs two loads.
const CACHE_LINE_FLOATS: usize = 16;

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
        let len = count * inner * width + CACHE_LINE_FLOATS;
        if self.data.len() < len {
            self.data = vec![0.0; len];
            self.start = self.data.as_ptr().align_offset(CACHE_LINE_FLOATS * size_of::<f32>()).min(CACHE_LINE_FLOATS);
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
            VECTORS_PER_PANEL * S::F32_LANES
        }
    }
    Arch::new().dispatch(Width)
}

/// RowView of numbers inside a larger buffer: row `r` is `data[r * stride..]`.
#[derive(Clone, Copy)]
pub(super) struct RowView<'a> {
    /// The buffer from the start of the first row.
    pub(super) data: &'a [f32],
    /// Distance between the starts of two rows.
    pub(super) stride: usize,
    /// Number of rows.
    pub(super) count: usize,
}

/// `out[r] = input[r] x panels + bias` for every row; `stride` apart in `out`. Reads `panels.inner` numbers of each row.
pub(super) fn multiply(input: RowView<'_>, panels: &Panels, out: &mut [f32], stride: usize) {
    Arch::new().dispatch(Multiply { input, panels, out, stride });
}

struct Multiply<'a> {
    input: RowView<'a>,
    panels: &'a Panels,
    out: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = VECTORS_PER_PANEL * S::F32_LANES;
        let data = &self.panels.data[self.panels.start..];
        for (panel, data) in
            data.chunks_exact(self.panels.inner * width).take(self.panels.outer.div_ceil(width)).enumerate()
        {
            let column = panel * width;
            let panel = Panel {
                lines: S::as_simd_f32s(data).0.as_chunks::<VECTORS_PER_PANEL>().0,
                bias: S::as_simd_f32s(&self.panels.bias[column..column + width]).0.as_chunks::<VECTORS_PER_PANEL>().0
                    [0],
                column,
                filled: width.min(self.panels.outer - column),
            };
            let mut row = 0;
            while row < self.input.count {
                // Twelve rows of two vectors are 24 sums; with 16 registers only six rows fit.
                row += match self.input.count - row {
                    12.. if S::REGISTER_COUNT >= 32 => self.tile::<S, 6, 6>(simd, &panel, row),
                    6.. => self.tile::<S, 3, 3>(simd, &panel, row),
                    _ => self.tile::<S, 1, 0>(simd, &panel, row),
                };
            }
        }
    }
}

struct Panel<'a, S: Simd> {
    lines: &'a [[S::f32s; VECTORS_PER_PANEL]],
    bias: [S::f32s; VECTORS_PER_PANEL],
    column: usize,
    filled: usize,
}

impl Multiply<'_> {
    /// One panel times `A + B` rows, with all sums in registers. This requires fully unrolled loops: the compiler unrolls two short
    /// ones at any level of optimisation, a long one only at the highest.
    #[inline(always)]
    fn tile<S: Simd, const A: usize, const B: usize>(&mut self, simd: S, panel: &Panel<'_, S>, row: usize) -> usize {
        let (upper, lower) = (self.rows::<S, A>(panel, row), self.rows::<S, B>(panel, row + A));
        let (mut above, mut below) = (Sums::<S, A>::new(panel), Sums::<S, B>::new(panel));
        for (k, line) in panel.lines.iter().enumerate() {
            above.add(simd, &upper, k, line);
            below.add(simd, &lower, k, line);
        }
        self.store(panel, row, above.finish());
        self.store(panel, row + A, below.finish());
        A + B
    }

    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&self, panel: &Panel<'_, S>, first: usize) -> [&[f32]; R] {
        let mut rows = [&self.input.data[..0]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = &self.input.data[(first + r) * self.input.stride..][..panel.lines.len()];
        }
        rows
    }

    #[inline(always)]
    fn store<S: Simd, const R: usize>(
        &mut self,
        panel: &Panel<'_, S>,
        first: usize,
        sums: [[S::f32s; VECTORS_PER_PANEL]; R],
    ) {
        for (r, sums) in sums.iter().enumerate() {
            let out = &mut self.out[(first + r) * self.stride + panel.column..][..panel.filled];
            if panel.filled == VECTORS_PER_PANEL * S::F32_LANES {
                S::as_mut_simd_f32s(out).0.copy_from_slice(sums);
            } else {
                let mut edge = [0.0; MAX_PANEL_FLOATS];
                S::as_mut_simd_f32s(&mut edge).0[..VECTORS_PER_PANEL].copy_from_slice(sums);
                out.copy_from_slice(&edge[..panel.filled]);
            }
        }
    }
}

/// The running sums of `R` rows. The two vectors of a row are separate, so that every access has a constant index.
struct Sums<S: Simd, const R: usize> {
    left: [S::f32s; R],
    right: [S::f32s; R],
}

impl<S: Simd, const R: usize> Sums<S, R> {
    #[inline(always)]
    fn new(panel: &Panel<'_, S>) -> Self {
        Self { left: [panel.bias[0]; R], right: [panel.bias[1]; R] }
    }

    #[inline(always)]
    #[allow(
        clippy::needless_range_loop,
        reason = "an iterator over one of three arrays hides that all lengths are constant"
    )]
    fn add(&mut self, simd: S, rows: &[&[f32]; R], k: usize, line: &[S::f32s; VECTORS_PER_PANEL]) {
        for r in 0..R {
            let x = simd.splat_f32s(rows[r][k]);
            self.left[r] = simd.mul_add_e_f32s(x, line[0], self.left[r]);
            self.right[r] = simd.mul_add_e_f32s(x, line[1], self.right[r]);
        }
    }

    /// A copy for taking references: a variable whose address is taken does not stay in registers.
    #[inline(always)]
    fn finish(&self) -> [[S::f32s; VECTORS_PER_PANEL]; R] {
        std::array::from_fn(
            #[inline(always)]
            |r| [self.left[r], self.right[r]],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Panels, RowView, multiply};

    /// Numbers without a pattern that would hide a wrong index.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * i * 37 + i * 11) % 101) as f32 / 50.0 - 1.0).collect()
    }

    #[test]
    fn products_of_any_shape_match_the_definition() {
        for (rows, inner, outer) in [(1, 1, 1), (2, 3, 33), (5, 8, 32), (11, 17, 70), (12, 32, 64), (31, 40, 7)] {
            let (stride, out_stride) = (inner + 3, outer + 2);
            let (input, weights, bias) = (numbers(rows * stride), numbers(outer * inner), numbers(outer));
            let mut out = vec![f32::NAN; rows * out_stride];
            let panels = Panels::pack(inner, outer, &weights, &bias);
            multiply(RowView { data: &input, stride, count: rows }, &panels, &mut out, out_stride);
            for row in 0..rows {
                for column in 0..outer {
                    let products = (0..inner).map(|k| input[row * stride + k] * weights[column * inner + k]);
                    let expected = products.sum::<f32>() + bias[column];
                    let found = out[row * out_stride + column];
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{rows}x{inner}x{outer} at {row},{column}: {found} {expected}"
                    );
                }
                assert!(out[row * out_stride + outer..(row + 1) * out_stride].iter().all(|gap| gap.is_nan()));
            }
        }
    }
}
