//! Parses a filter from JSON. The size is limited, because a filter becomes part of an SQL statement.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::{Comparison, Field, Filter, FilterError, FilterErrorKind, MAX_INTEGER, Operand};
use crate::domain::{failure::FailureCode, file::FileState};

/// Maximum nesting of `and`, `or` and `not`.
const MAX_DEPTH: usize = 8;
/// Maximum number of conditions.
const MAX_CONDITIONS: usize = 200;
/// Maximum number of conditions in one list.
const MAX_LIST: usize = 100;
/// Maximum number of values of an `in` or `nin`.
const MAX_VALUES: usize = 200;
/// Maximum length of a text.
const MAX_TEXT_CHARS: usize = 1_000;

pub(super) fn filter(value: &Value) -> Result<Filter, FilterError> {
    Parser { conditions: 0 }.filter(value, "", 0)
}

struct Parser {
    conditions: usize,
}

impl Parser {
    fn filter(&mut self, value: &Value, path: &str, depth: usize) -> Result<Filter, FilterError> {
        let object = value.as_object().ok_or_else(|| fail(path, FORM))?;
        self.conditions += 1;
        if depth > MAX_DEPTH {
            return Err(fail(path, FilterErrorKind::TooLarge("is nested deeper than 8 levels")));
        }
        if self.conditions > MAX_CONDITIONS {
            return Err(fail(path, FilterErrorKind::TooLarge("has more than 200 conditions")));
        }
        if object.contains_key("field") || object.contains_key("op") {
            return condition(object, path);
        }
        let mut entries = object.iter();
        let (Some((key, inner)), None) = (entries.next(), entries.next()) else {
            return Err(fail(path, FORM));
        };
        let inner_path = join(path, key);
        match key.as_str() {
            "and" => Ok(Filter::And(self.list(inner, &inner_path, depth)?)),
            "or" => Ok(Filter::Or(self.list(inner, &inner_path, depth)?)),
            "not" => Ok(Filter::Not(Box::new(self.filter(inner, &inner_path, depth + 1)?))),
            _ => Err(fail(&inner_path, FilterErrorKind::UnknownOperator)),
        }
    }

    fn list(&mut self, value: &Value, path: &str, depth: usize) -> Result<Vec<Filter>, FilterError> {
        let items =
            value.as_array().ok_or_else(|| fail(path, FilterErrorKind::Form("must be a list of conditions")))?;
        if items.len() > MAX_LIST {
            return Err(fail(path, FilterErrorKind::TooLarge("has more than 100 conditions in a list")));
        }
        let items = items.iter().enumerate();
        items.map(|(index, item)| self.filter(item, &format!("{path}[{index}]"), depth + 1)).collect()
    }
}

const FORM: FilterErrorKind = FilterErrorKind::Form(
    "must be {\"field\", \"op\", \"value\"}, or one of {\"and\": [..]}, {\"or\": [..]}, {\"not\": {..}}",
);

fn condition(object: &Map<String, Value>, path: &str) -> Result<Filter, FilterError> {
    let (Some(Value::String(name)), Some(Value::String(operator)), Some(value), 3) =
        (object.get("field"), object.get("op"), object.get("value"), object.len())
    else {
        return Err(fail(path, FORM));
    };
    let field = field(name).ok_or_else(|| fail(&join(path, "field"), FilterErrorKind::UnknownField))?;
    let value_path = join(path, "value");
    let single = || operand(&field, value, &value_path);
    let filter = match operator.as_str() {
        "eq" => Filter::OneOf(field.clone(), vec![single()?]),
        "ne" => Filter::Not(Box::new(Filter::OneOf(field.clone(), vec![single()?]))),
        "in" => Filter::OneOf(field.clone(), operands(&field, value, &value_path)?),
        "nin" => Filter::Not(Box::new(Filter::OneOf(field.clone(), operands(&field, value, &value_path)?))),
        operator => match comparison(operator).filter(|_| has_order(&field)) {
            Some(comparison) => Filter::Compare(field.clone(), comparison, single()?),
            None => return Err(fail(&join(path, "op"), FilterErrorKind::UnknownOperator)),
        },
    };
    if let Filter::Compare(_, _, Operand::Boolean(_)) = filter {
        return Err(fail(&join(path, "op"), FilterErrorKind::UnknownOperator));
    }
    Ok(filter)
}

const fn has_order(field: &Field) -> bool {
    !matches!(field, Field::Id | Field::State | Field::Failure | Field::Tags)
}

fn field(name: &str) -> Option<Field> {
    Some(match name {
        "id" => Field::Id,
        "name" => Field::Name,
        "mediaType" => Field::MediaType,
        "size" => Field::Size,
        "pageCount" => Field::PageCount,
        "createdAt" => Field::CreatedAt,
        "state" => Field::State,
        "failure" => Field::Failure,
        "tags" => Field::Tags,
        _ => {
            let keys: Vec<_> = name.strip_prefix("metadata.")?.split('.').map(str::to_owned).collect();
            let valid =
                name.chars().count() <= MAX_TEXT_CHARS && keys.iter().all(|key| !key.is_empty() && !key.contains('\0'));
            return valid.then_some(Field::Metadata(keys));
        }
    })
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "gt" => Comparison::Greater,
        "gte" => Comparison::GreaterOrEqual,
        "lt" => Comparison::Less,
        "lte" => Comparison::LessOrEqual,
        _ => return None,
    })
}

fn operands(field: &Field, value: &Value, path: &str) -> Result<Vec<Operand>, FilterError> {
    let items = value.as_array().ok_or_else(|| fail(path, FilterErrorKind::Value("must be a list")))?;
    if items.len() > MAX_VALUES {
        return Err(fail(path, FilterErrorKind::TooLarge("has more than 200 values")));
    }
    items.iter().enumerate().map(|(index, item)| operand(field, item, &format!("{path}[{index}]"))).collect()
}

fn operand(field: &Field, value: &Value, path: &str) -> Result<Operand, FilterError> {
    let (operand, expected) = match field {
        Field::Id => (value.as_str().and_then(|id| id.parse().ok()).map(Operand::Id), "must be a UUID"),
        Field::Name | Field::MediaType | Field::Tags => (text(value), "must be a text of at most 1000 characters"),
        Field::State => {
            let known = |state: &&str| FileState::ALL.iter().any(|known| known.name() == *state);
            (value.as_str().filter(known).map(identifier), "must be queued, processing, ready or failed")
        }
        Field::Failure => {
            let known = |code: &&str| FailureCode::all().any(|known| known.as_str() == *code);
            (value.as_str().filter(known).map(identifier), "must be the code of a failure")
        }
        Field::Size | Field::PageCount => {
            let integer = value.as_i64().filter(|number| (-MAX_INTEGER..=MAX_INTEGER).contains(number));
            (integer.map(Operand::Integer), "must be an integer of at most 2^53 - 1")
        }
        Field::CreatedAt => {
            let time = value.as_str().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
            (time.map(|time| Operand::Time(time.into())), "must be an RFC 3339 time")
        }
        Field::Metadata(_) => {
            let operand = match value {
                Value::Number(number) => Some(Operand::Number(number.clone())),
                Value::Bool(value) => Some(Operand::Boolean(*value)),
                value => text(value),
            };
            (operand, "must be a number, a boolean, or a text of at most 1000 characters")
        }
    };
    operand.ok_or_else(|| fail(path, FilterErrorKind::Value(expected)))
}

fn identifier(name: &str) -> Operand {
    Operand::Text(name.to_owned())
}

/// PostgreSQL text cannot contain NUL.
fn text(value: &Value) -> Option<Operand> {
    value
        .as_str()
        .filter(|text| text.chars().count() <= MAX_TEXT_CHARS && !text.contains('\0'))
        .map(|text| Operand::Text(text.to_owned()))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn fail(path: &str, kind: FilterErrorKind) -> FilterError {
    FilterError { path: path.to_owned(), kind }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    /// An arbitrary JSON value.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            "(and|or|not|field|op|value|eq|in|gt|name|tags|size|metadata\\.a)".prop_map(Value::from),
        ];
        leaf.prop_recursive(12, 64, 6, |inner| {
            let key = "(and|or|not|field|op|value|[a-z]{0,3})";
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Value::from),
                vec((key, inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// A valid filter, as JSON.
    fn valid_filter() -> impl Strategy<Value = Value> {
        let condition = prop_oneof![
            ("(name|mediaType|tags|metadata\\.[a-z]{1,5})", "(eq|ne)", "[^\0]{0,20}")
                .prop_map(|(field, op, value)| one(&field, &op, json!(value))),
            ("(size|pageCount)", "(eq|ne|gt|gte|lt|lte)", -MAX_INTEGER..=MAX_INTEGER)
                .prop_map(|(field, op, value)| one(&field, &op, json!(value))),
            ("(eq|ne)", "(queued|processing|ready|failed)").prop_map(|(op, state)| one("state", &op, json!(state))),
            (any::<u128>(), "(in|nin)").prop_map(|(id, op)| one("id", &op, json!([uuid::Uuid::from_u128(id)]))),
            ("(createdAt|metadata\\.x)", "(gt|lte)").prop_map(|(field, op)| one(
                &field,
                &op,
                json!("2026-01-01T00:00:00Z")
            )),
        ];
        condition.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(|all| json!({ "and": all })),
                vec(inner.clone(), 0..4).prop_map(|all| json!({ "or": all })),
                inner.prop_map(|one| json!({ "not": one })),
            ]
        })
    }

    /// The part of a value at a path such as `and[1].value`.
    fn follow<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
        let steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        steps.into_iter().try_fold(value, |value, step| match step.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?),
            None => value.get(step),
        })
    }

    proptest! {
        #[test]
        fn arbitrary_json_never_panics(value in any_json()) {
            let _ = filter(&value);
        }

        #[test]
        fn valid_filter_is_parsed(value in valid_filter()) {
            prop_assert!(filter(&value).is_ok(), "{:?}", filter(&value));
        }

        #[test]
        fn double_negation_keeps_the_inner_filter(value in valid_filter()) {
            let twice = filter(&json!({ "not": { "not": value } }));
            let Ok(Filter::Not(outer)) = twice else { return Err(TestCaseError::fail("not a `not`")) };
            prop_assert_eq!(*outer, Filter::Not(Box::new(filter(&value).unwrap())));
        }

        /// The path of an error always exists in the input.
        #[test]
        fn error_path_exists_in_the_input(value in valid_filter(), invalid in any_json()) {
            let value = json!({ "and": [value, { "or": [invalid] }] });
            if let Err(error) = filter(&value) {
                prop_assert!(error.path.starts_with("and[1]"), "{}", error);
                if !error.path.contains(|c: char| !c.is_ascii_alphanumeric() && !".[]".contains(c)) {
                    prop_assert!(follow(&value, &error.path).is_some(), "{}", error);
                }
            }
        }
    }

    fn one(field: &str, op: &str, value: Value) -> Value {
        json!({ "field": field, "op": op, "value": value })
    }

    #[test]
    fn nested_conditions_are_parsed() {
        let parsed = filter(&json!({ "and": [
            one("tags", "in", json!(["a", "b"])),
            { "not": one("metadata.a.b", "eq", json!(1.5)) },
            { "or": [one("size", "gt", json!(7)), one("name", "ne", json!("x"))] },
        ] }));
        let text = |text: &str| Operand::Text(text.to_owned());
        let expected = Filter::And(vec![
            Filter::OneOf(Field::Tags, vec![text("a"), text("b")]),
            Filter::Not(Box::new(Filter::OneOf(
                Field::Metadata(vec!["a".to_owned(), "b".to_owned()]),
                vec![Operand::Number(serde_json::Number::from_f64(1.5).unwrap())],
            ))),
            Filter::Or(vec![
                Filter::Compare(Field::Size, Comparison::Greater, Operand::Integer(7)),
                Filter::Not(Box::new(Filter::OneOf(Field::Name, vec![text("x")]))),
            ]),
        ]);
        assert_eq!(parsed, Ok(expected));
    }

    #[test]
    fn error_names_path_and_kind() {
        let error_of = |value: Value| filter(&value).map_err(|error| (error.path, error.kind));
        let cases = [
            (one("colour", "eq", json!("red")), "field", FilterErrorKind::UnknownField),
            (one("metadata.", "eq", json!("red")), "field", FilterErrorKind::UnknownField),
            (one("name", "like", json!("x")), "op", FilterErrorKind::UnknownOperator),
            (one("tags", "gt", json!("x")), "op", FilterErrorKind::UnknownOperator),
            (one("state", "gt", json!("ready")), "op", FilterErrorKind::UnknownOperator),
            (
                one("state", "eq", json!("lost")),
                "value",
                FilterErrorKind::Value("must be queued, processing, ready or failed"),
            ),
            (
                one("failure", "in", json!(["tired"])),
                "value[0]",
                FilterErrorKind::Value("must be the code of a failure"),
            ),
            (one("metadata.a", "lt", json!(true)), "op", FilterErrorKind::UnknownOperator),
            (json!({ "xor": [] }), "xor", FilterErrorKind::UnknownOperator),
            (one("size", "eq", json!(1.5)), "value", FilterErrorKind::Value("must be an integer of at most 2^53 - 1")),
            (one("id", "in", json!(["x"])), "value[0]", FilterErrorKind::Value("must be a UUID")),
            (one("name", "in", json!("x")), "value", FilterErrorKind::Value("must be a list")),
            (one("createdAt", "gt", json!("today")), "value", FilterErrorKind::Value("must be an RFC 3339 time")),
            (json!([]), "", FORM),
            (json!({}), "", FORM),
            (json!({ "field": "name", "op": "eq" }), "", FORM),
            (json!({ "and": [], "or": [] }), "", FORM),
        ];
        for (value, path, expected) in cases {
            assert_eq!(error_of(value.clone()), Err((path.to_owned(), expected)), "{value}");
        }
        let (path, _) = error_of(json!({ "and": [{ "not": one("size", "eq", json!("x")) }] })).unwrap_err();
        assert_eq!(path, "and[0].not.value");
        let nul = one("name", "eq", json!("a\0"));
        assert_eq!(filter(&nul).unwrap_err().path, "value");
    }

    #[test]
    fn depth_conditions_and_lists_are_limited() {
        let mut deep = one("size", "eq", json!(1));
        for _ in 0..=MAX_DEPTH {
            deep = json!({ "not": deep });
        }
        let too_large = |value: &Value| matches!(filter(value).unwrap_err().kind, FilterErrorKind::TooLarge(_));
        assert!(too_large(&deep));
        assert!(filter(&deep["not"]).is_ok());
        let list = |length| json!({ "or": vec![one("size", "eq", json!(1)); length] });
        assert!(filter(&list(MAX_LIST)).is_ok());
        assert!(too_large(&list(MAX_LIST + 1)));
        assert!(too_large(&json!({ "and": [list(MAX_LIST), list(MAX_LIST)] })));
        assert!(too_large(&one("size", "in", json!(vec![1; MAX_VALUES + 1]))));
    }
}
