//! The event stream: in order, without a gap, across reconnects.

use std::time::Duration;

use futures::StreamExt;
use nvisy_shared::domain::role::Permission;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    files::part,
    support::app::{PASSWORD, Person, TestApp, send, until},
};

/// A listener that reads whole events.
struct Listener {
    bytes: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    text: String,
}

impl Listener {
    async fn open(app: &TestApp, person: &Person, workspace: &str, last: Option<i64>) -> Self {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        let request = request.bearer_auth(&person.token);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: Box::pin(response.bytes_stream()), text: String::new() }
    }

    /// The next event's data; its id must be its place.
    async fn next(&mut self) -> Value {
        self.next_if_any().await.expect("an open stream")
    }

    /// All that still comes, until the stream ends.
    async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(event) = self.next_if_any().await {
            rest.push(event);
        }
        rest
    }

    async fn next_if_any(&mut self) -> Option<Value> {
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
            let bytes = bytes.expect("an event, a comment or the end in time")?.expect("bytes");
            self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }
}

#[actix_web::test]
async fn stream_delivers_every_event_once_and_in_order() {
    let app = TestApp::start_whole(&[]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let mut live = Listener::open(&app, &ada, &workspace, None).await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = &accepted["items"][0]["id"];

    let mut heard = Vec::new();
    while heard.last().is_none_or(|event: &Value| event["type"] != "file.ready") {
        heard.push(live.next().await);
    }
    let types: Vec<_> = heard.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["file.queued", "file.progressed", "file.progressed", "file.ready"]);
    assert!(heard.iter().all(|event| event["subjectId"] == *file));
    assert_eq!(heard.iter().map(|event| event["seq"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);

    // Somebody who was away from the second on, and while something else happened.
    let path = format!("/api/v1/workspaces/{workspace}/files/{}", file.as_str().unwrap());
    assert_eq!(send(app.request(Method::DELETE, &path).bearer_auth(&ada.token)).await.status, 204);
    let mut back = Listener::open(&app, &ada, &workspace, Some(2)).await;
    for expected in &heard[2..] {
        assert_eq!(back.next().await, *expected);
    }
    for listener in [&mut back, &mut live] {
        let event = listener.next().await;
        assert_eq!((event["seq"].as_i64(), event["type"].as_str()), (Some(5), Some("file.deleted")));
    }
    drop((live, back));
    app.stop().await;
}

#[actix_web::test]
async fn invalid_last_event_id_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    for bad in ["-1", "x", "1.5", "1"] {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        send(request.bearer_auth(&ada.token).header("last-event-id", bad)).await.problem(400, "invalid_header");
    }
    app.stop().await;
}

/// Every way to lose the right to listen, with the stream open.
#[actix_web::test]
async fn stream_ends_when_access_is_lost() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
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
        let grace = app.person(&way.replace(' ', "-")).await;
        let workspace = app.workspace(&ada, "Tidal energy").await;
        let path = format!("/api/v1/workspaces/{workspace}");
        app.enrol(&workspace, &grace, "guest").await;
        let listener = if way.starts_with("token") {
            app.robot(&grace, &[Permission::ReadFiles], Some(&workspace)).await
        } else {
            app.again(&grace).await
        };
        let mut stays = Listener::open(&app, &ada, &workspace, None).await;
        let mut ends = Listener::open(&app, &listener, &workspace, None).await;
        let upload = async |text: &'static str| app.upload(&ada, &workspace, vec![part("a.txt", text)]).await;
        upload("flood").await.expect(202);
        assert_eq!(ends.next().await["seq"], 1, "{way}");

        let gone = match way {
            "removed" => app.delete(&ada, &format!("{path}/members/{}", grace.id)).await,
            "left" => app.post(&grace, &format!("{path}/leave"), &Value::Null).await,
            "logged out" => app.post(&listener, "/api/v1/auth/logout", &Value::Null).await,
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
        assert!(gone.status.is_success(), "{way}: {}", gone.text);
        if way == "workspace deleted" {
            assert_eq!(stays.next().await["seq"], 1);
            assert!(stays.rest().await.is_empty(), "{way}");
        } else {
            for (text, seq) in [("ebb", 2), ("slack", 3)] {
                upload(text).await.expect(202);
                until("the event", async || (stays.next().await["seq"] == seq).then_some(())).await;
            }
        }
        assert!(ends.rest().await.is_empty(), "{way}: somebody went on listening");
    }
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn open_streams_per_account_are_limited() {
    let app = TestApp::start_with(&[("NVISY_LIMIT_ACCOUNT_STREAMS", "2")]).await;
    let [ada, bob] = [app.person("ada").await, app.person("bob").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &bob, "guest").await;
    let first = Listener::open(&app, &ada, &workspace, None).await;
    let robot = app.robot(&ada, &[Permission::ReadFiles], None).await;
    let _second = Listener::open(&app, &robot, &workspace, None).await;
    let path = format!("/api/v1/workspaces/{workspace}/events");
    let answer = app.get(&ada, &path).await;
    assert_eq!(answer.header("retry-after"), "5");
    answer.problem(429, "too_many_requests");
    let _others = Listener::open(&app, &bob, &workspace, None).await;
    drop(first);
    until("the first stream is gone", async || {
        let request = app.request(Method::GET, &path).bearer_auth(&ada.token);
        (request.send().await.unwrap().status() == 200).then_some(())
    })
    .await;
    app.stop().await;
}

#[actix_web::test]
async fn stream_ends_when_its_access_token_expires() {
    let app = TestApp::start_with(&[("NVISY_AUTH_TOKEN_SECONDS", "5")]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let stream = Listener::open(&app, &ada, &workspace, None).await;
    assert!(stream.rest().await.is_empty());
    until("the token's end", async || (app.get(&ada, "/api/v1/account").await.status == 401).then_some(())).await;
    app.stop().await;
}

/// More than is read at once, and all of it in order.
#[actix_web::test]
async fn five_thousand_past_events_arrive_in_order() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let events = format!(
        "insert into event (workspace_id, seq, id, type, subject_id, data, published)
         select '{workspace}', n, gen_random_uuid(), 'file.deleted', gen_random_uuid(), '{{}}', true
         from generate_series(1, 5000) n"
    );
    app.sql(&events).await;
    app.sql(&format!("insert into event_counter (workspace_id, last) values ('{workspace}', 5000)")).await;
    let mut listener = Listener::open(&app, &ada, &workspace, Some(0)).await;
    for seq in 1..=5000 {
        assert_eq!(listener.next().await["seq"], seq);
    }
    drop(listener);
    app.stop().await;
}

/// Lets days pass.
async fn age(app: &TestApp, first: i64, last: i64, days: i64) {
    app.sql(&format!(
        "update event set created_at = now() - interval '{days} days' where seq between {first} and {last}"
    ))
    .await;
}

/// Lets the worker sweep until so many events are left.
async fn swept(app: &TestApp, left: usize) {
    until("old events are forgotten", async || {
        app.sql("update chore set due_at = now() where name = 'sweep'").await;
        (app.rows("select seq from event").await.len() == left).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn last_event_id_older_than_the_retention_gets_410() {
    let app = TestApp::start_whole(&[("NVISY_EVENT_DAYS", "7")]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "Slack water is at six.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    app.settled(&ada, &workspace, &file).await;
    until("all four events are published", async || {
        app.rows("select from event where not published").await.is_empty().then_some(())
    })
    .await;

    // Six days are not too old, eight are; the fourth event, older than the third by its time, leaves no hole.
    age(&app, 1, 2, 8).await;
    age(&app, 3, 3, 6).await;
    age(&app, 4, 4, 9).await;
    swept(&app, 2).await;

    let ask = async |last: i64| {
        let request = app.request(Method::GET, &format!("/api/v1/workspaces/{workspace}/events"));
        send(request.bearer_auth(&ada.token).header("last-event-id", last)).await
    };
    for gone in [0, 1] {
        let problem = ask(gone).await.problem(410, "events_forgotten");
        assert!(problem["detail"].as_str().unwrap().contains("Last-Event-ID 2"), "{problem}");
    }
    let mut back = Listener::open(&app, &ada, &workspace, Some(2)).await;
    assert_eq!(back.next().await["seq"], 3);
    assert_eq!(back.next().await["seq"], 4);

    // All of them gone: the numbers go on, and the place of the last is still good.
    age(&app, 1, 4, 8).await;
    swept(&app, 0).await;
    ask(3).await.problem(410, "events_forgotten");
    let mut next = Listener::open(&app, &ada, &workspace, Some(4)).await;
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}/files/{file}")).await.status, 204);
    for listener in [&mut next, &mut back] {
        assert_eq!(listener.next().await["seq"], 5);
    }
    drop((back, next));
    app.stop().await;
}

#[actix_web::test]
async fn unpublished_events_are_kept_beyond_the_retention() {
    let app = TestApp::start_whole(&[("NVISY_EVENT_DAYS", "7")]).await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    // Written by hand, and by nobody announced as published before the sweep has been there.
    app.sql(&format!(
        "insert into event_counter (workspace_id, last) values ('{workspace}', 3);
         insert into event (workspace_id, seq, id, type, subject_id, data, created_at, published)
         select '{workspace}', n, gen_random_uuid(), 'file.deleted', gen_random_uuid(), '{{}}', now() - interval '9 days', true
         from generate_series(1, 3) n;
         create function held() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger held before update on event for each row execute function held();
         alter table event disable trigger held"
    ))
    .await;
    app.sql("update event set published = false where seq = 2; alter table event enable trigger held").await;
    swept(&app, 2).await;
    app.stop().await;
}
