use futures::{StreamExt, channel::mpsc::UnboundedSender, future::join_all};
use nvisy_shared::store::{Conn, TransactionTrait};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{PASSWORD, TestAccount, TestApp, TestResponse, part, send, start_second_api, wait_until};

async fn create(app: &TestApp, account: &TestAccount, key: &str, name: &str) -> TestResponse {
    let request = app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&account.token);
    send(request.header("idempotency-key", key).json(&json!({ "name": name }))).await
}

async fn workspace_count(app: &TestApp, account: &TestAccount) -> usize {
    app.get(account, "/api/v1/workspaces?limit=100").await.expect(200)["items"].as_array().unwrap().len()
}

#[actix_web::test]
async fn repeated_request_replays_the_response_without_a_second_effect() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let first = create(&app, &ada, "k1", "Tidal energy").await;
    let again = create(&app, &ada, "k1", "Tidal energy").await;
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!((first.status, first.text), (again.status, again.text));
    assert_eq!(workspace_count(&app, &ada).await, 1);

    create(&app, &ada, "k2", "Tidal energy").await.expect(201);
    assert_eq!(workspace_count(&app, &ada).await, 2);
    app.stop().await;
}

#[actix_web::test]
async fn key_is_scoped_to_one_request_and_one_caller() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    create(&app, &ada, "k1", "Tidal energy").await.expect(201);
    create(&app, &ada, "k1", "Wave energy").await.problem(422, "idempotency_key_reused");
    create(&app, &bob, "k1", "Wave energy").await.expect(201);
    assert_eq!(workspace_count(&app, &ada).await, 1);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_requests_with_one_key_take_effect_once() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let responses = join_all((0..12).map(|_| create(&app, &ada, "k1", "Tidal energy"))).await;
    let (done, waiting): (Vec<_>, Vec<_>) = responses.into_iter().partition(|response| response.status == 201);
    assert_eq!(done.iter().filter(|response| response.header("idempotency-replayed") != "true").count(), 1);
    let bodies: Vec<Value> = done.into_iter().map(|response| response.expect(201)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    for response in waiting {
        assert_eq!(response.header("retry-after"), "1");
        assert_eq!(response.problem(409, "idempotency_key_in_use")["retryAfter"], 1);
    }
    assert_eq!(create(&app, &ada, "k1", "Tidal energy").await.expect(201), bodies[0]);
    assert_eq!(workspace_count(&app, &ada).await, 1);
    app.stop().await;
}

/// Whether a request of this account holds the lock of the key.
async fn is_locked(app: &TestApp, account: &TestAccount, key: &str) -> bool {
    let locks = format!(
        "select count(*) as n from pg_locks
         where locktype = 'advisory' and granted
           and ((classid::bigint << 32) | objid::bigint) = hashtextextended('{} createWorkspace {key}', 0)",
        account.id
    );
    app.rows(&locks).await[0].try_get::<i64>("", "n").unwrap() > 0
}

#[actix_web::test]
async fn key_is_released_when_its_api_is_killed() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (mut killed_api, url) = start_second_api(&app, &[]).await;
    let lock_holder = app.db.begin().await.unwrap();
    lock_holder.execute_unprepared("lock table workspace in exclusive mode").await.unwrap();
    let request = app.request_to(&url, Method::POST, "/api/v1/workspaces").bearer_auth(&ada.token);
    let request = request.header("idempotency-key", "k1").json(&json!({ "name": "Tidal energy" }));
    let pending = tokio::spawn(request.send());
    wait_until("the key is held", async || is_locked(&app, &ada, "k1").await.then_some(())).await;

    // While the first request runs, another replica rejects the key, with the same body or another.
    for name in ["Tidal energy", "Wave energy"] {
        let response = create(&app, &ada, "k1", name).await;
        assert_eq!(response.header("retry-after"), "1");
        response.problem(409, "idempotency_key_in_use");
    }
    killed_api.kill().await.expect("a killed API");
    assert!(pending.await.expect("the request ends").is_err());
    lock_holder.rollback().await.unwrap();

    let response = wait_until("the key is released", async || {
        let response = create(&app, &ada, "k1", "Tidal energy").await;
        (response.status != 409).then_some(response)
    })
    .await;
    assert_eq!(response.header("idempotency-replayed"), "", "the killed request had no effect");
    response.expect(201);
    assert_eq!(workspace_count(&app, &ada).await, 1);
    app.stop().await;
}

#[actix_web::test]
async fn key_expires_after_the_configured_time() {
    let app = TestApp::start_with(&[("NVISY_HTTP_IDEMPOTENCY_SECONDS", "60")]).await;
    let ada = app.create_account("ada").await;
    let first = create(&app, &ada, "k1", "Tidal energy").await.expect(201);
    app.sql("update idempotency set created_at = created_at - interval '59 seconds'").await;
    assert_eq!(create(&app, &ada, "k1", "Tidal energy").await.expect(201), first);
    app.sql("update idempotency set created_at = created_at - interval '2 seconds'").await;
    let second = create(&app, &ada, "k1", "Wave energy").await.expect(201);
    assert_eq!(create(&app, &ada, "k1", "Wave energy").await.expect(201), second);
    assert_eq!(workspace_count(&app, &ada).await, 2);
    app.stop().await;
}

#[actix_web::test]
async fn repeated_upload_is_replayed() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let upload = |text: &'static str| app.upload_with_key(&ada, &workspace, vec![part("tide.txt", text)], Some("k1"));
    let responses = join_all((0..4).map(|_| upload("The tide turns."))).await;
    assert!(responses.iter().all(|response| [202, 409].contains(&response.status.as_u16())), "{responses:?}");
    let first = upload("The tide turns.").await;
    let again = upload("The tide turns.").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(first.header("location").contains("/files/"), "{:?}", first.headers);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.expect(202), again.expect(202));
    upload("The tide stays.").await.problem(422, "idempotency_key_reused");
    assert_eq!(app.count("file").await, 1);
    app.stop_and_drop_jobs().await;
}

/// Starts an upload; the rest of its body is sent by the sender.
fn start_upload(
    app: &TestApp,
    base: &str,
    account: &TestAccount,
    workspace: &str,
) -> (UnboundedSender<&'static str>, JoinHandle<Option<TestResponse>>) {
    let (rest, arriving) = futures::channel::mpsc::unbounded::<&'static str>();
    rest.unbounded_send("The tide").unwrap();
    let body = reqwest::Body::wrap_stream(arriving.map(Ok::<_, std::io::Error>));
    let form = Form::new().part("file", Part::stream(body).file_name("tide.txt"));
    let request = app.request_to(base, Method::POST, &format!("/api/v1/workspaces/{workspace}/files"));
    let request = request.bearer_auth(&account.token).header("idempotency-key", "k1").multipart(form);
    let response = tokio::spawn(async move {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        Some(TestResponse { status, headers, text: response.text().await.ok()? })
    });
    (rest, response)
}

#[actix_web::test]
async fn upload_holds_its_key_while_the_body_arrives() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let complete = || app.upload_with_key(&ada, &workspace, vec![part("tide.txt", "The tide turns.")], Some("k1"));
    let (mut second, other) = start_second_api(&app, &[]).await;
    let (rest, first) = start_upload(&app, &other, &ada, &workspace);
    wait_until("the key is held", async || (app.count("idempotency_lease").await == 1).then_some(())).await;
    let response = complete().await;
    assert_eq!(response.header("retry-after"), "1");
    response.problem(409, "idempotency_key_in_use");
    // The key of another account is free, and no connection or transaction is held.
    let bob = app.create_account("bob").await;
    app.add_member(&workspace, &bob, "member").await;
    app.upload_with_key(&bob, &workspace, vec![part("b.txt", "Ebb.")], Some("k1")).await.expect(202);
    let open =
        "select count(*) as n from pg_stat_activity where datname = current_database() and state like 'idle in%'";
    // Other requests open short transactions.
    let no_transaction = async || (app.rows(open).await[0].try_get::<i64>("", "n").unwrap() == 0).then_some(());
    wait_until("no transaction is open", no_transaction).await;

    rest.unbounded_send(" turns.").unwrap();
    drop(rest);
    let first = first.await.unwrap().unwrap().expect(202);
    let again =
        wait_until("the key is released", async || Some(complete().await).filter(|response| response.status != 409))
            .await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202), first);
    assert_eq!(app.count("file").await, 2);
    assert_eq!(app.count("idempotency_lease").await, 0);
    second.kill().await.expect("a killed API");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn aborted_upload_releases_its_key() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let holder = async || {
        let holders = app.rows("select holder::text as holder from idempotency_lease").await;
        holders.first().map(|row| row.try_get::<String>("", "holder").unwrap())
    };
    let here = format!("http://{}", app.address);
    let (_rest, broken) = start_upload(&app, &here, &ada, &workspace);
    wait_until("the key is held", async || holder().await).await;
    broken.abort();
    wait_until("the key is released", async || holder().await.is_none().then_some(())).await;

    let (mut killed_api, other) = start_second_api(&app, &[]).await;
    let (_rest, killed_upload) = start_upload(&app, &other, &ada, &workspace);
    let first = wait_until("the key is held", async || holder().await).await;
    killed_api.kill().await.expect("a killed API");
    assert!(killed_upload.await.unwrap().is_none());
    // The key is held until its lease expires.
    let upload = || app.upload_with_key(&ada, &workspace, vec![part("tide.txt", "The tide turns.")], Some("k1"));
    upload().await.problem(409, "idempotency_key_in_use");
    assert_eq!(holder().await, Some(first));
    app.sql("update idempotency_lease set until = now() - interval '1 millisecond'").await;
    let response = upload().await;
    assert_eq!(response.header("idempotency-replayed"), "");
    response.expect(202);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn failed_request_releases_its_key() {
    let app = TestApp::start().await;
    app.create_account("ada").await;
    let sign_up = |email: &str| {
        let body = json!({ "email": email, "password": PASSWORD, "displayName": "Bob" });
        send(app.request(Method::POST, "/api/v1/auth/sign-up").header("idempotency-key", "k1").json(&body))
    };
    sign_up("ada@example.org").await.problem(409, "email_taken");
    let account = sign_up("bob@example.org").await.expect(201);
    assert_eq!(sign_up("bob@example.org").await.expect(201), account);
    app.stop().await;
}

#[actix_web::test]
async fn sign_up_with_another_password_is_a_different_request() {
    let app = TestApp::start().await;
    let sign_up = |password: &str| {
        let body = json!({ "email": "ada@example.org", "password": password, "displayName": "Ada" });
        send(app.request(Method::POST, "/api/v1/auth/sign-up").header("idempotency-key", "k1").json(&body))
    };
    let account = sign_up(PASSWORD).await.expect(201);
    assert_eq!(sign_up(PASSWORD).await.expect(201), account);
    sign_up("eight badgers hum").await.problem(422, "idempotency_key_reused");
    app.stop().await;
}

/// Operations with a 202 that create nothing: repeated, they change nothing more.
const CREATING_NOTHING: [&str; 3] = ["deleteAccount", "retryItem", "retryRun"];

/// A POST creates something if its documented response is 201 or 202.
#[actix_web::test]
async fn every_creating_post_accepts_a_key() {
    let app = TestApp::start().await;
    let mut creating = 0;
    for operation in app.openapi().await.operations().iter().filter(|operation| operation.method == Method::POST) {
        let id = operation.id.as_str();
        let creates = operation.has_response(201) || operation.has_response(202);
        let accepts_key = operation.parameters("header").contains(&"Idempotency-Key");
        assert_eq!(accepts_key, creates && !CREATING_NOTHING.contains(&id), "{id}");
        creating += usize::from(accepts_key);
    }
    assert!(creating >= 9, "only {creating} operations accept a key");
    app.stop().await;
}

#[actix_web::test]
async fn repeated_token_creation_returns_the_same_unstored_secret() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let expires = nvisy_shared::clock::now() + chrono::Days::new(1);
    let create = |account: &TestAccount, name: &str| {
        let body = json!({ "name": name, "password": PASSWORD, "permissions": ["search"], "expiresAt": expires });
        let request = app.request(Method::POST, "/api/v1/account/tokens").bearer_auth(&account.token);
        send(request.header("idempotency-key", "k1").json(&body))
    };
    let responses = join_all((0..8).map(|_| create(&ada, "Robot"))).await;
    // An account checks one password at a time.
    assert!(responses.iter().all(|response| [201, 409, 429].contains(&response.status.as_u16())), "{responses:?}");
    let first = create(&ada, "Robot").await;
    assert_eq!(first.header("idempotency-replayed"), "true");
    let first = first.expect(201);
    // Another session of the account gets the same response.
    assert_eq!(create(&app.new_session(&ada).await, "Robot").await.expect(201), first);
    create(&ada, "Other").await.problem(422, "idempotency_key_reused");
    assert_eq!(app.count("api_token").await, 1);

    let secret = first["secret"].as_str().unwrap().to_owned();
    let caller = TestAccount { token: secret.clone(), ..ada.clone() };
    assert_eq!(app.get(&caller, "/api/v1/account").await.expect(200)["id"], ada.id);
    assert_ne!(create(&bob, "Robot").await.expect(201)["secret"], first["secret"]);
    for table in ["idempotency", "api_token", "activity"] {
        for row in app.rows(&format!("select t::text as row from {table} t")).await {
            let row: String = row.try_get("", "row").unwrap();
            assert!(!row.contains(&secret[6..30]), "{table}: {row}");
        }
    }
    // The response of a revoked token is replayed, and the token is rejected.
    let path = format!("/api/v1/account/tokens/{}", first["token"]["id"].as_str().unwrap());
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    assert_eq!(create(&ada, "Robot").await.expect(201), first);
    app.get(&caller, "/api/v1/account").await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn invalid_key_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let long = "k".repeat(256);
    for key in ["", "with space", &long] {
        create(&app, &ada, key, "Tidal energy").await.problem(400, "invalid_header");
    }
    assert_eq!(workspace_count(&app, &ada).await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn unauthenticated_keys_are_scoped_to_the_client_network() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let sign_up = async |network: &str, name: &str| {
        let request = app.request(Method::POST, "/api/v1/auth/sign-up").header("x-forwarded-for", network);
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD, "displayName": name });
        send(request.header("idempotency-key", "1").json(&body)).await
    };
    let ada = sign_up("192.0.2.1", "ada").await.expect(201);
    sign_up("192.0.2.2", "bob").await.expect(201);
    sign_up("192.0.2.1", "eve").await.problem(422, "idempotency_key_reused");
    let again = sign_up("192.0.2.1", "ada").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), ada);
    let scopes = app.rows("select scope from idempotency").await;
    assert!(scopes.iter().all(|row| !row.try_get::<String>("", "scope").unwrap().contains("192.0.2")));
    app.stop().await;
}
