//! Samples of the queries of collections that have a second space, to compare both spaces with them.
//!
//! A sample has the last [`MAX_SAMPLES`] different queries, and goes with the second space.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, raw_sql};

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::query_sample::{Column, Entity},
    id::{CollectionId, WorkspaceId},
};

/// Characters of the longest query that is kept.
pub const MAX_QUERY_CHARS: usize = 500;

/// Queries of a sample.
pub const MAX_SAMPLES: i64 = 200;

/// Adds different queries of at most [`MAX_QUERY_CHARS`] to the sample of a collection, and deletes the oldest beyond
/// [`MAX_SAMPLES`]. Without a second space, nothing is kept.
pub async fn add(tx: &Tx, workspace: WorkspaceId, collection: CollectionId, mut queries: Vec<String>) -> Result<()> {
    // Transactions that add the same queries lock them in one order.
    queries.sort();
    // The lock keeps the space from being ended meanwhile, which deletes the sample.
    let added = raw_sql!(
        Postgres,
        "insert into query_sample (workspace_id, collection_id, query)
         select s.workspace_id, s.collection_id, added.query
         from second_space s cross join unnest({queries}::text[]) as added (query)
         where s.workspace_id = {workspace} and s.collection_id = {collection} and s.state <> 'deleting'
         for share of s
         on conflict (workspace_id, collection_id, query) do update set searched_at = now()"
    );
    sql::execute(tx, added).await?;
    let oldest = raw_sql!(
        Postgres,
        "delete from query_sample where workspace_id = {workspace} and collection_id = {collection} and query in (
             select query from query_sample where workspace_id = {workspace} and collection_id = {collection}
             order by searched_at desc, query offset {MAX_SAMPLES})"
    );
    sql::execute(tx, oldest).await?;
    Ok(())
}

/// The newest queries of a collection's sample.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collection: CollectionId,
    limit: i64,
) -> Result<Vec<String>> {
    Entity::find()
        .select_only()
        .column(Column::Query)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::CollectionId.eq(collection))
        .order_by_desc(Column::SearchedAt)
        .order_by_asc(Column::Query)
        .limit(sql::row_limit(limit))
        .into_tuple()
        .all(conn)
        .await
}

/// Deletes the sample of a collection.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, collection: CollectionId) -> Result<()> {
    Entity::delete_many()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::CollectionId.eq(collection))
        .exec(tx)
        .await?;
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::*;
    use crate::{
        store::{self, Db, TransactionTrait},
        testing::TestDeployment,
    };

    const WORKSPACE: WorkspaceId = WorkspaceId(uuid::Uuid::from_u128(1));
    const COLLECTION: CollectionId = CollectionId(uuid::Uuid::from_u128(2));

    async fn add_all(db: &Db, queries: impl Iterator<Item = String>) {
        let tx = db.begin().await.unwrap();
        add(&tx, WORKSPACE, COLLECTION, queries.collect()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn listed(db: &Db) -> Vec<String> {
        list(db, WORKSPACE, COLLECTION, 1_000).await.unwrap()
    }

    #[tokio::test]
    async fn sample_has_the_last_queries_and_goes_with_the_second_space() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let (workspace, collection) = (WORKSPACE.0, COLLECTION.0);
        db.execute_unprepared(&format!(
            "insert into workspace (id, name) values ('{workspace}', 'Tides');
             insert into embedding_space (id, provider, model, dimensions, query_prefix, passage_prefix)
                 values ('{workspace}', 'test', 'x', 3, '', '');
             insert into collection (workspace_id, id, name) values ('{workspace}', '{collection}', 'reports')"
        ))
        .await
        .unwrap();
        add_all(&db, ["tide".to_owned()].into_iter()).await;
        assert_eq!(listed(&db).await, [""; 0], "there is no second space");

        db.execute_unprepared(&format!(
            "insert into second_space (workspace_id, collection_id, space_id)
                 values ('{workspace}', '{collection}', '{workspace}')"
        ))
        .await
        .unwrap();
        add_all(&db, (0..MAX_SAMPLES).map(|n| format!("first {n}"))).await;
        add_all(&db, (0..50).map(|n| format!("later {n}"))).await;
        add_all(&db, ["first 7".to_owned()].into_iter()).await;
        let kept = listed(&db).await;
        assert_eq!((kept.len() as i64, kept[0].as_str()), (MAX_SAMPLES, "first 7"));
        assert_eq!(kept.iter().filter(|query| query.starts_with("later")).count(), 50);

        let tx = db.begin().await.unwrap();
        assert!(store::second_space::end(&tx, WORKSPACE, COLLECTION).await.unwrap());
        tx.commit().await.unwrap();
        add_all(&db, ["tide".to_owned()].into_iter()).await;
        assert_eq!(listed(&db).await, [""; 0], "it is being deleted");
        db.close().await.unwrap();
        deployment.close().await;
    }
}
