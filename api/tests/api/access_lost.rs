//! Every operation of the document, asked by everybody who once could and now may not. `access.rs` has those who never
//! could. An operation is in here by being documented.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::{
    access::{Operation, PUBLIC, operations},
    app::{TestApp, send, until},
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
        if PUBLIC.contains(&operation.id.as_str()) {
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
    let missing: Vec<_> = all.iter().filter(|id| !asked.contains(*id) && !PUBLIC.contains(&id.as_str())).collect();
    assert!(missing.is_empty(), "nobody asked {missing:?}");
    assert!(asked.len() > 5, "only {asked:?} were asked");
}

#[actix_web::test]
async fn an_expired_token_opens_nothing() {
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
async fn a_token_of_another_deployment_opens_nothing() {
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
async fn a_suspended_account_opens_nothing() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.sql(&format!("update account set state = 'suspended' where id = '{}'", ada.id)).await;
    let document = app.document().await;
    complete(&document, &each(&app, &document, &workspace, &ada.token, 403, "account_suspended").await);
    app.stop().await;
}

#[actix_web::test]
async fn a_token_with_any_one_letter_changed_opens_nothing() {
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
