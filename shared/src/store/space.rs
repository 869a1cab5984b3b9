//! Embedding spaces.

use sea_orm::FromQueryResult;

use super::{Db, Result, TransactionTrait, sql};
use crate::{domain::space::SpaceSpec, id::SpaceId};

/// Two processes that start at once must not both create the index.
const LOCK: i64 = 0x6e76_6973_7900_0003;

#[derive(FromQueryResult)]
struct Row {
    id: SpaceId,
}

/// The id of a space; a new space is created with its index.
///
/// # Errors
/// The database's.
pub async fn ensure(db: &Db, spec: &SpaceSpec) -> Result<SpaceId> {
    let key = || -> [sea_orm::Value; 5] {
        [
            spec.provider.clone().into(),
            spec.model.clone().into(),
            i32::from(spec.dimensions).into(),
            spec.query_prefix.clone().into(),
            spec.passage_prefix.clone().into(),
        ]
    };
    let find = "select id from embedding_space
         where (provider, model, dimensions, query_prefix, passage_prefix) = ($1, $2, $3, $4, $5)";
    if let Some(row) = sql::first::<Row>(db, find, key()).await? {
        return Ok(row.id);
    }
    let tx = db.begin().await?;
    sql::execute(&tx, "select pg_advisory_xact_lock($1)", [LOCK.into()]).await?;
    let id = if let Some(row) = sql::first::<Row>(&tx, find, key()).await? {
        row.id
    } else {
        let id = SpaceId::new();
        let values = key().into_iter().chain([id.into()]);
        sql::execute(
            &tx,
            "insert into embedding_space (provider, model, dimensions, query_prefix, passage_prefix, id)
             values ($1, $2, $3, $4, $5, $6)",
            values,
        )
        .await?;
        sql::execute(&tx, "select create_space_index($1, $2)", [id.into(), i32::from(spec.dimensions).into()]).await?;
        id
    };
    tx.commit().await?;
    Ok(id)
}
