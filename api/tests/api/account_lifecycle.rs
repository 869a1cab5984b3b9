//! Changes of an account, its avatar, its deletion.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, TestAccount, TestApp, TestResponse, mail_requests::NEW_PASSWORD, part, send, wait_until,
};

async fn update(app: &TestApp, account: &TestAccount, tag: Option<&str>, name: &str) -> TestResponse {
    let request = app.request(Method::PATCH, "/api/v1/account").bearer_auth(&account.token);
    let request = tag.into_iter().fold(request, |request, tag| request.header(header::IF_MATCH, tag));
    send(request.json(&json!({ "displayName": name }))).await
}

async fn change_password(app: &TestApp, account: &TestAccount, from: &str, to: &str) -> TestResponse {
    app.post(account, "/api/v1/account/password", &json!({ "currentPassword": from, "newPassword": to })).await
}

async fn delete_account(app: &TestApp, account: &TestAccount, password: &str) -> TestResponse {
    app.post(account, "/api/v1/account/deletion", &json!({ "password": password })).await
}

#[actix_web::test]
async fn account_update_with_a_stale_etag_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let read = app.get(&ada, "/api/v1/account").await;
    let tag = read.header("etag").to_owned();
    let changed = update(&app, &ada, Some(&tag), " Ada Lovelace ").await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.expect(200)["displayName"], "Ada Lovelace");
    for stale in [tag.as_str(), "\"nonsense\"", "W/\"2\"", "nonsense"] {
        update(&app, &ada, Some(stale), "Other").await.problem(412, "precondition_failed");
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
    let ada = app.create_account("ada").await;
    let other = app.new_session(&ada).await;
    change_password(&app, &ada, "not the password", NEW_PASSWORD).await.problem(403, "wrong_password");
    let weak = change_password(&app, &ada, PASSWORD, "password123").await.problem(422, "invalid_body");
    assert_eq!(weak["errors"][0]["field"], "newPassword");
    app.get(&other, "/api/v1/account").await.expect(200);

    assert_eq!(change_password(&app, &ada, PASSWORD, NEW_PASSWORD).await.status, 204);
    app.get(&ada, "/api/v1/account").await.expect(200);
    app.get(&other, "/api/v1/account").await.problem(401, "unauthenticated");
    let body = json!({ "refreshToken": other.refresh_token });
    send(app.request(Method::POST, "/api/v1/auth/refresh").json(&body)).await.problem(401, "refresh_token_refused");
    app.login(&ada.email, PASSWORD).await.problem(401, "wrong_credentials");
    app.login(&ada.email, NEW_PASSWORD).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn avatar_is_served_with_its_detected_media_type() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
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
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    delete_account(&app, &ada, "not the password").await.problem(403, "wrong_password");
    let deletion = delete_account(&app, &ada, PASSWORD).await.expect(202);
    assert!(deletion["eraseAt"].is_string(), "{deletion}");
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");

    let back = app.new_session(&ada).await;
    app.get(&back, &format!("/api/v1/workspaces/{workspace}")).await.expect(200);
    assert!(app.rows("select from account where erase_at is not null").await.is_empty());
    app.stop().await;
}

#[actix_web::test]
async fn account_is_erased_with_its_sole_workspaces_after_the_grace_period() {
    let settings = [("NVISY_AUTH_ERASE_SECONDS", "0"), ("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")];
    let mut app = TestApp::start_with(&settings).await;
    let ada = app.create_account("ada").await;
    update(&app, &ada, None, TRACES[1]).await.expect(200);
    let bob = app.create_account("bob").await;
    let carol = app.create_account("carol").await;
    let alone = app.create_workspace(&ada, "Alone").await;
    let shared = app.create_workspace(&bob, "Shared").await;
    let co_owned = app.create_workspace(&ada, "Co-owned").await;
    app.add_member(&shared, &ada, "member").await;
    app.add_member(&co_owned, &bob, "owner").await;
    app.add_member(&co_owned, &carol, "guest").await;
    write_personal_data(&app, &ada, &bob, &shared, &co_owned).await;
    let found = find_traces(&app).await;
    for (table, trace) in [
        ("account", 0),
        ("account", 1),
        ("session", 2),
        ("invite", 0),
        ("mail", 0),
        ("idempotency", 0),
        ("idempotency", 1),
    ] {
        assert!(found.contains(&(table.to_owned(), TRACES[trace])), "no {} in {table}: {found:?}", TRACES[trace]);
    }
    let entry = upload_entry(&app, &bob, &shared).await;
    assert_eq!((entry["type"].as_str(), entry["address"].as_str()), (Some("file.uploaded"), Some(TRACES[2])));
    delete_account(&app, &ada, PASSWORD).await.expect(202);
    // The other owner is no longer an owner.
    app.sql(&format!(
        "update member set role = 'admin' where workspace_id = '{co_owned}' and account_id = '{}'",
        bob.id
    ))
    .await;

    app.start_worker().await;
    let account = format!("select from account where id = '{}'", ada.id);
    wait_until("the account is erased", async || app.rows(&account).await.is_empty().then_some(())).await;
    app.login(&ada.email, PASSWORD).await.problem(401, "wrong_credentials");
    let workspace = format!("select from workspace where id = '{alone}' and deleted_at is null");
    assert!(app.rows(&workspace).await.is_empty());
    app.get(&bob, &format!("/api/v1/workspaces/{shared}")).await.expect(200);
    let role = app.get(&bob, &format!("/api/v1/workspaces/{co_owned}")).await.expect(200)["role"].take();
    assert_eq!(role, "owner");
    // No table refers to the account.
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
    assert_eq!(find_traces(&app).await, []);
    // The log still has the account's entries, unchanged.
    let entry = upload_entry(&app, &bob, &shared).await;
    assert_eq!((entry["actor"]["accountId"].as_str(), entry.get("address")), (Some(ada.id.as_str()), None));
    let verified = nvisy_api::cli::verify_activity(app.config(), None).await.unwrap();
    assert!(verified.intact, "{}", verified.report);
    app.stop().await;
}

/// E-mail address, display name and network address of an account that is erased.
const TRACES: [&str; 3] = ["ada@example.org", "Ada Zweistein", "203.0.113.77"];

/// Writes the account's personal data to every table that can hold it.
async fn write_personal_data(app: &TestApp, account: &TestAccount, other: &TestAccount, shared: &str, others: &str) {
    let from = |request: reqwest::RequestBuilder| request.header("x-forwarded-for", TRACES[2]);
    let login = json!({ "email": account.email, "password": PASSWORD });
    send(from(app.request(Method::POST, "/api/v1/auth/login").json(&login))).await.expect(200);
    let wrong = json!({ "email": account.email, "password": "not the password" });
    send(from(app.request(Method::POST, "/api/v1/auth/login").json(&wrong))).await.problem(401, "wrong_credentials");
    let form = reqwest::multipart::Form::new().part("file", part("a.txt", "text"));
    let upload = app.request(Method::POST, &format!("/api/v1/workspaces/{shared}/files")).bearer_auth(&account.token);
    send(from(upload.multipart(form))).await.expect(202);
    // Requests of another account, whose responses are stored.
    let workspace = app.create_workspace(other, "Elsewhere").await;
    let invite = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/invites"));
    let invite = invite.bearer_auth(&other.token).header("idempotency-key", "invite");
    send(invite.json(&json!({ "role": "member", "email": account.email }))).await.expect(201);
    let member = json!({ "accountId": account.id, "displayName": TRACES[1], "email": account.email, "role": "guest" });
    app.sql(&format!(
        "insert into idempotency (scope, key, fingerprint, status, body)
         values ('{} changeMember {others}', 'role', sha256('x'), 200, '{member}')",
        other.id
    ))
    .await;
    // A password reset that was requested.
    app.sql(&format!(
        "insert into mail (id, kind, email, expires_at)
         values (gen_random_uuid(), 'password_reset', '{}', now() + interval '1 hour')",
        account.email
    ))
    .await;
    // The upload need not be indexed, and there is no model.
    app.sql("delete from job").await;
}

/// Every table with every trace that any column of its rows contains.
async fn find_traces(app: &TestApp) -> Vec<(String, &'static str)> {
    let tables = app.rows("select relname::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1").await;
    assert!(tables.len() > 25);
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.try_get("", "name").unwrap();
        for trace in TRACES {
            let rows = format!("select from {table} t where strpos(lower(t::text), lower('{trace}')) > 0 limit 1");
            if !app.rows(&rows).await.is_empty() {
                found.push((table.clone(), trace));
            }
        }
    }
    found
}

/// The newest entry of an upload in the workspace's log.
async fn upload_entry(app: &TestApp, by: &TestAccount, workspace: &str) -> Value {
    let page = app.get(by, &format!("/api/v1/workspaces/{workspace}/activities?type=file.uploaded")).await.expect(200);
    page["items"][0].clone()
}

#[actix_web::test]
async fn last_owner_cannot_delete_their_account() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "admin").await;
    delete_account(&app, &ada, PASSWORD).await.problem(409, "last_owner");
    app.get(&ada, "/api/v1/account").await.expect(200);
    app.sql("update member set role = 'owner'").await;
    delete_account(&app, &ada, PASSWORD).await.expect(202);
    // An owner whose account is being deleted or is suspended does not count.
    let problem: Value = delete_account(&app, &bob, PASSWORD).await.problem(409, "last_owner");
    assert!(problem["title"].is_string());
    let leave = format!("/api/v1/workspaces/{workspace}/leave");
    app.post(&bob, &leave, &json!({})).await.problem(409, "last_owner");
    app.sql("update account set erase_at = null, state = 'suspended' where email like 'ada%'").await;
    app.post(&bob, &leave, &json!({})).await.problem(409, "last_owner");
    delete_account(&app, &bob, PASSWORD).await.problem(409, "last_owner");
    app.sql("update account set state = 'active'").await;
    assert_eq!(app.post(&bob, &leave, &json!({})).await.status, 204);
    app.stop().await;
}

#[actix_web::test]
async fn account_deletion_cancels_invites_and_guests_do_not_inherit_workspaces() {
    let mut app = TestApp::start_with(&[("NVISY_AUTH_ERASE_SECONDS", "0")]).await;
    let [ada, bob, eve] =
        [app.create_account("ada").await, app.create_account("bob").await, app.create_account("eve").await];
    let own = app.create_workspace(&ada, "Alone").await;
    let shared = app.create_workspace(&bob, "Shared").await;
    app.add_member(&shared, &ada, "admin").await;
    let invite = async |by: &TestAccount, workspace: &str| {
        let path = format!("/api/v1/workspaces/{workspace}/invites");
        app.post(by, &path, &json!({ "role": "guest" })).await.expect(201)["code"].take()
    };
    let void = [invite(&ada, &own).await, invite(&ada, &shared).await];
    let bobs = invite(&bob, &shared).await;
    delete_account(&app, &ada, PASSWORD).await.expect(202);
    let accept = async |code: &Value| app.post(&eve, "/api/v1/invites/accept", &json!({ "code": code })).await;
    for code in &void {
        accept(code).await.problem(404, "not_found");
    }
    accept(&bobs).await.expect(200);
    let cancelled = |reason: &str| {
        format!("select from activity where action = 'invite.cancelled' and details::json ->> 'reason' = '{reason}'")
    };
    assert_eq!(app.rows(&cancelled("account_deleted")).await.len(), 2);

    // A guest does not inherit the workspace.
    app.add_member(&own, &eve, "guest").await;
    app.start_worker().await;
    let account = format!("select from account where id = '{}'", ada.id);
    wait_until("the account is erased", async || app.rows(&account).await.is_empty().then_some(())).await;
    app.get(&eve, &format!("/api/v1/workspaces/{own}")).await.problem(404, "not_found");
    app.get(&eve, &format!("/api/v1/workspaces/{shared}")).await.expect(200);
    let left = "select chain::text as chain from activity where action = 'member.left'
        and details::json ->> 'reason' = 'erased'";
    let left: Vec<String> = app.rows(left).await.iter().map(|row| row.try_get("", "chain").unwrap()).collect();
    assert_eq!(left, [shared]);
    app.stop().await;
}
