use std::collections::BTreeSet;

use nvisy_api::cli::{SuspendError, suspend};
use nvisy_shared::domain::account::AccountState;
use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, TestApp, send};

#[actix_web::test]
async fn sign_up_and_login_return_the_account() {
    let app = TestApp::start().await;
    let body = json!({ "email": " Ada@Example.ORG", "password": PASSWORD, "displayName": " Ada Lovelace " });
    let response = send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await;
    assert_eq!(response.header("location"), "/api/v1/account");
    let account = response.expect(201);
    assert_eq!(account["email"], "ada@example.org");
    assert_eq!(account["displayName"], "Ada Lovelace");
    assert!(account.get("password").is_none() && account.get("passwordHash").is_none(), "{account}");

    let login = app.login("ADA@example.org", PASSWORD).await.expect(200);
    assert_eq!(login["tokenType"], "Bearer");
    assert_eq!(login["expiresIn"], 900);
    assert!(login["refreshToken"].as_str().unwrap().starts_with("nvisy_refresh_"));
    let token = login["accessToken"].as_str().unwrap();
    let own = send(app.request(Method::GET, "/api/v1/account").bearer_auth(token)).await.expect(200);
    assert_eq!(own, account);
    app.stop().await;
}

#[actix_web::test]
async fn email_is_unique_ignoring_case() {
    let app = TestApp::start().await;
    app.create_account("ada").await;
    let body = json!({ "email": "ADA@example.org", "password": PASSWORD, "displayName": "Another" });
    send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.problem(409, "email_taken");
    app.stop().await;
}

#[actix_web::test]
async fn fullwidth_email_is_normalized() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let lookalike = "\u{ff41}da\u{ff20}example.org";
    let body = json!({ "email": lookalike, "password": PASSWORD, "displayName": "Another" });
    send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.problem(409, "email_taken");
    app.login(lookalike, PASSWORD).await.expect(200);
    assert_eq!(app.get(&ada, "/api/v1/account").await.expect(200)["email"], "ada@example.org");
    app.stop().await;
}

#[actix_web::test]
async fn sign_up_names_every_invalid_field() {
    let app = TestApp::start().await;
    let body = json!({ "email": "ada", "password": "", "displayName": "A" });
    let problem =
        send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.problem(422, "invalid_body");
    let errors = problem["errors"].as_array().unwrap();
    let fields: BTreeSet<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["email", "password", "displayName"].into());

    let weak = json!({ "email": "ada@example.org", "password": "password123", "displayName": "Ada" });
    let problem =
        send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&weak)).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "password");
    let long = "x".repeat(10_000);
    for field in ["email", "password", "displayName"] {
        let mut body = json!({ "email": "ada@example.org", "password": PASSWORD, "displayName": "Ada" });
        body[field] = long.clone().into();
        let problem =
            send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    app.stop().await;
}

#[actix_web::test]
async fn unknown_email_and_wrong_password_get_the_same_response() {
    let app = TestApp::start().await;
    app.create_account("ada").await;
    let wrong = app.login("ada@example.org", "not the password").await.anonymous_problem(401, "wrong_credentials");
    let unknown = app.login("bob@example.org", "not the password").await.anonymous_problem(401, "wrong_credentials");
    assert_eq!(wrong, unknown);
    app.stop().await;
}

#[actix_web::test]
async fn suspension_takes_effect_at_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.sql("update account set state = 'suspended'").await;
    app.get(&ada, "/api/v1/account").await.problem(403, "account_suspended");
    app.get(&ada, &format!("/api/v1/workspaces/{workspace}")).await.problem(403, "account_suspended");
    app.login(&ada.email, PASSWORD).await.problem(403, "account_suspended");
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    app.stop().await;
}

#[actix_web::test]
async fn access_token_of_a_deleted_account_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.sql("delete from account").await;
    app.get(&ada, "/api/v1/account").await.problem(401, "unauthenticated");
    app.get(&ada, &format!("/api/v1/workspaces/{}", ada.id)).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn operator_suspends_and_resumes_an_account() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let set_state = async |account: &str, state| suspend(app.config(), account, state).await.map(|id| id.to_string());
    assert_eq!(set_state(" ADA@example.org", AccountState::Suspended).await.unwrap(), ada.id);
    app.get(&ada, "/api/v1/account").await.problem(403, "account_suspended");
    app.get(&bob, "/api/v1/account").await.expect(200);
    let again = set_state(&ada.id, AccountState::Suspended).await;
    assert!(matches!(again, Err(SuspendError::NothingToChange(_))), "{again:?}");
    let unknown = set_state("eve@example.org", AccountState::Suspended).await;
    assert!(matches!(unknown, Err(SuspendError::NoAccount)), "{unknown:?}");
    // Sessions survived the suspension.
    set_state(&ada.id, AccountState::Active).await.unwrap();
    app.get(&ada, "/api/v1/account").await.expect(200);
    let entries = format!(
        "select action from activity where actor = 'system' and object_id = '{}' and action <> 'session.refused' order by seq",
        ada.id
    );
    let entries: Vec<String> = app.rows(&entries).await.iter().map(|row| row.try_get("", "action").unwrap()).collect();
    assert_eq!(entries, ["account.suspended", "account.resumed"]);
    app.stop().await;
}

#[actix_web::test]
async fn confusable_emails_and_names_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let sign_up = async |email: &str, name: &str| {
        let body = json!({ "email": email, "password": PASSWORD, "displayName": name });
        send(app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await
    };
    for email in [
        "ada\u{200b}@example.org",
        "ada\u{ad}@example.org",
        "ada\u{2060}@example.org",
        "\u{202e}ada@example.org",
        "\u{430}da@example.org",
        "ada@exam\u{ad}ple.org",
    ] {
        let problem = sign_up(email, "Ada").await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], "email", "{email:?}");
    }
    for name in ["A\u{202e}da", "Ada\u{200b}", "A\u{ad}da", "\u{2066}Ada"] {
        let problem = sign_up("new@example.org", name).await.problem(422, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], "displayName", "{name:?}");
        app.post(&ada, "/api/v1/workspaces", &json!({ "name": name })).await.problem(422, "invalid_body");
    }
    // Unicode and punycode spellings of a domain are the same.
    sign_up("carl@ex\u{e4}mple.org", "Carl").await.expect(201);
    sign_up("carl@xn--exmple-cua.org", "Carl").await.problem(409, "email_taken");
    app.login("carl@EX\u{c4}MPLE.org", PASSWORD).await.expect(200);
    app.stop().await;
}
