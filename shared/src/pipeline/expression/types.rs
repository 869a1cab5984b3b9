//! Checks the types of an expression as far as they are known before evaluation.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use super::variables::{Kind, VARIABLES};

/// `-` between two values, which the crate names differently.
const SUBTRACT: &str = "_-_";

/// A function: name, whether it is called on a value, the number of arguments, and the type of its result.
type Function = (&'static str, bool, std::ops::RangeInclusive<usize>, Kind);

/// The functions that expressions may call; macros (`has`, `all`, `exists`, `exists_one`, `map`, `filter`) are none.
pub(super) const FUNCTIONS: &[Function] = &[
    ("size", false, 1..=1, Kind::Int),
    ("size", true, 0..=0, Kind::Int),
    ("contains", true, 1..=1, Kind::Bool),
    ("startsWith", true, 1..=1, Kind::Bool),
    ("endsWith", true, 1..=1, Kind::Bool),
    ("matches", true, 1..=1, Kind::Bool),
    ("string", false, 1..=1, Kind::Text),
    ("int", false, 1..=1, Kind::Int),
    ("double", false, 1..=1, Kind::Double),
    ("bytes", false, 1..=1, Kind::Bytes),
    ("bool", false, 1..=1, Kind::Bool),
    ("dyn", false, 1..=1, Kind::Any),
    ("timestamp", false, 1..=1, Kind::Time),
    ("duration", false, 1..=1, Kind::Duration),
    ("getFullYear", true, 0..=1, Kind::Int),
    ("getMonth", true, 0..=1, Kind::Int),
    ("getDate", true, 0..=1, Kind::Int),
    ("getDayOfMonth", true, 0..=1, Kind::Int),
    ("getDayOfWeek", true, 0..=1, Kind::Int),
    ("getDayOfYear", true, 0..=1, Kind::Int),
    ("getHours", true, 0..=1, Kind::Int),
    ("getMinutes", true, 0..=1, Kind::Int),
    ("getSeconds", true, 0..=1, Kind::Int),
];

/// The type of the result, and all mistakes.
pub(super) fn check(expression: &IdedExpr) -> (Kind, Vec<String>) {
    let mut checker = Checker { locals: Vec::new(), mistakes: Vec::new() };
    let kind = checker.kind(expression);
    checker.mistakes.dedup();
    (kind, checker.mistakes)
}

struct Checker<'a> {
    /// The variables of macros, the innermost last.
    locals: Vec<(&'a str, Kind)>,
    mistakes: Vec<String>,
}

impl<'a> Checker<'a> {
    fn mistake(&mut self, text: String) -> Kind {
        self.mistakes.push(text);
        Kind::Any
    }

    fn kind(&mut self, expression: &'a IdedExpr) -> Kind {
        match &expression.expr {
            Expr::Unspecified => Kind::Any,
            Expr::Literal(literal) => literal_kind(literal),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                for element in &list.elements {
                    self.kind(element);
                }
                Kind::List
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind(&entry.key);
                        self.kind(&entry.value);
                    }
                }
                Kind::Map
            }
            Expr::Struct(value) => self.mistake(format!("`{}` is no type here", value.type_name)),
        }
    }

    fn variable(&mut self, name: &str) -> Kind {
        if let Some((_, kind)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return *kind;
        }
        match VARIABLES.iter().find(|variable| variable.name == name) {
            Some(variable) => variable.kind,
            None => {
                let names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
                self.mistake(format!("`{name}` is no variable; variables are {}", names.join(", ")))
            }
        }
    }

    fn select(&mut self, select: &'a SelectExpr) -> Kind {
        let operand = self.kind(&select.operand);
        let kind = self.field(operand, &select.field);
        if select.test { Kind::Bool } else { kind }
    }

    fn field(&mut self, operand: Kind, name: &str) -> Kind {
        match operand {
            Kind::Fields(fields) => match fields.iter().find(|field| field.name == name) {
                Some(field) => field.kind,
                None => {
                    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
                    self.mistake(format!("`{name}` is no field; fields are {}", names.join(", ")))
                }
            },
            Kind::Map | Kind::Any => Kind::Any,
            other => self.mistake(format!("{} has no field `{name}`", other.name())),
        }
    }

    fn call(&mut self, call: &'a CallExpr) -> Kind {
        let target = call.target.as_ref().map(|target| self.kind(target));
        let args: Vec<Kind> = call.args.iter().map(|arg| self.kind(arg)).collect();
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.require_bool("?", *condition);
                if yes == no { *yes } else { Kind::Any }
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let sign = if call.func_name == operators::LOGICAL_AND { "&&" } else { "||" };
                self.require_bool(sign, *left);
                self.require_bool(sign, *right)
            }
            (operators::LOGICAL_NOT, [value]) => self.require_bool("!", *value),
            (operators::NOT_STRICTLY_FALSE, _) => Kind::Bool,
            (operators::NEGATE, [value]) => match value {
                Kind::Int | Kind::Double | Kind::Any => *value,
                other => self.mistake(format!("`-` needs a number, not {}", other.name())),
            },
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => self.compare(*left, *right, true),
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => self.compare(*left, *right, false),
            (operators::IN, [_, container]) => {
                if !matches!(container, Kind::List | Kind::Map | Kind::Fields(_) | Kind::Any) {
                    self.mistake(format!("`in` needs a list or a map, not {}", container.name()));
                }
                Kind::Bool
            }
            (operators::INDEX, [operand, _]) => match (operand, &call.args[1].expr) {
                (Kind::Fields(_), Expr::Literal(LiteralValue::String(name))) => self.field(*operand, name.inner()),
                (Kind::List | Kind::Map | Kind::Fields(_) | Kind::Any, _) => Kind::Any,
                (other, _) => self.mistake(format!("{} has no elements", other.name())),
            },
            (
                operators::ADD | SUBTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                [left, right],
            ) => self.arithmetic(&call.func_name, *left, *right),
            (name, args) => self.function(name, target, args),
        }
    }

    fn require_bool(&mut self, sign: &str, kind: Kind) -> Kind {
        if !matches!(kind, Kind::Bool | Kind::Any) {
            self.mistake(format!("`{sign}` needs true or false, not {}", kind.name()));
        }
        Kind::Bool
    }

    fn compare(&mut self, left: Kind, right: Kind, equality: bool) -> Kind {
        let ordered = |kind| equality || !matches!(kind, Kind::List | Kind::Map | Kind::Fields(_) | Kind::Null);
        if !left.compares_with(right) || !ordered(left) || !ordered(right) {
            self.mistake(format!("{} is compared with {}", left.name(), right.name()));
        }
        Kind::Bool
    }

    fn arithmetic(&mut self, operator: &str, left: Kind, right: Kind) -> Kind {
        let add = operator == operators::ADD;
        let add_or_subtract = add || operator == SUBTRACT;
        match (left, right) {
            (Kind::Int, Kind::Int) => Kind::Int,
            (Kind::Double, Kind::Double) if operator != operators::MODULO => Kind::Double,
            (Kind::Text, Kind::Text) | (Kind::Bytes, Kind::Bytes) | (Kind::List, Kind::List) if add => left,
            (Kind::Time | Kind::Duration, Kind::Duration) if add_or_subtract => left,
            (Kind::Time, Kind::Time) if operator == SUBTRACT => Kind::Duration,
            (Kind::Any, _) | (_, Kind::Any) => Kind::Any,
            (left, right) => {
                let sign = operator.trim_matches('_');
                let hint = match (left, right) {
                    (Kind::Int | Kind::Double, Kind::Int | Kind::Double) => ": convert with int() or double()",
                    _ => "",
                };
                self.mistake(format!("`{sign}` does not take {} and {}{hint}", left.name(), right.name()))
            }
        }
    }

    fn function(&mut self, name: &str, target: Option<Kind>, args: &[Kind]) -> Kind {
        let named: Vec<_> = FUNCTIONS.iter().filter(|function| function.0 == name).collect();
        if named.is_empty() {
            let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.0).collect();
            names.dedup();
            return self.mistake(format!("`{name}` is no function; functions are {}", names.join(", ")));
        }
        let fits = named.iter().find(|function| function.1 == target.is_some() && function.2.contains(&args.len()));
        match fits {
            Some(function) => function.3,
            None => self.mistake(format!("`{name}` is called with the wrong number of arguments")),
        }
    }

    fn comprehension(&mut self, all: &'a ComprehensionExpr) -> Kind {
        let range = self.kind(&all.iter_range);
        if !matches!(range, Kind::List | Kind::Map | Kind::Fields(_) | Kind::Any) {
            self.mistake(format!("a macro needs a list or a map, not {}", range.name()));
        }
        let accumulator = self.kind(&all.accu_init);
        let depth = self.locals.len();
        self.locals.push((&all.iter_var, Kind::Any));
        self.locals.extend(all.iter_var2.as_ref().map(|name| (name.as_str(), Kind::Any)));
        self.locals.push((&all.accu_var, accumulator));
        self.kind(&all.loop_cond);
        self.kind(&all.loop_step);
        let result = self.kind(&all.result);
        self.locals.truncate(depth);
        result
    }
}

fn literal_kind(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) => Kind::Double,
        LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Int,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
    }
}
