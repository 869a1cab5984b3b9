//! What becomes of an account: changes, its picture, its end.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::app::{Answer, PASSWORD, Person, TestApp, send, until};

const NEW_PASSWORD: &str = "eight badgers hum";

async fn update(app: &TestApp, person: &Person, tag: Option<&str>, name: &str) -> Answer {
    let request = app.request(Method::PATCH, "/api/v1/account").bearer_auth(&person.token);
    let request = tag.into_iter().fold(request, |request, tag| request.header(header::IF_MATCH, tag));
    send(request.json(&json!({ "displayName": name }))).await
}

async fn change_password(app: &TestApp, person: &Person, from: &str, to: &str) -> Answer {
    app.post(person, "/api/v1/account/password", &json!({ "currentPassword": from, "newPassword": to })).await
}

async fn leave(app: &TestApp, person: &Person, password: &str) -> Answer {
    app.post(person, "/api/v1/account/deletion", &json!({ "password": password })).await
}

async fn join(app: &TestApp, workspace: &str, person: &Person, role: &str) {
    let sql = format!(
        "insert into member (workspace_id, account_id, role) values ('{workspace}', '{}', '{role}')",
        person.id
    );
    app.sql(&sql).await;
}

#[actix_web::test]
async fn account_update_with_a_stale_etag_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let read = app.get(&ada, "/api/v1/account").await;
    let tag = read.header("etag").to_owned();
    let changed = update(&app, &ada, Some(&tag), " Ada Lovelace ").await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.expect(200)["displayName"], "Ada Lovelace");
    for stale in [tag.as_str(), "\"nonsense\"", "W/\"2\"", "nonsense"] {
        update(&app, &ada, Some(stale), "Somebody else").await.problem(412, "precondition_failed");
    }
    update(&app, &ada, None, "Ada").await.expect(200);
    update(&app, &ada, Some("*"), "Ada L").await.expect(200);
    for name in ["", "A", "A\0da", &"x".repeat(10_000)] {
        update(&app, &ada, None, name).await.problem(422, "invalid_body");
    }
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["displayName"], "Ada L");
    app.stop().await;
}

#[actix_web::test]
async fn password_change_ends_all_other_sessions() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let other = app.again(&ada).await;
    change_password(&app, &ada, "not the password", NEW_PASSWORD).await.problem(403, "wrong_password");
    let weak = change_password(&app, &ada, PASSWORD, "password123").await.problem(422, "invalid_body");
    assert_eq!(weak["errors"][0]["field"], "newPassword");
    app.get(&other, "/api/v1/account").await.expect(200);

    assert_eq!(change_password(&app, &ada, PASSWORD, NEW_PASSWORD).await.status, 204);
    app.get(&ada, "/api/v1/account").await.expect(200);
    app.get(&other, "/api/v1/account").await.problem(401, "unauthenticated");
    let body = json!({ "refreshToken": other.refresh });
    send(app.request(Method::POST, "/api/v1/auth/refresh").json(&body)).await.problem(401, "refresh_token_refused");
    app.login(&ada.email, PASSWORD).await.problem(401, "wrong_credentials");
    app.login(&ada.email, NEW_PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn avatar_is_served_with_its_detected_media_type() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let path = "/api/v1/account/avatar";
    app.get(&ada, path).await.problem(404, "not_found");
    let put = |bytes: Vec<u8>| {
        send(app.request(Method::PUT, path).bearer_auth(&ada.token).header("content-type", "text/html").body(bytes))
    };
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 1000]].concat();
    assert_eq!(put(png.clone()).await.status, 204);
    let got = app.request(Method::GET, path).bearer_auth(&ada.token).send().await.unwrap();
    let tag = got.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(got.headers()["content-type"], "image/png");
    assert_eq!(got.headers()["x-content-type-options"], "nosniff");
    assert_eq!(got.bytes().await.unwrap(), png);
    let again = app.request(Method::GET, path).bearer_auth(&ada.token).header("if-none-match", tag);
    assert_eq!(send(again).await.status, 304);

    put(b"<script>alert(1)</script>".to_vec()).await.problem(415, "unsupported_media_type");
    put(Vec::new()).await.problem(415, "unsupported_media_type");
    let large = [b"\xff\xd8\xff".as_slice(), &vec![0; 1024 * 1024]].concat();
    put(large).await.problem(413, "payload_too_large");
    assert_eq!(put([b"\xff\xd8\xff".as_slice(), &[0; 10]].concat()).await.status, 204);
    assert_eq!(app.get(&ada, path).await.header("content-type"), "image/jpeg");
    assert_eq!(app.delete(&ada, path).await.status, 204);
    app.delete(&ada, path).await.problem(404, "not_found");
    app.stop().await;
}

#[actix_web::test]
async fn login_within_the_grace_period_cancels_account_deletion() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    leave(&app, &ada, "not the password").await.problem(403, "wrong_password");
    let deletion = leave(&app, &ada, PASSWORD).await.expect(202);
    assert!(deletion["eraseAt"].is_string(), "{deletion}");
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");

    let back = app.again(&ada).await;
    app.get(&back, &format!("/api/v1/workspaces/{workspace}")).await.expect(200);
    assert!(app.rows("select from account where erase_at is not null").await.is_empty());
    app.stop().await;
}

#[actix_web::test]
async fn account_is_erased_with_its_sole_workspaces_after_the_grace_period() {
    let settings = [("NVISY_AUTH_ERASE_SECONDS", "0"), ("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")];
    let mut app = TestApp::start_with(&settings).await;
    let ada = app.person("ada").await;
    update(&app, &ada, None, TRACES[1]).await.expect(200);
    let bob = app.person("bob").await;
    let carol = app.person("carol").await;
    let alone = app.workspace(&ada, "Alone").await;
    let shared = app.workspace(&bob, "Shared").await;
    let handed = app.workspace(&ada, "Handed over").await;
    join(&app, &shared, &ada, "member").await;
    join(&app, &handed, &bob, "owner").await;
    join(&app, &handed, &carol, "guest").await;
    leave_traces(&app, &ada, &bob, &shared, &handed).await;
    let there = traces(&app).await;
    for (table, what) in [
        ("account", 0),
        ("account", 1),
        ("session", 2),
        ("invite", 0),
        ("mail", 0),
        ("idempotency", 0),
        ("idempotency", 1),
    ] {
        assert!(there.contains(&(table.to_owned(), TRACES[what])), "no {} in {table}: {there:?}", TRACES[what]);
    }
    let entry = seen(&app, &bob, &shared).await;
    assert_eq!((entry["type"].as_str(), entry["address"].as_str()), (Some("file.uploaded"), Some(TRACES[2])));
    leave(&app, &ada, PASSWORD).await.expect(202);
    // The other owner has left meanwhile.
    app.sql(&format!("update member set role = 'admin' where workspace_id = '{handed}' and account_id = '{}'", bob.id))
        .await;

    app.start_worker().await;
    let gone = format!("select from account where id = '{}'", ada.id);
    until("the erasure", async || app.rows(&gone).await.is_empty().then_some(())).await;
    app.login(&ada.email, PASSWORD).await.problem(401, "wrong_credentials");
    let left = format!("select from workspace where id = '{alone}' and deleted_at is null");
    assert!(app.rows(&left).await.is_empty());
    app.get(&bob, &format!("/api/v1/workspaces/{shared}")).await.expect(200);
    let role = app.get(&bob, &format!("/api/v1/workspaces/{handed}")).await.expect(200)["role"].take();
    assert_eq!(role, "owner");
    // Nothing of the person is left anywhere.
    let tables = app
        .rows("select table_name::text as name from information_schema.columns where column_name = 'account_id' and table_schema = 'public'")
        .await;
    for table in tables {
        let table: String = table.try_get("", "name").unwrap();
        if table != "activity" {
            let left = app.rows(&format!("select from {table} where account_id = '{}'", ada.id)).await;
            assert!(left.is_empty(), "{table}");
        }
    }
    assert_eq!(traces(&app).await, []);
    // What the person did is still in the log, as it was written.
    let entry = seen(&app, &bob, &shared).await;
    assert_eq!((entry["actor"]["accountId"].as_str(), entry.get("address")), (Some(ada.id.as_str()), None));
    let verified = nvisy_api::command::verify_activity(app.config(), None).await.unwrap();
    assert!(verified.intact, "{}", verified.report);
    app.stop().await;
}

/// E-mail address, display name and network address of a person who is to be erased.
const TRACES: [&str; 3] = ["ada@example.org", "Ada Zweistein", "203.0.113.77"];

/// Has the person's traces written wherever they may stand.
async fn leave_traces(app: &TestApp, person: &Person, other: &Person, shared: &str, others: &str) {
    let from = |request: reqwest::RequestBuilder| request.header("x-forwarded-for", TRACES[2]);
    let login = json!({ "email": person.email, "password": PASSWORD });
    send(from(app.request(Method::POST, "/api/v1/auth/login").json(&login))).await.expect(200);
    let wrong = json!({ "email": person.email, "password": "not the password" });
    send(from(app.request(Method::POST, "/api/v1/auth/login").json(&wrong))).await.problem(401, "wrong_credentials");
    let form = reqwest::multipart::Form::new().part("file", crate::files::part("a.txt", "text"));
    let upload = app.request(Method::POST, &format!("/api/v1/workspaces/{shared}/files")).bearer_auth(&person.token);
    send(from(upload.multipart(form))).await.expect(202);
    // By somebody else, with answers that are kept.
    let workspace = app.workspace(other, "Elsewhere").await;
    let invite = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/invites"));
    let invite = invite.bearer_auth(&other.token).header("idempotency-key", "invite");
    send(invite.json(&json!({ "role": "member", "email": person.email }))).await.expect(201);
    let member = json!({ "accountId": person.id, "displayName": TRACES[1], "email": person.email, "role": "guest" });
    app.sql(&format!(
        "insert into idempotency (scope, key, fingerprint, status, body)
         values ('{} changeMember {others}', 'role', sha256('x'), 200, '{member}')",
        other.id
    ))
    .await;
    // As if the password had been forgotten.
    app.sql(&format!(
        "insert into mail (id, kind, email, expires_at)
         values (gen_random_uuid(), 'password_reset', '{}', now() + interval '1 hour')",
        person.email
    ))
    .await;
    // What the upload is for is not what is asked here, and there is no model.
    app.sql("delete from job").await;
}

/// Every table with every trace that a row of it holds, in whichever column.
async fn traces(app: &TestApp) -> Vec<(String, &'static str)> {
    let tables = app.rows("select relname::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1").await;
    assert!(tables.len() > 25);
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.try_get("", "name").unwrap();
        for trace in TRACES {
            let rows =
                format!("select from {table} held where strpos(lower(held::text), lower('{trace}')) > 0 limit 1");
            if !app.rows(&rows).await.is_empty() {
                found.push((table.clone(), trace));
            }
        }
    }
    found
}

/// The newest entry of the workspace's log of which a file is the object.
async fn seen(app: &TestApp, by: &Person, workspace: &str) -> Value {
    let page = app.get(by, &format!("/api/v1/workspaces/{workspace}/activities?type=file.uploaded")).await.expect(200);
    page["items"][0].clone()
}

#[actix_web::test]
async fn last_owner_cannot_delete_their_account() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    join(&app, &workspace, &bob, "admin").await;
    leave(&app, &ada, PASSWORD).await.problem(409, "last_owner");
    app.get(&ada, "/api/v1/account").await.expect(200);
    app.sql("update member set role = 'owner'").await;
    leave(&app, &ada, PASSWORD).await.expect(202);
    // An owner who is leaving counts for nobody: nor does one who is suspended.
    let problem: Value = leave(&app, &bob, PASSWORD).await.problem(409, "last_owner");
    assert!(problem["title"].is_string());
    let go = format!("/api/v1/workspaces/{workspace}/leave");
    app.post(&bob, &go, &json!({})).await.problem(409, "last_owner");
    app.sql("update account set erase_at = null, state = 'suspended' where email like 'ada%'").await;
    app.post(&bob, &go, &json!({})).await.problem(409, "last_owner");
    leave(&app, &bob, PASSWORD).await.problem(409, "last_owner");
    app.sql("update account set state = 'active'").await;
    assert_eq!(app.post(&bob, &go, &json!({})).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn account_deletion_cancels_invites_and_guests_do_not_inherit_workspaces() {
    let mut app = TestApp::start_with(&[("NVISY_AUTH_ERASE_SECONDS", "0")]).await;
    let [ada, bob, eve] = [app.person("ada").await, app.person("bob").await, app.person("eve").await];
    let own = app.workspace(&ada, "Alone").await;
    let shared = app.workspace(&bob, "Shared").await;
    join(&app, &shared, &ada, "admin").await;
    let invite = async |by: &Person, workspace: &str| {
        let path = format!("/api/v1/workspaces/{workspace}/invites");
        app.post(by, &path, &json!({ "role": "guest" })).await.expect(201)["code"].take()
    };
    let void = [invite(&ada, &own).await, invite(&ada, &shared).await];
    let bobs = invite(&bob, &shared).await;
    leave(&app, &ada, PASSWORD).await.expect(202);
    let accept = async |code: &Value| app.post(&eve, "/api/v1/invites/accept", &json!({ "code": code })).await;
    for code in &void {
        accept(code).await.problem(404, "not_found");
    }
    accept(&bobs).await.expect(200);
    let cancelled = |reason: &str| {
        format!("select from activity where action = 'invite.cancelled' and details::json ->> 'reason' = '{reason}'")
    };
    assert_eq!(app.rows(&cancelled("account_deleted")).await.len(), 2);

    // However somebody came in: a guest has not been trusted with everything.
    join(&app, &own, &eve, "guest").await;
    app.start_worker().await;
    let gone = format!("select from account where id = '{}'", ada.id);
    until("the erasure", async || app.rows(&gone).await.is_empty().then_some(())).await;
    app.get(&eve, &format!("/api/v1/workspaces/{own}")).await.problem(404, "not_found");
    app.get(&eve, &format!("/api/v1/workspaces/{shared}")).await.expect(200);
    let left = "select chain::text as chain from activity where action = 'member.left'
        and details::json ->> 'reason' = 'erased'";
    let left: Vec<String> = app.rows(left).await.iter().map(|row| row.try_get("", "chain").unwrap()).collect();
    assert_eq!(left, [shared]);
    app.stop().await;
}
