//! The event stream: events in order and without gaps, also after a reconnect.

use std::time::Duration;

use futures::StreamExt;
use nvisy_shared::domain::role::Permission;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestAccount, TestApp, part, send, wait_until};

/// Reads complete events of a stream.
struct Subscriber {
    bytes: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    text: String,
}

impl Subscriber {
    async fn open(app: &TestApp, account: &TestAccount, workspace: &str, last: Option<i64>) -> Self {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        let request = request.bearer_auth(&account.token);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { bytes: Box::pin(response.bytes_stream()), text: String::new() }
    }

    /// The data of the next event, whose id must be its sequence number.
    async fn next(&mut self) -> Value {
        self.next_or_end().await.expect("an open stream")
    }

    /// All events until the stream ended.
    async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(event) = self.next_or_end().await {
            rest.push(event);
        }
        rest
    }

    async fn next_or_end(&mut self) -> Option<Value> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(data) = field("data:") else { continue };
                let event: Value = serde_json::from_str(data).expect("JSON");
                assert_eq!(field("id:"), Some(event["seq"].to_string().as_str()));
                assert_eq!(field("event:"), event["type"].as_str());
                return Some(event);
            }
            let bytes = tokio::time::timeout(Duration::from_secs(60), self.bytes.next()).await;
            let bytes = bytes.expect("an event, a comment or the end within a minute")?.expect("bytes");
            self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }
}

#[actix_web::test]
async fn stream_delivers_every_event_once_and_in_order() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let mut live = Subscriber::open(&app, &ada, &workspace, None).await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = &accepted["items"][0]["id"];

    let mut received = Vec::new();
    while received.last().is_none_or(|event: &Value| event["type"] != "file.ready") {
        received.push(live.next().await);
    }
    let types: Vec<_> = received.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["file.queued", "file.progressed", "file.progressed", "file.ready"]);
    assert!(received.iter().all(|event| event["subjectId"] == *file));
    assert_eq!(received.iter().map(|event| event["seq"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);

    // A subscriber that reconnects after the second event, and after a deletion meanwhile.
    let path = format!("/api/v1/workspaces/{workspace}/files/{}", file.as_str().unwrap());
    assert_eq!(send(app.request(Method::DELETE, &path).bearer_auth(&ada.token)).await.status, 204);
    let mut reconnected = Subscriber::open(&app, &ada, &workspace, Some(2)).await;
    for expected in &received[2..] {
        assert_eq!(reconnected.next().await, *expected);
    }
    for subscriber in [&mut reconnected, &mut live] {
        let event = subscriber.next().await;
        assert_eq!((event["seq"].as_i64(), event["type"].as_str()), (Some(5), Some("file.deleted")));
    }
    drop((live, reconnected));
    app.stop().await;
}

#[actix_web::test]
async fn invalid_last_event_id_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    for bad in ["-1", "x", "1.5", "1"] {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        send(request.bearer_auth(&ada.token).header("last-event-id", bad)).await.problem(400, "invalid_header");
    }
    app.stop().await;
}

/// Every way to lose access while the stream is open.
#[actix_web::test]
async fn stream_ends_when_access_is_lost() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    for way in [
        "removed",
        "left",
        "logged out",
        "logged out everywhere",
        "new password",
        "suspended",
        "token revoked",
        "token expired",
        "workspace deleted",
    ] {
        let grace = app.create_account(&way.replace(' ', "-")).await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let path = format!("/api/v1/workspaces/{workspace}");
        app.add_member(&workspace, &grace, "guest").await;
        let subscriber = if way.starts_with("token") {
            app.api_token_with(&grace, &[Permission::ReadFiles], Some(&workspace)).await
        } else {
            app.new_session(&grace).await
        };
        let mut kept = Subscriber::open(&app, &ada, &workspace, None).await;
        let mut ended = Subscriber::open(&app, &subscriber, &workspace, None).await;
        let upload = async |text: &'static str| app.upload(&ada, &workspace, vec![part("a.txt", text)]).await;
        upload("flood").await.expect(202);
        assert_eq!(ended.next().await["seq"], 1, "{way}");

        let response = match way {
            "removed" => app.delete(&ada, &format!("{path}/members/{}", grace.id)).await,
            "left" => app.post(&grace, &format!("{path}/leave"), &Value::Null).await,
            "logged out" => app.post(&subscriber, "/api/v1/auth/logout", &Value::Null).await,
            "logged out everywhere" => app.delete(&grace, "/api/v1/account/sessions").await,
            "new password" => {
                let body = json!({ "currentPassword": PASSWORD, "newPassword": "eight badgers hum" });
                app.post(&grace, "/api/v1/account/password", &body).await
            }
            "token revoked" => {
                let tokens = app.get(&grace, "/api/v1/account/tokens").await.expect(200);
                let token = tokens["items"][0]["id"].as_str().unwrap();
                app.delete(&grace, &format!("/api/v1/account/tokens/{token}")).await
            }
            "workspace deleted" => app.delete(&ada, &path).await,
            "suspended" => {
                app.sql(&format!("update account set state = 'suspended' where id = '{}'", grace.id)).await;
                app.get(&ada, &path).await
            }
            _ => {
                app.sql(&format!("update api_token set expires_at = now() where account_id = '{}'", grace.id)).await;
                app.get(&ada, &path).await
            }
        };
        assert!(response.status.is_success(), "{way}: {}", response.text);
        if way == "workspace deleted" {
            assert_eq!(kept.next().await["seq"], 1);
            assert!(kept.rest().await.is_empty(), "{way}");
        } else {
            for (text, seq) in [("ebb", 2), ("slack", 3)] {
                upload(text).await.expect(202);
                wait_until("the event arrives", async || (kept.next().await["seq"] == seq).then_some(())).await;
            }
        }
        assert!(ended.rest().await.is_empty(), "{way}: the stream delivered further events");
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn open_streams_per_account_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_STREAMS", "2")]).await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "guest").await;
    let first = Subscriber::open(&app, &ada, &workspace, None).await;
    let caller = app.api_token_with(&ada, &[Permission::ReadFiles], None).await;
    let _second = Subscriber::open(&app, &caller, &workspace, None).await;
    let path = format!("/api/v1/workspaces/{workspace}/events");
    let response = app.get(&ada, &path).await;
    assert_eq!(response.header("retry-after"), "5");
    response.problem(429, "too_many_requests");
    let _other = Subscriber::open(&app, &bob, &workspace, None).await;
    drop(first);
    wait_until("the first stream is closed", async || {
        let request = app.request(Method::GET, &path).bearer_auth(&ada.token);
        (request.send().await.unwrap().status() == 200).then_some(())
    })
    .await;
    app.stop().await;
}

#[actix_web::test]
async fn stream_ends_when_its_access_token_expires() {
    let app = TestApp::start_with(&[("NVISY_AUTH_TOKEN_SECONDS", "5")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let stream = Subscriber::open(&app, &ada, &workspace, None).await;
    assert!(stream.rest().await.is_empty());
    wait_until("the token has expired", async || (app.get(&ada, "/api/v1/account").await.status == 401).then_some(()))
        .await;
    app.stop().await;
}

/// More events than the API reads at once.
#[actix_web::test]
async fn five_thousand_past_events_arrive_in_order() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let events = format!(
        "insert into event (workspace_id, seq, id, type, subject_id, data, published)
         select '{workspace}', n, gen_random_uuid(), 'file.deleted', gen_random_uuid(), '{{}}', true
         from generate_series(1, 5000) n"
    );
    app.sql(&events).await;
    app.sql(&format!("insert into event_counter (workspace_id, last) values ('{workspace}', 5000)")).await;
    let mut subscriber = Subscriber::open(&app, &ada, &workspace, Some(0)).await;
    for seq in 1..=5000 {
        assert_eq!(subscriber.next().await["seq"], seq);
    }
    drop(subscriber);
    app.stop().await;
}

/// Moves events back in time.
async fn age(app: &TestApp, first: i64, last: i64, days: i64) {
    app.sql(&format!(
        "update event set created_at = now() - interval '{days} days' where seq between {first} and {last}"
    ))
    .await;
}

/// Runs garbage collection until so many events are left.
async fn collect_garbage(app: &TestApp, left: usize) {
    wait_until("old events are deleted", async || {
        app.sql("update maintenance_lease set due_at = now() where name = 'gc'").await;
        (app.rows("select seq from event").await.len() == left).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn last_event_id_older_than_the_retention_gets_410() {
    let app = TestApp::start_with_worker(&[("NVISY_EVENT_DAYS", "7")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    app.finished_file(&ada, &workspace, &file).await;
    wait_until("all four events are published", async || {
        app.rows("select from event where not published").await.is_empty().then_some(())
    })
    .await;

    // Events are kept for seven days. The fourth event has an older time than the third and is kept, so that there is no gap.
    age(&app, 1, 2, 8).await;
    age(&app, 3, 3, 6).await;
    age(&app, 4, 4, 9).await;
    collect_garbage(&app, 2).await;

    let reconnect = async |last: i64| {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        send(request.bearer_auth(&ada.token).header("last-event-id", last)).await
    };
    for expired in [0, 1] {
        let problem = reconnect(expired).await.problem(410, "events_deleted");
        assert!(problem["detail"].as_str().unwrap().contains("Last-Event-ID 2"), "{problem}");
    }
    let mut reconnected = Subscriber::open(&app, &ada, &workspace, Some(2)).await;
    assert_eq!(reconnected.next().await["seq"], 3);
    assert_eq!(reconnected.next().await["seq"], 4);

    // When all events are deleted, the sequence goes on, and the id of the last event remains valid.
    age(&app, 1, 4, 8).await;
    collect_garbage(&app, 0).await;
    reconnect(3).await.problem(410, "events_deleted");
    let mut next = Subscriber::open(&app, &ada, &workspace, Some(4)).await;
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}/files/{file}")).await.status, 204);
    for subscriber in [&mut next, &mut reconnected] {
        assert_eq!(subscriber.next().await["seq"], 5);
    }
    drop((reconnected, next));
    app.stop().await;
}

#[actix_web::test]
async fn unpublished_events_are_kept_beyond_the_retention() {
    let app = TestApp::start_with_worker(&[("NVISY_EVENT_DAYS", "7")]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    // Inserted without the API; the trigger prevents that the relay marks them as published.
    app.sql(&format!(
        "insert into event_counter (workspace_id, last) values ('{workspace}', 3);
         insert into event (workspace_id, seq, id, type, subject_id, data, created_at, published)
         select '{workspace}', n, gen_random_uuid(), 'file.deleted', gen_random_uuid(), '{{}}', now() - interval '9 days', true
         from generate_series(1, 3) n;
         create function keep_unpublished() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger keep_unpublished before update on event for each row execute function keep_unpublished();
         alter table event disable trigger keep_unpublished"
    ))
    .await;
    app.sql("update event set published = false where seq = 2; alter table event enable trigger keep_unpublished")
        .await;
    collect_garbage(&app, 2).await;
    app.stop().await;
}
