//! Translates a filter to an SQL condition over `file f` and its live `file_version v`.
//!
//! Values are bound as parameters, never part of the text. Every condition is true or false, never null, so that `not`
//! negates it.

use serde_json::json;

use super::parameters::Parameters;
use crate::domain::filter::{Comparison, Field, Filter, Operand};

/// The condition for a filter.
pub(in crate::store) fn condition(filter: &Filter, parameters: &mut Parameters) -> String {
    match filter {
        Filter::And(filters) => join(filters, " and ", "true", parameters),
        Filter::Or(filters) => join(filters, " or ", "false", parameters),
        Filter::Not(filter) => format!("(not {})", condition(filter, parameters)),
        Filter::OneOf(field, operands) => one_of(field, operands, parameters),
        Filter::Compare(field, comparison, operand) => compare(field, *comparison, operand, parameters),
    }
}

fn join(filters: &[Filter], operator: &str, if_empty: &str, parameters: &mut Parameters) -> String {
    if filters.is_empty() {
        return if_empty.to_owned();
    }
    let conditions: Vec<_> = filters.iter().map(|filter| condition(filter, parameters)).collect();
    format!("({})", conditions.join(operator))
}

fn one_of(field: &Field, operands: &[Operand], parameters: &mut Parameters) -> String {
    let mut values: Vec<_> = operands.iter().map(|operand| value(field, operand, parameters)).collect();
    let Some(last) = values.pop() else { return "false".to_owned() };
    match field {
        Field::Tags => {
            let tags = values.into_iter().chain([last]).collect::<Vec<_>>().join(", ");
            format!("(f.tags && array[{tags}]::text[])")
        }
        Field::Metadata(path) => {
            let found = metadata(path, parameters);
            // `@>`: a list contains its elements; any other value contains only itself.
            let conditions =
                values.into_iter().chain([last]).map(|value| format!("coalesce({found} @> {value}, false)"));
            format!("({})", conditions.collect::<Vec<_>>().join(" or "))
        }
        field => {
            let list = values.into_iter().chain([last]).collect::<Vec<_>>().join(", ");
            format!("coalesce({} in ({list}), false)", column(field))
        }
    }
}

fn compare(field: &Field, comparison: Comparison, operand: &Operand, parameters: &mut Parameters) -> String {
    let operator = match comparison {
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
    };
    let value = value(field, operand, parameters);
    let Field::Metadata(path) = field else {
        return format!("coalesce({} {operator} {value}, false)", column(field));
    };
    let found = metadata(path, parameters);
    // Values of different types have no order; `case` protects the cast from them.
    match operand {
        Operand::Number(_) => format!(
            "(case when jsonb_typeof({found}) = 'number' then ({found})::numeric {operator} ({value})::numeric else false end)"
        ),
        _ => format!(
            "(case when jsonb_typeof({found}) = 'string'
                 then ({found} #>> '{{}}') collate \"C\" {operator} ({value} #>> '{{}}') else false end)"
        ),
    }
}

const fn column(field: &Field) -> &'static str {
    match field {
        Field::Id => "f.id",
        // Sorted by bytes, independent of the database's collation.
        Field::Name => "f.name collate \"C\"",
        Field::MediaType => "v.media_type collate \"C\"",
        Field::Size => "v.bytes",
        Field::PageCount => "v.page_count",
        Field::CreatedAt => "f.created_at",
        Field::State => "v.state",
        Field::Failure => "v.failure_code",
        Field::Tags => "f.tags",
        Field::Metadata(_) => "f.metadata",
    }
}

fn metadata(path: &[String], parameters: &mut Parameters) -> String {
    let path = parameters.bind(path.to_vec());
    format!("(f.metadata #> {path})")
}

fn value(field: &Field, operand: &Operand, parameters: &mut Parameters) -> String {
    let is_metadata = matches!(field, Field::Metadata(_));
    match operand {
        Operand::Id(id) => parameters.bind(*id),
        Operand::Integer(number) => parameters.bind(*number),
        Operand::Time(time) => parameters.bind(*time),
        Operand::Text(text) if is_metadata => parameters.bind(json!(text)),
        Operand::Text(text) => parameters.bind(text.clone()),
        Operand::Number(number) => parameters.bind(json!(number)),
        Operand::Boolean(value) => parameters.bind(json!(value)),
    }
}
