//! Counts of activity entries after a regular stop.

use nvisy_api::cli::verify_activity;
use nvisy_shared::store::{self, Conn};

use super::TestApp;

/// Activity entries, which may each stand for several events.
#[derive(Debug)]
pub struct RecordedEvents {
    pub entries: i64,
    pub events: i64,
}

/// Stops the API and counts the entries that meet an SQL condition.
pub async fn stop_and_count(app: TestApp, condition: &str) -> RecordedEvents {
    let mut recorded = RecordedEvents { entries: 0, events: 0 };
    app.stop_then(async |deployment| {
        let config = deployment.config(&[]);
        let db = store::connect(&config.database).await.unwrap();
        let sql = format!(
            "select count(*) as entries, coalesce(sum(coalesce((details::json ->> 'times')::bigint, 1)), 0)::bigint as events
             from activity where {condition}"
        );
        let row = db.query_one_raw(store::statement(&sql)).await.unwrap().unwrap();
        recorded =
            RecordedEvents { entries: row.try_get("", "entries").unwrap(), events: row.try_get("", "events").unwrap() };
        assert!(verify_activity(&config, None).await.unwrap().intact);
        db.close().await.unwrap();
    })
    .await;
    recorded
}
