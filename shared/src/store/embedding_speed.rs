//! How fast workers embed passages, by space.

use std::time::Duration;

use sea_orm::raw_sql;

use super::{Conn, Result, sql};
use crate::id::{ConnectionId, SpaceId};

/// The time in which a measurement loses half of its weight, while others follow.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// The age from which a measurement says nothing about the machines of today.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Adds tokens that were embedded, and the time of the calls. A space that was deleted meanwhile has no speed.
pub async fn add(conn: &impl Conn, space: SpaceId, tokens: f64, took: Duration) -> Result<()> {
    let (seconds, half_life) = (took.as_secs_f64(), HALF_LIFE.as_secs_f64());
    // The exponent has a limit, because a result that is too small for the type would be an error.
    let added = raw_sql!(
        Postgres,
        "insert into embedding_speed as known (space_id, tokens, seconds)
         select id, {tokens}::float8, {seconds}::float8 from embedding_space where id = {space} for key share
         on conflict (space_id) do update set (tokens, seconds, measured_at) = (
             select known.tokens * weight + excluded.tokens, known.seconds * weight + excluded.seconds, now()
             from power(0.5::float8, least(
                 greatest(extract(epoch from now() - known.measured_at)::float8, 0) / {half_life}::float8, 100)) weight)"
    );
    sql::execute(conn, added).await?;
    Ok(())
}

/// The tokens that one job embeds in a second with a model, of the installation or of a connection; `None`: it was not measured.
/// Dimensions and index do not count: they cost no time of the model.
pub async fn tokens_per_second(
    conn: &impl Conn,
    connection: Option<ConnectionId>,
    provider: &str,
    model: &str,
) -> Result<Option<f64>> {
    let age_seconds = MAX_AGE.as_secs_f64();
    let speed = raw_sql!(
        Postgres,
        "select sum(speed.tokens) / sum(speed.seconds)
         from embedding_speed speed join embedding_space space on space.id = speed.space_id
         where space.connection_id is not distinct from {connection}::uuid and space.provider = {provider}
             and space.model = {model} and speed.measured_at > now() - make_interval(secs => {age_seconds})
         having sum(speed.seconds) > 0"
    );
    sql::first_value(conn, speed).await
}

#[cfg(all(test, feature = "testing"))]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use nvisy_embed::SpaceSpec;

    use super::*;
    use crate::{store, testing::TestDeployment};

    #[tokio::test]
    async fn old_measurements_lose_weight_against_new_ones_of_the_model() {
        let deployment = TestDeployment::new().await;
        let db = store::connect(&deployment.config(&[]).database).await.unwrap();
        let spec = SpaceSpec {
            provider: "test".to_owned(),
            model: "m".to_owned(),
            dimensions: 2,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        let space = store::space::ensure(&db, &spec).await.unwrap();
        let speed = async |model: &str| tokens_per_second(&db, None, "test", model).await.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(speed("m").await, None);
        add(&db, space, 100.0, second).await.unwrap();
        add(&db, SpaceId::new(), 900.0, second).await.unwrap();
        assert_eq!((speed("m").await, speed("other").await), (Some(100.0), None));
        // Two half-lives: a quarter of a second at 100 tokens, and a second at 400.
        db.execute_unprepared("update embedding_speed set measured_at = now() - interval '20 minutes'").await.unwrap();
        add(&db, space, 400.0, second).await.unwrap();
        let mean = speed("m").await.unwrap();
        assert!((mean - 340.0).abs() < 1.0, "{mean}");
        db.execute_unprepared("update embedding_speed set measured_at = now() - interval '20 days'").await.unwrap();
        add(&db, space, 50.0, second).await.unwrap();
        let newest = speed("m").await.unwrap();
        assert!((newest - 50.0).abs() < 0.01, "{newest}");
        db.execute_unprepared("update embedding_speed set measured_at = now() - interval '31 days'").await.unwrap();
        assert_eq!(speed("m").await, None);
        db.close().await.unwrap();
        deployment.close().await;
    }
}
