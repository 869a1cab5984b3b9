//! Names of tables and columns in statements.

use nvisy_shared::domain::connection::relational::Dialect;

/// A table, with its schema if it is not the default one.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) schema: Option<&'a str>,
    pub(super) name: &'a str,
}

impl<'a> Table<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        match name.split_once('.') {
            Some((schema, name)) => Self { schema: Some(schema), name },
            None => Self { schema: None, name },
        }
    }

    /// The name as statements have it.
    pub(super) fn quoted(self, dialect: Dialect) -> String {
        let name = quoted(dialect, self.name);
        self.schema.map_or_else(|| name.clone(), |schema| format!("{}.{name}", quoted(dialect, schema)))
    }
}

/// A name as statements have it, whatever its characters are.
pub(super) fn quoted(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::PostgreSql => format!("\"{}\"", name.replace('"', "\"\"")),
        Dialect::MySql => format!("`{}`", name.replace('`', "``")),
    }
}

/// Names as statements have them, separated by commas.
pub(super) fn list<'a>(dialect: Dialect, names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| quoted(dialect, name)).collect::<Vec<_>>().join(", ")
}

/// A column of a table.
pub(super) struct Column {
    pub(super) name: String,
    /// The type, as the database writes it.
    pub(super) kind: String,
    /// Whether its values differ.
    pub(super) is_unique: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_so_that_they_stay_names() {
        let table = Table::of("s.a\"; drop table b; --");
        assert_eq!(table.quoted(Dialect::PostgreSql), "\"s\".\"a\"\"; drop table b; --\"");
        assert_eq!(Table::of("a`b").quoted(Dialect::MySql), "`a``b`");
    }
}
