//! The HNSW indexes of embedding spaces.
//!
//! PostgreSQL returns no page of an index: after large deletions, a walk passes through the remains of many vectors, and reads pages that
//! hold few others.

use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Db, Result, sql};
use crate::{domain::space::Quantisation, id::SpaceId};

/// Bytes of a page that entries can use: 8 KiB without its head and the data of pgvector.
const PAGE_BYTES: i64 = 8_160;
/// An entry's list of neighbours with 16 links, on average over the levels, with its line pointer.
const NEIGHBOURS_BYTES: i64 = 210;

/// The size of an index.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct IndexSize {
    /// The space.
    pub id: SpaceId,
    /// Length of a vector.
    pub dimensions: i32,
    /// What the index keeps of a vector.
    pub quantisation: Quantisation,
    /// The size of the index.
    pub bytes: i64,
    /// The vectors of the space.
    pub vectors: i64,
}

impl IndexSize {
    /// Whether more than half of the index is of deleted vectors.
    #[must_use]
    pub fn is_mostly_dead(&self) -> bool {
        self.bytes > 2 * built_bytes(self.quantisation, self.dimensions, self.vectors)
    }
}

/// The size of a new index of so many vectors.
fn built_bytes(quantisation: Quantisation, dimensions: i32, vectors: i64) -> i64 {
    let of_vector = match quantisation {
        Quantisation::Half => 2 * i64::from(dimensions),
        // Vectors of equal signs share an entry, which makes the index smaller.
        Quantisation::Binary => (i64::from(dimensions) + 7) / 8,
    };
    // The entry with its vector, aligned to eight bytes, and its line pointer.
    let entry = (80 + of_vector + 7) / 8 * 8 + 4;
    let together = entry + NEIGHBOURS_BYTES;
    // pgvector puts the neighbours on the entry's page, or where that is too small, on the next one.
    let pages = if together <= PAGE_BYTES { vectors / (PAGE_BYTES / together) } else { 2 * vectors };
    8_192 * (pages + 2)
}

/// The indexes of at least so many bytes, with the number of vectors that are live or kept for searches of the past.
pub async fn list(conn: &impl Conn, min_bytes: i64) -> Result<Vec<IndexSize>> {
    let indexes = raw_sql!(
        Postgres,
        "select space.id, space.dimensions, space.quantisation, pg_relation_size(index.oid) as bytes, (
             select coalesce(sum(usage.vectors + (
                 select coalesce(sum(t.vector_count), 0) from target t
                 where t.workspace_id = usage.workspace_id and t.collection_id = usage.collection_id
                     and t.superseded_at is not null)), 0)
             from (
                 select workspace_id, id, space_id from collection
                 union all select workspace_id, collection_id, space_id from second_space) collection
             join collection_usage usage
                 on usage.workspace_id = collection.workspace_id and usage.collection_id = collection.id
             where collection.space_id = space.id)::bigint as vectors
         from embedding_space space
         join pg_class index on index.oid = to_regclass('embedding_hnsw_' || replace(space.id::text, '-', ''))
         where pg_relation_size(index.oid) >= {min_bytes} order by space.id"
    );
    sql::all(conn, indexes).await
}

/// The number of all vectors of a space, also those that are not live. Reads them.
pub async fn count_vectors(conn: &impl Conn, space: SpaceId) -> Result<i64> {
    let count = raw_sql!(Postgres, "select count(*) from embedding where space_id = {space}");
    Ok(sql::first_value(conn, count).await?.unwrap_or_default())
}

/// Whether an index of vectors is being built. One that another role builds counts: its table is hidden.
pub async fn is_building(conn: &impl Conn) -> Result<bool> {
    let building = raw_sql!(
        Postgres,
        "select exists (select from pg_stat_progress_create_index
                        where datname = current_database() and coalesce(relid = 'embedding'::regclass, true))"
    );
    Ok(sql::first_value(conn, building).await?.unwrap_or(false))
}

/// The names of invalid indexes of vectors: while no index is being built, those that an interrupted [`rebuild`] has left. They are
/// written, but not searched.
pub async fn invalid(conn: &impl Conn) -> Result<Vec<String>> {
    let invalid = raw_sql!(
        Postgres,
        "select index.relname::text from pg_index
         join pg_class index on index.oid = pg_index.indexrelid
         where pg_index.indrelid = 'embedding'::regclass and not pg_index.indisvalid
             and index.relname ~ '^embedding_hnsw_[0-9a-f]+_cc(new|old)[0-9]*$'
         order by 1"
    );
    sql::all_values(conn, invalid).await
}

/// Drops an [`invalid`] index, while vectors are read and written. The role needs to own the table.
pub async fn drop_invalid(db: &Db, name: &str) -> Result<()> {
    db.execute_unprepared(&format!("drop index concurrently if exists \"{name}\"")).await?;
    Ok(())
}

/// Builds the index of a space anew beside the old one, while both are searched and written, and replaces it. The role needs the
/// privilege `maintain`.
pub async fn rebuild(db: &Db, space: SpaceId) -> Result<()> {
    db.execute_unprepared(&format!("reindex index concurrently embedding_hnsw_{}", space.0.simple())).await?;
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use nvisy_embed::SpaceSpec;

    use super::*;
    use crate::{
        store::{self, TransactionTrait, space::Space},
        testing::TestDeployment,
    };

    async fn size(db: &Db, space: SpaceId) -> IndexSize {
        let listed = list(db, 1).await.unwrap();
        let found = *listed.iter().find(|index| index.id == space).unwrap();
        IndexSize { vectors: count_vectors(db, space).await.unwrap(), ..found }
    }

    #[tokio::test]
    async fn index_of_mostly_deleted_vectors_is_found_and_rebuilt_smaller() {
        rebuilds(Quantisation::Half, 64, 4_000).await;
    }

    #[tokio::test]
    async fn binary_index_of_mostly_deleted_vectors_is_found_and_rebuilt_smaller() {
        rebuilds(Quantisation::Binary, 256, 6_000).await;
    }

    #[tokio::test]
    async fn invalid_index_of_an_interrupted_build_is_dropped_and_no_other() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let left = format!("embedding_hnsw_{}_ccnew", SpaceId::new().0.simple());
        let built = format!("embedding_hnsw_{}_ccold1", SpaceId::new().0.simple());
        for name in [left.as_str(), built.as_str(), "others_ccnew"] {
            db.execute_unprepared(&format!("create index {name} on embedding (chunk_id)")).await.unwrap();
        }
        db.execute_unprepared(&format!(
            "update pg_index set indisvalid = false where indexrelid in ('{left}'::regclass, 'others_ccnew'::regclass)"
        ))
        .await
        .unwrap();
        assert_eq!(invalid(&db).await.unwrap(), std::slice::from_ref(&left));
        assert!(!is_building(&db).await.unwrap());
        drop_invalid(&db, &left).await.unwrap();
        assert_eq!(invalid(&db).await.unwrap(), [""; 0]);
        let indexes = raw_sql!(
            Postgres,
            "select relname::text from pg_class where oid in (
                 select indexrelid from pg_index where indrelid = 'embedding'::regclass) and relname ~ '_cc' order by 1"
        );
        assert_eq!(sql::all_values::<String>(&db, indexes).await.unwrap(), [built.as_str(), "others_ccnew"]);
        db.close().await.unwrap();
        deployment.close().await;
    }

    async fn rebuilds(quantisation: Quantisation, dimensions: u16, vectors: i64) {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let spec = SpaceSpec {
            provider: "test".to_owned(),
            model: "x".to_owned(),
            dimensions,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        let tx = db.begin().await.unwrap();
        let properties = Space { spec, quantisation };
        let space = store::space::ensure_requested(&tx, None, &properties).await.unwrap();
        store::space::create_index(&tx, space, dimensions).await.unwrap();
        tx.commit().await.unwrap();
        let index = format!("embedding_hnsw_{}", space.0.simple());
        // Vectors without passages: only their index matters here.
        db.execute_unprepared(&format!(
            "begin;
             set local session_replication_role = replica;
             drop index {index};
             insert into embedding (workspace_id, space_id, target_id, chunk_id, input_hash, vector)
                 select '{space}', '{space}', '{space}', gen_random_uuid(), gen_random_uuid(), (
                     select array_agg(random() - 0.5 + (n + i) * 0) from generate_series(1, {dimensions}) i)::real[]::vector::halfvec
                 from generate_series(1, {vectors}) n;
             commit;
             select create_space_index('{space}', {dimensions})"
        ))
        .await
        .unwrap();
        let full = size(&db, space).await;
        assert_eq!(full.vectors, vectors);
        let ratio = full.bytes as f64 / built_bytes(quantisation, full.dimensions, full.vectors) as f64;
        assert!((0.8..1.2).contains(&ratio), "a new index has {ratio} times the expected size");
        assert!(!full.is_mostly_dead() && !is_building(&db).await.unwrap());

        let deleted = vectors * 4 / 5;
        db.execute_unprepared(&format!(
            "begin;
             set local session_replication_role = replica;
             delete from embedding where ctid in (select ctid from embedding order by chunk_id limit {deleted});
             commit",
        ))
        .await
        .unwrap();
        let dead = size(&db, space).await;
        assert!(dead.is_mostly_dead(), "{dead:?}");
        rebuild(&db, space).await.unwrap();
        let rebuilt = size(&db, space).await;
        assert!(!rebuilt.is_mostly_dead() && 2 * rebuilt.bytes < dead.bytes, "{rebuilt:?}");
        db.close().await.unwrap();
        deployment.close().await;
    }

    #[test]
    fn long_vectors_have_pages_of_their_own() {
        let pages = |quantisation, dimensions| (built_bytes(quantisation, dimensions, 1_000) / 8_192) - 2;
        let half = [384, 3_072, 4_000].map(|dimensions| pages(Quantisation::Half, dimensions));
        assert_eq!(half, [142, 1_000, 2_000]);
        let binary = [384, 3_072, 4_096].map(|dimensions| pages(Quantisation::Binary, dimensions));
        assert_eq!(binary, [43, 83, 100]);
    }
}
