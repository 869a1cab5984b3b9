//! Every operation of the document, asked by everybody who once could and now may not. `access.rs` has those who never
//! could. An operation is in here by being documented.

use std::collections::BTreeSet;

use nvisy_shared::domain::role::Permission;
use reqwest::Method;
use serde_json::Value;

use crate::{
    access::{Needs, Operation, needs, operations},
    support::app::{TestApp, send, until},
    support::valid_requests::{Body, Fixture, of_workspaces},
};

/// Asks every operation that wants somebody to be signed in, and says which those were.
async fn each(
    app: &TestApp,
    document: &Value,
    workspace: &str,
    token: &str,
    status: u16,
    code: &str,
) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for operation in operations(document) {
        if needs(&operation.id) == Needs::Nothing {
            continue;
        }
        let Operation { id, method, path, .. } = operation.at(workspace);
        // With a body that would be refused, were it looked at.
        for body in ["", "{"] {
            let request = app.request(method.clone(), &path).bearer_auth(token);
            let answer = send(request.header("content-type", "application/json").body(body)).await;
            assert_eq!(answer.status, status, "{id}: {}", answer.text);
            answer.problem(status, code);
        }
        asked.insert(id);
    }
    asked
}

/// All that is not public has been asked.
fn complete(document: &Value, asked: &BTreeSet<String>) {
    let all: BTreeSet<_> = operations(document).into_iter().map(|operation| operation.id).collect();
    let missing: Vec<_> = all.iter().filter(|id| !asked.contains(*id) && needs(id) != Needs::Nothing).collect();
    assert!(missing.is_empty(), "nobody asked {missing:?}");
    assert!(asked.len() > 5, "only {asked:?} were asked");
}

#[actix_web::test]
async fn expired_access_token_is_rejected_by_every_operation() {
    let app = TestApp::start_with(&[("NVISY_AUTH_TOKEN_SECONDS", "2")]).await;
    let ada = app.person("ada").await;
    until("the token expires", async || {
        let answer = app.get(&ada, "/api/v1/account").await;
        (answer.status == 401).then_some(())
    })
    .await;
    let document = app.document().await;
    let nothing = nvisy_shared::id::new().to_string();
    complete(&document, &each(&app, &document, &nothing, &ada.token, 401, "unauthenticated").await);
    app.stop().await;
}

#[actix_web::test]
async fn access_token_of_another_deployment_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let other = TestApp::start().await;
    let (ada, stranger) = (app.person("ada").await, other.person("ada").await);
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let document = app.document().await;
    complete(&document, &each(&app, &document, &workspace, &stranger.token, 401, "unauthenticated").await);
    other.stop().await;
    app.stop().await;
}

#[actix_web::test]
async fn suspended_account_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let robot = app.robot(&ada, Permission::ALL, None).await;
    app.sql(&format!("update account set state = 'suspended' where id = '{}'", ada.id)).await;
    let document = app.document().await;
    for token in [&ada.token, &robot.token] {
        complete(&document, &each(&app, &document, &workspace, token, 403, "account_suspended").await);
    }
    app.stop().await;
}

#[actix_web::test]
async fn expired_or_revoked_api_token_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let [expired, revoked] =
        [app.robot(&ada, Permission::ALL, None).await, app.robot(&ada, Permission::ALL, Some(&workspace)).await];
    let tokens = app.get(&ada, "/api/v1/account/tokens").await.expect(200);
    let newest = tokens["items"][0]["id"].as_str().unwrap();
    assert_eq!(app.delete(&ada, &format!("/api/v1/account/tokens/{newest}")).await.status, 204);
    app.sql("update api_token set expires_at = now()").await;
    let document = app.document().await;
    for robot in [expired, revoked] {
        complete(&document, &each(&app, &document, &workspace, &robot.token, 401, "unauthenticated").await);
    }
    app.stop().await;
}

#[actix_web::test]
async fn ended_session_is_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    assert_eq!(app.post(&ada, "/api/v1/auth/logout", &Value::Null).await.status, 204);
    let document = app.document().await;
    complete(&document, &each(&app, &document, &workspace, &ada.token, 401, "unauthenticated").await);
    app.stop().await;
}

/// Everybody who was in it, with all ids as they were.
#[actix_web::test]
async fn deleted_workspace_is_not_found_for_former_members() {
    let app = TestApp::start().await;
    let [ada, grace, guest] = [app.person("ada").await, app.person("grace").await, app.person("guest").await];
    let fixture = Fixture::new(&app, &ada, &grace).await;
    app.enrol(&fixture.workspace, &guest, "guest").await;
    let robot = app.robot(&ada, Permission::ALL, None).await;
    let scoped = app.robot(&ada, Permission::ALL, Some(&fixture.workspace)).await;
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{}", fixture.workspace)).await.status, 204);
    for operation in of_workspaces(&app).await {
        for person in [&ada, &grace, &guest, &robot, &scoped] {
            for body in [operation.body(&fixture), Body::Nothing, Body::Json("x".into())] {
                let request = operation.request(&app, person, &operation.path_in(&fixture), body);
                send(request).await.problem(404, "not_found");
            }
        }
    }
    for person in [&ada, &grace, &guest, &robot, &scoped] {
        assert_eq!(app.get(person, "/api/v1/workspaces").await.expect(200)["items"], Value::Array(Vec::new()));
    }
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn access_token_with_one_changed_character_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
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
