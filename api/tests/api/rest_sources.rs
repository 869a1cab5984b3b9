//! Items of services with JSON over HTTP that are kept in step, and services that fail, repeat or lie.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    mpsc,
};

use serde_json::{Value, json};

use crate::support::{
    TestApp,
    synced::{LOOPBACK, Synced, counts},
    wait_until,
    web_server::{WebRequest, WebResponse, WebServer},
};

async fn synced(server: &WebServer, stream: Value) -> Synced {
    let settings = json!({ "baseUrl": format!("{}/api", server.url) });
    Synced::start("rest", settings, Value::Null, json!({ "stream": stream })).await
}

fn number(request: &WebRequest, parameter: &str) -> Option<usize> {
    request.parameter(parameter)?.parse().ok()
}

fn items(from: usize, to: usize) -> Value {
    let item =
        |at: usize| json!({ "id": at, "title": format!("Item {at}"), "body": format!("The gauge{at} is read.") });
    (from..to).map(item).collect()
}

/// A list of seven items in every style of paging, and of none.
fn answer(request: &WebRequest, url: &str) -> Option<WebResponse> {
    let path = request.target.split('?').next()?.to_owned();
    let part = |at: usize| items(at.min(7), (at + 3).min(7));
    Some(match path.as_str() {
        "/api/whole" => WebResponse::json(&items(0, 7)),
        "/api/page" if number(request, "p").unwrap_or(0) > 3 => WebResponse::status(404),
        "/api/page" => WebResponse::json(&json!({ "data": { "list": part((number(request, "p")? - 1) * 3) } })),
        "/api/offset" => WebResponse::json(&part(number(request, "offset")?)),
        "/api/cursor" => {
            let at = number(request, "after").unwrap_or(0);
            let next = if at + 3 < 7 { json!((at + 3).to_string()) } else { Value::Null };
            WebResponse::json(&json!({ "items": part(at), "meta": { "next": next } }))
        }
        "/api/link" => {
            let at = number(request, "at").unwrap_or(0);
            let response = WebResponse::json(&part(at));
            let next = format!("</api/link>; rel=\"first\", <{url}/api/link?at={}>; rel=\"next\"", at + 3);
            if at + 3 < 7 { response.with("link", &next) } else { response }
        }
        "/api/next" => {
            let at = number(request, "at").unwrap_or(0);
            let next = if at + 3 < 7 { json!(format!("?at={}", at + 3)) } else { Value::Null };
            WebResponse::json(&json!({ "items": part(at), "next": next }))
        }
        _ => return None,
    })
}

#[actix_web::test]
async fn every_style_of_paging_gives_all_items() {
    let server = WebServer::start().await;
    let url = server.url.clone();
    server.respond(move |request| answer(request, &url));
    let text = json!({ "name": "/title", "content": "/body" });
    let mut synced: Option<Synced> = None;
    for (at, stream) in [
        json!({ "path": "whole" }),
        json!({ "path": "page", "items": "/data/list", "paging": { "type": "page", "parameter": "p", "size": 3 } }),
        json!({ "path": "offset", "paging": { "type": "offset", "sizeParameter": "limit", "size": 50 } }),
        json!({ "path": "cursor", "items": "/items", "paging": { "type": "cursor", "parameter": "after", "next": "/meta/next" } }),
        json!({ "path": "link", "paging": { "type": "link" } }),
        json!({ "path": "next", "items": "/items", "paging": { "type": "next", "next": "/next" } }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = stream;
        stream.as_object_mut().unwrap().extend(text.as_object().unwrap().clone());
        match &mut synced {
            None => synced = Some(self::synced(&server, stream.clone()).await),
            Some(synced) => {
                synced.pipeline = synced.add_pipeline(&format!("p{at}"), json!({ "stream": stream.clone() })).await;
            }
        }
        let run = synced.as_ref().unwrap().sync().await;
        assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [7, 7, 0, 0, 0, 0]), "{stream} {run}");
    }
    let synced = synced.unwrap();
    assert_eq!(synced.files().await.len(), 6 * 7, "the path is a part of the id");
    assert_eq!(synced.find("gauge6").await, ["Item 6.txt"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn changed_items_become_versions_and_missing_ones_are_deleted() {
    let server = WebServer::start().await;
    server
        .set("/api/notes", WebResponse::json(&json!([{ "id": "a", "v": 1 }, { "id": "b/c", "v": 1 }, { "id": "d" }])));
    let synced = synced(&server, json!({ "path": "notes" })).await;
    let connection = synced.path(&format!("connections/{}", synced.connection));
    assert_eq!(synced.check().await["state"], "ok");
    let body = json!({ "stream": { "path": "notes" }, "limit": 2 });
    let objects = synced.app.post(&synced.ada, &format!("{connection}/browse"), &body).await.expect(200);
    assert_eq!(objects["items"][1]["externalId"], "notes/b/c", "{objects}");
    assert_eq!(counts(&synced.sync().await), [3, 3, 0, 0, 0, 0]);
    assert_eq!(counts(&synced.sync().await), [3, 0, 0, 3, 0, 0]);
    server.set("/api/notes", WebResponse::json(&json!([{ "id": "a", "v": 2 }, { "id": "d" }, { "id": "e" }])));
    let run = synced.sync().await;
    assert_eq!(counts(&run), [3, 1, 1, 1, 1, 0], "{run}");
    assert_eq!(synced.ids().await, ["notes/a", "notes/d", "notes/e"]);
    // An empty list deletes nothing.
    server.set("/api/notes", WebResponse::json(&json!([])));
    let run = synced.sync().await;
    assert_eq!((&run["failure"]["code"], synced.ids().await.len()), (&json!("source_rejected"), 3), "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn incremental_sync_asks_for_changes_since_the_largest_cursor() {
    let server = WebServer::start().await;
    server.respond(|request| {
        let rows = [("a", "2026-01-01T00:00:00Z"), ("b", "2026-03-01T00:00:00Z"), ("c", "2026-02-01T00:00:00Z")];
        let since = request.parameter("since").unwrap_or_default().replace("%3A", ":");
        let rows = rows.iter().filter(|(_, at)| *at >= since.as_str());
        let rows: Vec<_> = rows.map(|(id, at)| json!({ "id": id, "at": at })).collect();
        request.target.starts_with("/api/rows").then(|| WebResponse::json(&json!(rows)))
    });
    let stream = json!({ "path": "rows", "cursor": { "field": "/at", "parameter": "since" } });
    let settings = json!({ "baseUrl": format!("{}/api/", server.url) });
    let source = json!({ "stream": stream, "mode": "incremental" });
    let synced = Synced::start("rest", settings, Value::Null, source).await;
    assert_eq!(counts(&synced.sync().await), [3, 3, 0, 0, 0, 0]);
    let run = synced.sync().await;
    assert_eq!(counts(&run), [1, 0, 0, 1, 0, 0], "nothing is deleted by a listing of changes: {run}");
    assert_eq!(synced.ids().await.len(), 3);
    synced.app.stop().await;
}

#[actix_web::test]
async fn items_of_summaries_are_read_one_by_one_and_fail_alone() {
    let server = WebServer::start().await;
    server
        .set("/api/posts", WebResponse::json(&json!([{ "id": 1 }, { "id": 2 }, { "id": ".." }, { "title": "no id" }])));
    server.set("/api/posts/1", WebResponse::json(&json!({ "text": "Barnacles hold on." })));
    let stream = json!({ "path": "posts", "detail": "posts/{id}", "content": "/text" });
    let synced = synced(&server, stream).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [4, 1, 0, 0, 0, 3]), "{run}");
    let failed = synced.failed_objects(&run).await;
    let codes: Vec<_> = failed.iter().map(|failed| (failed["externalId"].as_str(), failed["code"].as_str())).collect();
    let expected = [
        (Some("posts/(page 1, item 4)"), Some("source_rejected")),
        (Some("posts/.."), Some("invalid_name")),
        (Some("posts/2"), Some("source_missing")),
    ];
    assert_eq!(codes, expected);
    // What failed is read again on request.
    server.set("/api/posts/2", WebResponse::json(&json!({ "text": "Limpets graze." })));
    let retry = synced.path(&format!("runs/{}/retry", run["id"].as_str().unwrap()));
    synced.app.post(&synced.ada, &retry, &json!({ "code": "source_missing" })).await.expect(202);
    synced.ended(run["id"].as_str().unwrap()).await;
    assert_eq!(synced.find("limpets").await, ["2.txt"]);
    synced.app.stop().await;
}

#[actix_web::test]
async fn list_that_goes_in_circles_or_has_no_end_ends_with_a_reason() {
    let server = WebServer::start().await;
    let at = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&at);
    server.respond(move |request| {
        let at = count.fetch_add(1, Ordering::SeqCst);
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            // The parameter is unknown to the service.
            "/api/same" => Some(WebResponse::json(&json!({ "items": items(0, 3) }))),
            "/api/circle" => {
                let next = (number(request, "cursor").unwrap_or(0) + 1) % 3;
                Some(WebResponse::json(&json!({ "items": items(next * 3, next * 3 + 3), "next": next })))
            }
            "/api/empty" => Some(WebResponse::json(&json!({ "items": [], "next": "again" }))),
            "/api/endless" => {
                Some(WebResponse::json(&json!({ "items": items(at * 3, at * 3 + 3), "next": format!("c{at}") })))
            }
            "/api/elsewhere" => {
                Some(WebResponse::json(&json!({ "items": items(0, 1), "next": "http://169.254.169.254/latest" })))
            }
            _ => None,
        }
    });
    let cursor = json!({ "type": "cursor", "next": "/next" });
    let mut synced = synced(&server, json!({ "path": "same", "items": "/items", "paging": { "type": "page" } })).await;
    for (path, paging, reason) in [
        ("same", json!({ "type": "page" }), "circle"),
        ("circle", cursor.clone(), "circle"),
        ("empty", cursor.clone(), "circle"),
        ("elsewhere", json!({ "type": "next", "next": "/next" }), "another server"),
        ("whole", json!({ "type": "none" }), "404"),
        ("circle", json!({ "type": "link" }), ""),
    ] {
        let stream = json!({ "path": path, "items": "/items", "paging": paging });
        synced.pipeline = synced.add_pipeline(&format!("{path}{paging}"), json!({ "stream": stream })).await;
        let run = synced.sync().await;
        if reason.is_empty() {
            assert_eq!(run["state"], "completed", "{run}");
        } else {
            assert_eq!(run["failure"]["code"], "source_rejected", "{path}: {run}");
            assert!(run["failure"]["detail"].as_str().unwrap().contains(reason), "{path}: {run}");
        }
    }
    let stream = json!({ "path": "endless", "items": "/items", "paging": cursor, "maxPages": 5 });
    synced.pipeline = synced.add_pipeline("endless", json!({ "stream": stream })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [16, 15, 0, 0, 0, 1]), "{run}");
    let failed = synced.failed_objects(&run).await;
    assert!(failed[0]["detail"].as_str().unwrap().contains("more than 5 pages"), "{failed:?}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn each_form_of_credentials_is_sent_and_wrong_ones_make_the_sync_wait() {
    let server = WebServer::start().await;
    server.respond(|request| {
        let is_right = request.header("authorization") == "Bearer hunter2-right"
            || request.header("authorization") == "Basic YWRhOmh1bnRlcjItcmlnaHQ="
            || request.header("x-api-key") == "hunter2-right"
            || request.parameter("key") == Some("hunter2-right");
        if !is_right {
            let message = format!("no access for {} {}", request.header("authorization"), request.target);
            return Some(WebResponse { status: 401, ..WebResponse::json(&json!({ "message": message })) });
        }
        let at = number(request, "at").unwrap_or(0);
        // The next address repeats the key.
        let next = if at == 0 { json!("?at=1&key=hunter2-right") } else { Value::Null };
        Some(WebResponse::json(&json!({ "items": [{ "id": at }], "next": next })))
    });
    let stream = json!({ "path": "things", "items": "/items", "paging": { "type": "next", "next": "/next" } });
    let settings = |auth: Value| json!({ "baseUrl": format!("{}/api", server.url), "auth": auth });
    let wrong = json!({ "token": "hunter2-wrong" });
    let synced = Synced::start("rest", settings(json!({ "type": "bearer" })), wrong, json!({ "stream": stream })).await;
    assert_eq!(synced.check().await["state"], "failed");
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("401") && !reason.contains("hunter2-wrong"), "{reason}");
    let token = json!({ "token": "hunter2-right" });
    synced.patch_connection(json!({ "credentials": token })).await;
    assert_eq!(counts(&synced.ended(&run).await)[0], 2);
    for (auth, credentials) in [
        (json!({ "type": "basic" }), json!({ "username": "ada", "password": "hunter2-right" })),
        (json!({ "type": "header", "name": "X-Api-Key" }), token.clone()),
        (json!({ "type": "query", "name": "key" }), token.clone()),
    ] {
        synced.patch_connection(json!({ "settings": settings(auth.clone()), "credentials": credentials })).await;
        assert_eq!(synced.check().await["state"], "ok", "{auth}");
        let run = synced.sync().await;
        assert_eq!(counts(&run), [2, 0, 0, 2, 0, 0], "{auth} {run}");
    }
    // Credentials of another form than the settings need.
    synced.patch_connection(json!({ "settings": settings(json!({ "type": "basic" })), "credentials": token })).await;
    let check = synced.check().await;
    assert!(check.to_string().contains("`username` and `password`"), "{check}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn busy_and_broken_services_are_asked_again() {
    let server = WebServer::start().await;
    let mut at = 0;
    server.respond(move |request| {
        if !request.target.starts_with("/api/things") {
            return None;
        }
        at += 1;
        Some(match at {
            1 => WebResponse::status(429).with("retry-after", "1"),
            2 => WebResponse::status(500),
            3 => WebResponse::new(200, "application/json", b"[{\"id\": \"\xff\"}]".to_vec()),
            4 => WebResponse { missing: 3, ..WebResponse::json(&items(0, 2)) },
            _ => WebResponse::json(&items(0, 2)),
        })
    });
    let synced = synced(&server, json!({ "path": "things" })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 2, 0, 0, 0, 0]), "{run}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn success_of_a_call_that_began_before_a_block_does_not_end_it() {
    let server = WebServer::start().await;
    let (release, released) = mpsc::channel::<()>();
    let is_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_asked);
    server.respond(move |_| {
        asked.store(true, Ordering::SeqCst);
        // Until the sender is dropped.
        let _ = released.recv();
        Some(WebResponse::json(&items(0, 1)))
    });
    let stream = json!({ "path": "things", "name": "/title", "content": "/body" });
    let synced = synced(&server, stream).await;
    let run = synced.start_sync(json!({})).await;
    wait_until("the service is asked", async || is_asked.load(Ordering::SeqCst).then_some(())).await;
    // As another worker does whose call was answered by `Retry-After`.
    let block = "insert into connection_health (workspace_id, connection_id, failures, blocked_until, reason)
                 select workspace_id, id, 1, now() + interval '1 hour', 'busy' from connection";
    synced.app.sql(block).await;
    drop(release);
    assert_eq!(synced.ended(&run).await["state"], "completed");
    let path = synced.path(&format!("connections/{}", synced.connection));
    let connection = synced.app.get(&synced.ada, &path).await.expect(200);
    assert_eq!(connection["blocked"]["reason"], "busy", "{connection}");
    assert_eq!(synced.app.count("connection_health where failures = 0").await, 1);
    synced.app.stop().await;
}

#[actix_web::test]
async fn items_beyond_the_quota_fail_alone_and_deletions_make_room() {
    let server = WebServer::start().await;
    let list = |ids: &[&str]| {
        let item = |id: &&str| json!({ "id": id, "text": format!("The gauge {id} is read.") });
        WebResponse::json(&ids.iter().map(item).collect())
    };
    server.set("/api/notes", list(&["a", "b", "c", "d"]));
    let app = TestApp::start_with_worker(&[LOOPBACK, ("NVISY_QUOTA_FILES", "3")]).await;
    let settings = json!({ "baseUrl": format!("{}/api", server.url) });
    let source = json!({ "stream": { "path": "notes", "content": "/text" } });
    let synced = Synced::of(app, "rest", settings, Value::Null, source).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [4, 3, 0, 0, 0, 1]), "{run}");
    let failed = synced.failed_objects(&run).await;
    assert_eq!((failed.len(), &failed[0]["code"]), (1, &json!("quota_exceeded")), "{failed:?}");
    let ids = synced.ids().await;
    assert_eq!(ids.len(), 3, "{ids:?}");

    // Two of those that fit are deleted, at the end of a sync.
    let failed = failed[0]["externalId"].as_str().unwrap().to_owned();
    let [failed, kept] = [&failed, &ids[0]].map(|id| id.strip_prefix("notes/").unwrap());
    server.set("/api/notes", list(&[failed, kept]));
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [2, 0, 0, 1, 2, 1]), "{run}");
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 1, 0, 1, 0, 0]), "{run}");
    synced.app.stop().await;
}
