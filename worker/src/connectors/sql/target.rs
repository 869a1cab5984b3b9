//! Writing rows into a table: over those with the same id, whose column must be unique.

use std::collections::HashSet;

use nvisy_shared::domain::connection::{CheckStep, relational::Dialect};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    super::{
        CallFailure,
        target::{Place, Row, Target, is_mismatch, mismatch, step},
    },
    database::{Database, Inner, Session},
    mysql, postgres,
    table::{Column, Table, quoted},
};

/// A table of a database, with the connection that the calls of one job share.
pub(super) struct SqlTarget {
    database: Database,
    session: Mutex<Option<Session>>,
}

impl SqlTarget {
    pub(super) fn new(database: Database) -> Self {
        Self { database, session: Mutex::new(None) }
    }

    /// Does something with the open connection, which is not used again after a failure.
    async fn with<T>(&self, work: impl AsyncFnOnce(&mut Inner) -> Result<T, sqlx::Error>) -> Result<T, CallFailure> {
        let mut held = self.session.lock().await;
        let mut session = match held.take() {
            Some(session) => session,
            None => self.database.connect().await?,
        };
        let done = self.database.within(work(&mut session.inner)).await?;
        *held = Some(session);
        Ok(done)
    }

    async fn columns(&self, place: &Place) -> Result<Vec<Column>, CallFailure> {
        let table = Table::of(&place.into);
        self.with(async |session| match session {
            Inner::Postgres(connection) => postgres::columns(connection, table).await,
            Inner::MySql(connection) => mysql::columns(connection, table).await,
        })
        .await
    }
}

/// The columns of rows, the id first. A column that a row does not have gets null: the row before may have had a value.
fn names<'a>(place: &'a Place, rows: impl IntoIterator<Item = &'a Row>) -> Vec<&'a str> {
    let mut names = vec![place.id_field.as_str()];
    names.extend(place.vector_field.as_deref());
    let mut known: HashSet<&str> = names.iter().copied().collect();
    let fields = rows.into_iter().flat_map(|row| row.fields.keys()).map(String::as_str);
    names.extend(fields.filter(|name| known.insert(name)));
    names
}

/// The dimension in the type of a column, such as `vector(384)`.
fn dimension(kind: &str) -> Option<usize> {
    let (name, rest) = kind.split_once('(')?;
    let of_vector = ["vector", "halfvec"].iter().any(|vector| name.rsplit('.').next() == Some(*vector));
    of_vector.then(|| rest.trim_end_matches(')').parse().ok()).flatten()
}

impl Target for SqlTarget {
    async fn check(&self) -> Vec<CheckStep> {
        let connected = match self.database.connect().await {
            Ok(session) => {
                session.close().await;
                Ok(format!("the database `{}` accepts the user", self.database.settings.database))
            }
            Err(failure) => Err(failure.to_string()),
        };
        vec![step("login", connected)]
    }

    fn needs_vectors(&self) -> bool {
        false
    }

    async fn prepare(&self, place: &Place, like: &Row) -> Result<(), CallFailure> {
        let columns = self.columns(place).await?;
        if columns.is_empty() {
            return Err(mismatch(format!("there is no table `{}`, or the user may not see it", place.into)));
        }
        for name in names(place, [like]) {
            let Some(column) = columns.iter().find(|column| column.name == name) else {
                return Err(mismatch(format!("the table `{}` has no column `{name}`", place.into)));
            };
            if name == place.id_field && !column.is_unique {
                return Err(mismatch(format!("the column `{name}` of the table `{}` is not unique", place.into)));
            }
            if Some(name) == place.vector_field.as_deref()
                && let (Some(expected), Some(vector)) = (dimension(&column.kind), &like.vector)
                && vector.len() != expected
            {
                let found = vector.len();
                return Err(mismatch(format!(
                    "`{name}` has vectors of {expected} dimensions, and those of the pipeline have {found}"
                )));
            }
        }
        Ok(())
    }

    async fn write(&self, place: &Place, rows: &[Row]) -> Result<(), CallFailure> {
        let columns = names(place, rows);
        self.with(async |session| match session {
            Inner::Postgres(connection) => postgres::write(connection, place, &columns, rows).await,
            Inner::MySql(connection) => mysql::write(connection, place, &columns, rows).await,
        })
        .await
    }

    async fn delete(&self, place: &Place, ids: &[Uuid]) -> Result<(), CallFailure> {
        let deleted = self.with(async |session| match session {
            Inner::Postgres(connection) => postgres::delete(connection, place, ids).await,
            Inner::MySql(connection) => mysql::delete(connection, place, ids).await,
        });
        match deleted.await {
            // The table is gone, with everything in it.
            Err(failure) if is_mismatch(&failure) => Ok(()),
            deleted => deleted,
        }
    }

    async fn try_writing(&self, place: Option<&Place>) -> Result<bool, CallFailure> {
        let statements = without_effect(self.database.dialect, place);
        self.with(async |session| match session {
            Inner::Postgres(connection) => postgres::execute(connection, &statements).await,
            Inner::MySql(connection) => mysql::execute(connection, &statements).await,
        })
        .await?;
        Ok(true)
    }
}

/// Statements that need the rights of a sink, and change nothing: they are of no row, or of a table that ends with the connection.
fn without_effect(dialect: Dialect, place: Option<&Place>) -> Vec<String> {
    let statements = match place {
        Some(place) => {
            let (table, id) = (Table::of(&place.into).quoted(dialect), quoted(dialect, &place.id_field));
            vec![
                match dialect {
                    Dialect::PostgreSql => format!("insert into {table} ({id}) select {id} from {table} where 1 = 0"),
                    // Without a value for each column that needs one the server rejects even no rows.
                    Dialect::MySql => format!("insert into {table} select * from {table} where 1 = 0"),
                },
                format!("update {table} set {id} = {id} where 1 = 0"),
                format!("delete from {table} where 1 = 0"),
            ]
        }
        None => vec![
            "create temporary table nvisy_check (id integer)".to_owned(),
            "insert into nvisy_check values (1)".to_owned(),
        ],
    };
    ["begin".to_owned()].into_iter().chain(statements).chain(["rollback".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimension_is_read_from_the_type() {
        assert_eq!(dimension("vector(384)"), Some(384));
        assert_eq!(dimension("public.halfvec(3)"), Some(3));
        assert_eq!(dimension("vector"), None);
        assert_eq!(dimension("character varying(3)"), None);
    }
}
