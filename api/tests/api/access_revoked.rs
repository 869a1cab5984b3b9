//! Every documented operation, called by accounts and tokens that had access and lost it.

use nvisy_shared::domain::role::Permission;
use reqwest::Method;
use serde_json::Value;

use crate::{
    access::{Requirement, requirement},
    support::{Body, TestApp, WorkspaceFixture, send, wait_until},
};

/// Calls every operation that requires authorization, and expects this problem.
async fn assert_rejected_everywhere(app: &TestApp, workspace: &str, token: &str, status: u16, code: &str) {
    let mut called = 0;
    for operation in app.openapi().await.operations() {
        if requirement(&operation.id) == Requirement::None {
            continue;
        }
        let path = operation.path_with_unknown_ids(workspace);
        // Also with a body that would be rejected if it were read.
        for body in ["", "{"] {
            let request = app.request(operation.method.clone(), &path).bearer_auth(token);
            let response = send(request.header("content-type", "application/json").body(body)).await;
            assert_eq!(response.status, status, "{}: {}", operation.id, response.text);
            response.problem(status, code);
        }
        called += 1;
    }
    assert!(called > 5, "only {called} operations were called");
}

#[actix_web::test]
async fn expired_access_token_is_rejected_by_every_operation() {
    let app = TestApp::start_with(&[("NVISY_AUTH_TOKEN_SECONDS", "2")]).await;
    let ada = app.create_account("ada").await;
    wait_until("the token has expired", async || {
        let response = app.get(&ada, "/api/v1/account").await;
        (response.status == 401).then_some(())
    })
    .await;
    let unknown = nvisy_shared::id::new().to_string();
    assert_rejected_everywhere(&app, &unknown, &ada.token, 401, "unauthenticated").await;
    app.stop().await;
}

#[actix_web::test]
async fn access_token_of_another_deployment_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let other = TestApp::start().await;
    let (ada, foreign) = (app.create_account("ada").await, other.create_account("ada").await);
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    assert_rejected_everywhere(&app, &workspace, &foreign.token, 401, "unauthenticated").await;
    other.stop().await;
    app.stop().await;
}

#[actix_web::test]
async fn suspended_account_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let caller = app.api_token_with(&ada, Permission::ALL, None).await;
    app.sql(&format!("update account set state = 'suspended' where id = '{}'", ada.id)).await;
    for token in [&ada.token, &caller.token] {
        assert_rejected_everywhere(&app, &workspace, token, 403, "account_suspended").await;
    }
    app.stop().await;
}

#[actix_web::test]
async fn expired_or_revoked_api_token_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let [expired, revoked] = [
        app.api_token_with(&ada, Permission::ALL, None).await,
        app.api_token_with(&ada, Permission::ALL, Some(&workspace)).await,
    ];
    let tokens = app.get(&ada, "/api/v1/account/tokens").await.expect(200);
    let newest = tokens["items"][0]["id"].as_str().unwrap();
    assert_eq!(app.delete(&ada, &format!("/api/v1/account/tokens/{newest}")).await.status, 204);
    app.sql("update api_token set expires_at = now()").await;
    for caller in [expired, revoked] {
        assert_rejected_everywhere(&app, &workspace, &caller.token, 401, "unauthenticated").await;
    }
    app.stop().await;
}

#[actix_web::test]
async fn ended_session_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    assert_eq!(app.post(&ada, "/api/v1/auth/logout", &Value::Null).await.status, 204);
    assert_rejected_everywhere(&app, &workspace, &ada.token, 401, "unauthenticated").await;
    app.stop().await;
}

/// All former members and API tokens, with the ids of the workspace.
#[actix_web::test]
async fn deleted_workspace_is_not_found_for_former_members() {
    let app = TestApp::start().await;
    let [ada, grace, guest] =
        [app.create_account("ada").await, app.create_account("grace").await, app.create_account("guest").await];
    let fixture = WorkspaceFixture::new(&app, &ada, &grace).await;
    app.add_member(&fixture.workspace, &guest, "guest").await;
    let caller = app.api_token_with(&ada, Permission::ALL, None).await;
    let scoped = app.api_token_with(&ada, Permission::ALL, Some(&fixture.workspace)).await;
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{}", fixture.workspace)).await.status, 204);
    for operation in app.openapi().await.workspace_operations() {
        for account in [&ada, &grace, &guest, &caller, &scoped] {
            for body in [operation.valid_body(&fixture), Body::None, Body::Json("x".into())] {
                let request = operation.request(&app, account, &operation.path_in(&fixture), body);
                send(request).await.problem(404, "not_found");
            }
        }
    }
    for account in [&ada, &grace, &guest, &caller, &scoped] {
        assert_eq!(app.get(account, "/api/v1/workspaces").await.expect(200)["items"], Value::Array(Vec::new()));
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn access_token_with_one_changed_character_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let account = |token: String| send(app.request(Method::GET, "/api/v1/account").bearer_auth(token));
    account(ada.token.clone()).await.expect(200);
    for place in 0..ada.token.len() {
        let mut token = ada.token.clone().into_bytes();
        token[place] = if token[place] == b'A' { b'Q' } else { b'A' };
        account(String::from_utf8(token).unwrap()).await.problem(401, "unauthenticated");
    }
    for token in
        [&ada.token[1..], &ada.token[..ada.token.len() - 1], &format!("{}A", ada.token), &format!("{0}.{0}", ada.token)]
    {
        account(token.to_owned()).await.problem(401, "unauthenticated");
    }
    app.stop().await;
}
