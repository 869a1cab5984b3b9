//! An upper bound of the work that an evaluation does, in steps, from the sizes of the variables. CEL has no loops and no
//! recursion, so the bound follows from the expression alone.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Maximum number of steps; a step takes less than a microsecond.
pub(super) const MAX_STEPS: f64 = 10_000_000.0;
/// Number of bytes of a text that count as one step.
const STEP_BYTES: f64 = 32.0;

/// The steps of an evaluation and the size of its result, at most.
#[derive(Clone, Copy, Debug)]
struct Bound {
    steps: f64,
    size: f64,
}

/// The size of a text: one for it and for every [`STEP_BYTES`] of it.
pub(super) fn text_size(bytes: usize) -> f64 {
    1.0 + u32::try_from(bytes).map_or(f64::INFINITY, f64::from) / STEP_BYTES
}

/// The steps that the expression could take; `None`: more than [`MAX_STEPS`], or a number that cannot be computed.
pub(super) fn bounded(expression: &IdedExpr, size: &dyn Fn(&str) -> f64) -> Option<f64> {
    Some(steps(expression, size)).filter(|steps| *steps <= MAX_STEPS)
}

/// The number of steps at most. `size` is the size of a variable: the number of values in it, texts by their length.
fn steps(expression: &IdedExpr, size: &dyn Fn(&str) -> f64) -> f64 {
    Estimate { size, locals: Vec::new() }.of(expression).steps
}

struct Estimate<'a> {
    size: &'a dyn Fn(&str) -> f64,
    /// The sizes of the variables of macros, the innermost last.
    locals: Vec<(&'a str, f64)>,
}

impl<'a> Estimate<'a> {
    fn of(&mut self, expression: &'a IdedExpr) -> Bound {
        match &expression.expr {
            Expr::Unspecified => Bound { steps: 0.0, size: 0.0 },
            Expr::Literal(literal) => Bound { steps: 1.0, size: literal_size(literal) },
            Expr::Ident(name) => {
                let local = self.locals.iter().rev().find(|(local, _)| local == name);
                Bound { steps: 1.0, size: local.map_or_else(|| (self.size)(name), |(_, size)| *size) }
            }
            Expr::Select(select) => {
                let operand = self.of(&select.operand);
                let size = if select.test { 1.0 } else { operand.size };
                Bound { steps: operand.steps + 1.0, size }
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => self.sum(list.elements.iter()),
            Expr::Map(map) => self.sum(map.entries.iter().flat_map(|entry| parts(&entry.expr))),
            Expr::Struct(value) => self.sum(value.entries.iter().flat_map(|entry| parts(&entry.expr))),
        }
    }

    fn sum(&mut self, parts: impl Iterator<Item = &'a IdedExpr>) -> Bound {
        let start = Bound { steps: 1.0, size: 1.0 };
        parts
            .map(|part| self.of(part))
            .fold(start, |all, part| Bound { steps: all.steps + part.steps, size: all.size + part.size })
    }

    fn call(&mut self, call: &'a CallExpr) -> Bound {
        let parts: Vec<Bound> =
            call.target.iter().map(AsRef::as_ref).chain(&call.args).map(|part| self.of(part)).collect();
        let steps = parts.iter().map(|part| part.steps).sum::<f64>() + 1.0;
        let total = parts.iter().map(|part| part.size).sum::<f64>();
        let largest = parts.iter().map(|part| part.size).fold(1.0, f64::max);
        match call.func_name.as_str() {
            operators::CONDITIONAL => Bound { steps, size: largest },
            operators::ADD => Bound { steps: steps + total, size: total },
            operators::INDEX => Bound { steps, size: largest },
            "matches" => {
                Bound { steps: steps + parts.iter().map(|part| part.size.max(1.0)).product::<f64>(), size: 1.0 }
            }
            "string" | "bytes" | "dyn" => Bound { steps: steps + total, size: total },
            _ => Bound { steps: steps + total, size: 1.0 },
        }
    }

    /// A range of size `n` has `n` small elements or one of size `n`, or something between.
    fn comprehension(&mut self, all: &'a ComprehensionExpr) -> Bound {
        let range = self.of(&all.iter_range);
        let init = self.of(&all.accu_init);
        let mut extreme = |elements: f64, size: f64| {
            let growth = self.inside(all, size, 0.0).size;
            // A condition does not grow with the elements, a list does.
            let grows = self.inside(all, size, 1.0).size > growth;
            let accumulator = if grows { init.size + elements * growth } else { init.size.max(growth) };
            let inner = self.inside(all, size, accumulator);
            Bound { steps: elements * inner.steps, size: accumulator }
        };
        let (many, single) = (extreme(range.size, 1.0), extreme(1.0, range.size));
        let size = many.size.max(single.size);
        self.locals.push((&all.accu_var, size));
        let result = self.of(&all.result);
        self.locals.pop();
        let steps = range.steps + init.steps + many.steps + single.steps + result.steps;
        Bound { steps, size: result.size }
    }

    /// One step of a macro, with an element and an accumulator of these sizes.
    fn inside(&mut self, all: &'a ComprehensionExpr, element: f64, accumulator: f64) -> Bound {
        let depth = self.locals.len();
        self.locals.push((&all.iter_var, element));
        self.locals.extend(all.iter_var2.as_ref().map(|name| (name.as_str(), element)));
        self.locals.push((&all.accu_var, accumulator));
        let (condition, step) = (self.of(&all.loop_cond), self.of(&all.loop_step));
        self.locals.truncate(depth);
        Bound { steps: condition.steps + step.steps, size: step.size }
    }
}

fn parts(entry: &EntryExpr) -> impl Iterator<Item = &IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => [Some(&field.value), None],
        EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
    }
    .into_iter()
    .flatten()
}

fn literal_size(literal: &LiteralValue) -> f64 {
    match literal {
        LiteralValue::String(text) => text_size(text.inner().len()),
        LiteralValue::Bytes(bytes) => text_size(bytes.inner().len()),
        _ => 1.0,
    }
}
