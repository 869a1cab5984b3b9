use futures::future::join_all;
use nvisy_shared::{
    clock,
    crypt::token::{self, TokenKind},
    domain::role::Permission,
};
use serde_json::json;

use crate::support::{PASSWORD, TestAccount, TestApp, second_factor, send, wait_until};

#[actix_web::test]
async fn token_secret_is_shown_once_and_stored_as_a_hash() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let response = app.create_api_token(&ada, &json!({ "name": " Import " })).await.expect(201);
    let secret = response["secret"].as_str().unwrap();
    assert!(secret.starts_with("nvisy_") && secret.len() == 78, "{secret}");
    assert_eq!(response["token"]["name"], "Import");
    assert!(secret.ends_with(response["token"]["hint"].as_str().unwrap()));
    let list = app.get(&ada, "/api/v1/account/tokens").await;
    assert!(!list.text.contains(&secret[6..30]), "{}", list.text);
    assert_eq!(list.expect(200)["items"], json!([response["token"]]));
    let stored = app.rows("select row_to_json(api_token)::text as row from api_token").await;
    let stored: String = stored[0].try_get("", "row").unwrap();
    assert!(!stored.contains(&secret[6..30]), "{stored}");
    app.stop().await;
}

/// Authentication compares hashes only: it does not derive the token from its id.
#[actix_web::test]
async fn token_with_a_random_id_is_accepted() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let secret = token::generate(TokenKind::Api);
    let hash = hex::encode(token::hash(TokenKind::Api, secret.expose()).unwrap());
    app.sql(&format!(
        "insert into api_token (id, account_id, name, hash, hint, permissions, expires_at)
         values (gen_random_uuid(), '{}', 'Random', decode('{hash}', 'hex'), 'x', '{{search}}', now() + interval '1 day')",
        ada.id
    ))
    .await;
    let caller = TestAccount { token: secret.expose().clone(), ..ada.clone() };
    assert_eq!(app.get(&caller, "/api/v1/account").await.expect(200)["id"], ada.id);
    app.stop().await;
}

#[actix_web::test]
async fn token_reaches_only_its_workspaces_and_permissions() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let tidal = app.create_workspace(&ada, "Tidal energy").await;
    let wave = app.create_workspace(&ada, "Wave energy").await;
    let (caller, _) = app.api_token(&ada, &json!({ "workspaces": [tidal] })).await;
    app.get(&caller, &format!("/api/v1/workspaces/{tidal}/files")).await.expect(200);
    app.get(&caller, &format!("/api/v1/workspaces/{tidal}")).await.problem(403, "scope_missing");
    app.delete(&caller, &format!("/api/v1/workspaces/{tidal}/files/{}", ada.id)).await.problem(403, "scope_missing");
    app.get(&caller, &format!("/api/v1/workspaces/{wave}/files")).await.problem(404, "not_found");
    app.get(&caller, "/api/v1/workspaces").await.problem(403, "scope_missing");
    let (reader, _) = app.api_token(&ada, &json!({ "workspaces": [tidal], "permissions": ["workspace.read"] })).await;
    let seen = app.get(&reader, "/api/v1/workspaces").await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["id"], tidal);
    assert_eq!(app.get(&caller, "/api/v1/account").await.expect(200)["id"], ada.id);
    // A permission to read does not include leaving.
    app.post(&reader, &format!("/api/v1/workspaces/{tidal}/leave"), &json!({})).await.problem(403, "scope_missing");

    let (free, _) = app.api_token(&ada, &json!({})).await;
    app.get(&free, &format!("/api/v1/workspaces/{wave}/files")).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn token_never_exceeds_its_owners_current_role() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let all: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let (caller, _) = app.api_token(&ada, &json!({ "permissions": all })).await;
    let file = format!("/api/v1/workspaces/{workspace}/files/{}", ada.id);
    app.delete(&caller, &file).await.problem(404, "not_found");
    app.sql("update member set role = 'guest'").await;
    app.delete(&caller, &file).await.problem(403, "forbidden");
    app.sql("delete from member").await;
    app.get(&caller, &format!("/api/v1/workspaces/{workspace}")).await.problem(404, "not_found");
    app.sql("update account set state = 'suspended'").await;
    app.get(&caller, "/api/v1/account").await.problem(403, "account_suspended");
    app.sql("update account set state = 'active'").await;
    let deletion = app.post(&ada, "/api/v1/account/deletion", &json!({ "password": PASSWORD })).await;
    deletion.expect(202);
    app.get(&caller, "/api/v1/account").await.problem(401, "unauthenticated");
    app.stop().await;
}

/// Every documented operation that accepts only a session.
#[actix_web::test]
async fn token_cannot_manage_credentials() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let all: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let (caller, id) = app.api_token(&ada, &json!({ "permissions": all })).await;
    let mut called = 0;
    for operation in app.openapi().await.operations() {
        if operation.security() != ["bearer"] {
            continue;
        }
        let path = operation.path.replace("{token}", &id).replace("{session}", &ada.id);
        let request = app.request(operation.method, &path).bearer_auth(&caller.token);
        send(request.json(&json!({}))).await.problem(403, "session_needed");
        called += 1;
    }
    assert!(called >= 10, "only {called} operations were called");
    for read in ["/api/v1/account/tokens", "/api/v1/account/sessions"] {
        app.get(&caller, read).await.problem(403, "session_needed");
    }
    app.stop().await;
}

#[actix_web::test]
async fn revoked_or_expired_token_is_rejected_at_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let (caller, id) = app.api_token(&ada, &json!({})).await;
    let (other, _) = app.api_token(&ada, &json!({})).await;
    app.get(&caller, "/api/v1/account").await.expect(200);
    let path = format!("/api/v1/account/tokens/{id}");
    app.delete(&bob, &path).await.problem(404, "not_found");
    assert_eq!(app.delete(&ada, &path).await.status, 204);
    app.get(&caller, "/api/v1/account").await.problem(401, "unauthenticated");
    app.delete(&ada, &path).await.problem(404, "not_found");
    app.get(&other, "/api/v1/account").await.expect(200);
    app.sql("update api_token set expires_at = now()").await;
    app.get(&other, "/api/v1/account").await.problem(401, "unauthenticated");
    // Malformed tokens.
    let mut broken = other.token.clone();
    broken.pop();
    for token in ["nvisy_", "nvisy_x", broken.as_str()] {
        let malformed = TestAccount { token: token.to_owned(), ..ada.clone() };
        app.get(&malformed, "/api/v1/account").await.problem(401, "unauthenticated");
    }
    app.stop().await;
}

#[actix_web::test]
async fn last_use_is_written_in_batches() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (caller, _) = app.api_token(&ada, &json!({})).await;
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
        app.get(&caller, "/api/v1/account").await.expect(200);
    }
    wait_until("the last use is written", async || {
        app.rows(used).await[0].try_get::<bool>("", "used").unwrap().then_some(())
    })
    .await;
    // Thirty requests are written in a few batches.
    let writes = app.count("written").await;
    assert!((1..=10).contains(&writes), "{writes}");
    assert!(app.get(&ada, list).await.expect(200)["items"][0]["lastUsedAt"].is_string());
    app.stop().await;
}

#[actix_web::test]
async fn invalid_token_requests_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let workspace = app.create_workspace(&bob, "Other").await;
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
        let problem = app.create_api_token(&ada, &json!({ field: value })).await.problem(422, "invalid_body");
        assert!(problem["errors"][0]["field"].as_str().unwrap().starts_with(field), "{problem}");
    }
    for unknown in [&workspace, &ada.id] {
        app.create_api_token(&ada, &json!({ "workspaces": [unknown] })).await.problem(404, "not_found");
    }
    assert_eq!(app.count("api_token").await, 0);
    let fill = "insert into api_token (id, account_id, name, hash, hint, permissions, expires_at)
        select gen_random_uuid(), id, 'x', sha256(n::text::bytea), 'x', '{search}', now() + interval '1 day'
        from account, generate_series(1, 100) n where email = 'ada@example.org'";
    app.sql(fill).await;
    app.create_api_token(&ada, &json!({})).await.problem(409, "too_many_tokens");
    app.create_api_token(&bob, &json!({})).await.expect(201);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_creation_stays_within_the_token_limit() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.sql(&format!(
        "insert into api_token (id, account_id, name, hash, hint, permissions, expires_at)
         select gen_random_uuid(), '{}', 'T', sha256(n::text::bytea), 'abcd', array['search'], now() + interval '1 day'
         from generate_series(1, 95) n",
        ada.id
    ))
    .await;
    // An account checks one password at a time; a throttled request is repeated.
    let create = async || loop {
        let response = app.create_api_token(&ada, &json!({})).await;
        if response.status != 429 {
            return response;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let responses = join_all((0..20).map(|_| create())).await;
    let created = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(created, 5, "{responses:?}");
    assert!(responses.iter().all(|response| [201, 409].contains(&response.status.as_u16())), "{responses:?}");
    assert_eq!(app.count("api_token").await, 100);
    app.stop().await;
}

/// A token outlives a session: a stolen access token must not be able to create one.
#[actix_web::test]
async fn token_creation_requires_password_and_second_factor() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.create_api_token(&ada, &json!({ "password": "not the password" })).await.problem(403, "wrong_password");
    app.create_api_token(&ada, &json!({ "password": null })).await.problem(422, "invalid_body");
    let authenticator = second_factor::enrol(&app, &ada).await;
    second_factor::confirm(&app, &ada, &authenticator.code(0)).await.expect(200);
    second_factor::allow_reuse(&app).await;
    app.create_api_token(&ada, &json!({})).await.problem(401, "second_factor_needed");
    app.create_api_token(&ada, &json!({ "code": "000000" })).await.problem(401, "wrong_code");
    assert_eq!(app.count("api_token").await, 0);
    app.create_api_token(&ada, &json!({ "code": authenticator.code(0) })).await.expect(201);
    app.stop().await;
}
