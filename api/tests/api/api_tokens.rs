use futures::future::join_all;
use nvisy_shared::{
    clock,
    crypt::token::{self, TokenKind},
    domain::role::Permission,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    second_factor,
    support::app::{Answer, PASSWORD, Person, TestApp, send, until},
};

async fn create(app: &TestApp, person: &Person, changes: Value) -> Answer {
    let mut body = json!({
        "name": "Nightly import", "password": PASSWORD, "permissions": ["files.read", "search"], "expiresAt": clock::now() + chrono::Days::new(30)
    });
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    app.post(person, "/api/v1/account/tokens", &body).await
}

/// A program that acts for this person; and the token's id.
pub async fn program(app: &TestApp, person: &Person, changes: Value) -> (Person, String) {
    let mut token = create(app, person, changes).await.expect(201);
    let secret = token["secret"].take().as_str().unwrap().to_owned();
    (Person { token: secret, ..person.clone() }, token["token"]["id"].as_str().unwrap().to_owned())
}

#[actix_web::test]
async fn token_secret_is_shown_once_and_stored_as_a_hash() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let answer = create(&app, &ada, json!({ "name": " Import " })).await.expect(201);
    let secret = answer["secret"].as_str().unwrap();
    assert!(secret.starts_with("nvisy_") && secret.len() == 78, "{secret}");
    assert_eq!(answer["token"]["name"], "Import");
    assert!(secret.ends_with(answer["token"]["hint"].as_str().unwrap()));
    let list = app.get(&ada, "/api/v1/account/tokens").await;
    assert!(!list.text.contains(&secret[6..30]), "{}", list.text);
    assert_eq!(list.expect(200)["items"], json!([answer["token"]]));
    let stored = app.rows("select row_to_json(api_token)::text as row from api_token").await;
    let stored: String = stored[0].try_get("", "row").unwrap();
    assert!(!stored.contains(&secret[6..30]), "{stored}");
    app.stop().await;
}

/// Those made before tokens were keyed hashes of their ids are random, and as good.
#[actix_web::test]
async fn token_with_a_random_id_is_accepted() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let secret = token::generate(TokenKind::Api);
    let hash = hex::encode(token::hash(TokenKind::Api, secret.expose()).unwrap());
    app.sql(&format!(
        "insert into api_token (id, account_id, name, hash, hint, permissions, expires_at)
         values (gen_random_uuid(), '{}', 'Old', decode('{hash}', 'hex'), 'x', '{{search}}', now() + interval '1 day')",
        ada.id
    ))
    .await;
    let robot = Person { token: secret.expose().clone(), ..ada.clone() };
    assert_eq!(app.get(&robot, "/api/v1/account").await.expect(200)["id"], ada.id);
    app.stop().await;
}

#[actix_web::test]
async fn token_reaches_only_its_workspaces_and_permissions() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let tidal = app.workspace(&ada, "Tidal energy").await;
    let wave = app.workspace(&ada, "Wave energy").await;
    let (robot, _) = program(&app, &ada, json!({ "workspaces": [tidal] })).await;
    app.get(&robot, &format!("/api/v1/workspaces/{tidal}/files")).await.expect(200);
    app.get(&robot, &format!("/api/v1/workspaces/{tidal}")).await.problem(403, "scope_missing");
    app.delete(&robot, &format!("/api/v1/workspaces/{tidal}/files/{}", ada.id)).await.problem(403, "scope_missing");
    app.get(&robot, &format!("/api/v1/workspaces/{wave}/files")).await.problem(404, "not_found");
    app.get(&robot, "/api/v1/workspaces").await.problem(403, "scope_missing");
    let (reader, _) = program(&app, &ada, json!({ "workspaces": [tidal], "permissions": ["workspace.read"] })).await;
    let seen = app.get(&reader, "/api/v1/workspaces").await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["id"], tidal);
    assert_eq!(app.get(&robot, "/api/v1/account").await.expect(200)["id"], ada.id);
    // Who may look may not leave.
    app.post(&reader, &format!("/api/v1/workspaces/{tidal}/leave"), &json!({})).await.problem(403, "scope_missing");

    let (free, _) = program(&app, &ada, json!({})).await;
    app.get(&free, &format!("/api/v1/workspaces/{wave}/files")).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn token_never_exceeds_its_owners_current_role() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let all: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let (robot, _) = program(&app, &ada, json!({ "permissions": all })).await;
    let file = format!("/api/v1/workspaces/{workspace}/files/{}", ada.id);
    app.delete(&robot, &file).await.problem(404, "not_found");
    app.sql("update member set role = 'guest'").await;
    app.delete(&robot, &file).await.problem(403, "forbidden");
    app.sql("delete from member").await;
    app.get(&robot, &format!("/api/v1/workspaces/{workspace}")).await.problem(404, "not_found");
    app.sql("update account set state = 'suspended'").await;
    app.get(&robot, "/api/v1/account").await.problem(403, "account_suspended");
    app.sql("update account set state = 'active'").await;
    let deletion = app.post(&ada, "/api/v1/account/deletion", &json!({ "password": PASSWORD })).await;
    deletion.expect(202);
    app.get(&robot, "/api/v1/account").await.problem(401, "unauthenticated");
    app.stop().await;
}

/// Whatever belongs to a person and not to a workspace: found in the document, so that a new one cannot be forgotten.
#[actix_web::test]
async fn token_cannot_manage_credentials() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let all: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let (robot, token) = program(&app, &ada, json!({ "permissions": all })).await;
    let document = app.document().await;
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"] != json!([{ "bearer": [] }]) {
                continue;
            }
            let path = path.replace("{token}", &token).replace("{session}", &ada.id);
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = app.request(method, &path).bearer_auth(&robot.token);
            send(request.json(&json!({}))).await.problem(403, "session_needed");
            asked += 1;
        }
    }
    assert!(asked >= 10, "{asked}");
    for read in ["/api/v1/account/tokens", "/api/v1/account/sessions"] {
        app.get(&robot, read).await.problem(403, "session_needed");
    }
    app.stop().await;
}

#[actix_web::test]
async fn revoked_or_expired_token_is_rejected_at_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let (robot, id) = program(&app, &ada, json!({})).await;
    let (other, _) = program(&app, &ada, json!({})).await;
    app.get(&robot, "/api/v1/account").await.expect(200);
    let path = format!("/api/v1/account/tokens/{id}");
    app.delete(&bob, &path).await.problem(404, "not_found");
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    app.get(&robot, "/api/v1/account").await.problem(401, "unauthenticated");
    app.delete(&ada, &path).await.problem(404, "not_found");
    app.get(&other, "/api/v1/account").await.expect(200);
    app.sql("update api_token set expires_at = now()").await;
    app.get(&other, "/api/v1/account").await.problem(401, "unauthenticated");
    // Something that only looks like one.
    let mut broken = other.token.clone();
    broken.pop();
    for token in ["nvisy_", "nvisy_x", broken.as_str()] {
        let nobody = Person { token: token.to_owned(), ..ada.clone() };
        app.get(&nobody, "/api/v1/account").await.problem(401, "unauthenticated");
    }
    app.stop().await;
}

#[actix_web::test]
async fn last_use_is_written_in_batches() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let (robot, _) = program(&app, &ada, json!({})).await;
    let list = "/api/v1/account/tokens";
    assert!(app.get(&ada, list).await.expect(200)["items"][0].get("lastUsedAt").is_none());
    let used = "select last_used_at is not null as used from api_token";
    app.sql(
        "create table written (id uuid);
         create function count_write() returns trigger language plpgsql as $$
             begin insert into written values (new.id); return new; end $$;
         create trigger count_writes after update on api_token for each row execute function count_write()",
    )
    .await;
    for _ in 0..30 {
        app.get(&robot, "/api/v1/account").await.expect(200);
    }
    until("the batch", async || app.rows(used).await[0].try_get::<bool>("", "used").unwrap().then_some(())).await;
    // Thirty requests, and a batch or two.
    let writes = app.count("written").await;
    assert!((1..=10).contains(&writes), "{writes}");
    assert!(app.get(&ada, list).await.expect(200)["items"][0]["lastUsedAt"].is_string());
    app.stop().await;
}

#[actix_web::test]
async fn invalid_token_requests_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let workspace = app.workspace(&bob, "Not hers").await;
    let now = clock::now();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("permissions", json!([])),
        ("permissions", json!(["files.paint"])),
        ("expiresAt", json!(now - chrono::Days::new(1))),
        ("expiresAt", json!(now + chrono::Days::new(400))),
        ("workspaces", json!([])),
        ("workspaces", json!(["wind"])),
    ] {
        let problem = create(&app, &ada, json!({ field: value })).await.problem(422, "invalid_body");
        assert!(problem["errors"][0]["field"].as_str().unwrap().starts_with(field), "{problem}");
    }
    for strange in [&workspace, &ada.id] {
        create(&app, &ada, json!({ "workspaces": [strange] })).await.problem(404, "not_found");
    }
    assert_eq!(app.count("api_token").await, 0);
    let fill = "insert into api_token (id, account_id, name, hash, hint, permissions, expires_at)
        select gen_random_uuid(), id, 'x', sha256(n::text::bytea), 'x', '{search}', now() + interval '1 day'
        from account, generate_series(1, 100) n where email = 'ada@example.org'";
    app.sql(fill).await;
    create(&app, &ada, json!({})).await.problem(409, "too_many_tokens");
    create(&app, &bob, json!({})).await.expect(201);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_creation_stays_within_the_token_limit() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    app.sql(&format!(
        "insert into api_token (id, account_id, name, hash, hint, permissions, expires_at)
         select gen_random_uuid(), '{}', 'T', sha256(n::text::bytea), 'abcd', array['search'], now() + interval '1 day'
         from generate_series(1, 95) n",
        ada.id
    ))
    .await;
    // One password of an account is looked at at a time: who is told to come back does.
    let patiently = async || loop {
        let answer = create(&app, &ada, json!({})).await;
        if answer.status != 429 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let answers = join_all((0..20).map(|_| patiently())).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 5, "{answers:?}");
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status.as_u16())), "{answers:?}");
    assert_eq!(app.count("api_token").await, 100);
    app.stop().await;
}

/// What outlives a session takes more than one: a stolen access token makes no token that lasts a year.
#[actix_web::test]
async fn token_creation_requires_password_and_second_factor() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    create(&app, &ada, json!({ "password": "somebody else's" })).await.problem(403, "wrong_password");
    create(&app, &ada, json!({ "password": null })).await.problem(422, "invalid_body");
    let device = second_factor::enrol(&app, &ada).await;
    second_factor::confirm(&app, &ada, &device.code(0)).await.expect(200);
    second_factor::forget_steps(&app).await;
    create(&app, &ada, json!({})).await.problem(401, "second_factor_needed");
    create(&app, &ada, json!({ "code": "000000" })).await.problem(401, "wrong_code");
    assert_eq!(app.count("api_token").await, 0);
    create(&app, &ada, json!({ "code": device.code(0) })).await.expect(201);
    app.stop().await;
}
