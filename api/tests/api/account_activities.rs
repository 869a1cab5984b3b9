//! The activity log of an account.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestAccount, TestApp, TestResponse, send};

impl TestApp {
    async fn account_activities(&self, account: &TestAccount, query: &str) -> TestResponse {
        self.get(account, &format!("/api/v1/account/activities{query}")).await
    }
}

fn types(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn account_lists_only_its_own_activities() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.create_account("ada").await;
    let eve = app.create_account("eve").await;
    app.create_workspace(&ada, "Tidal energy").await;
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    app.login("nobody@example.org", "not the password").await.problem(401, "wrong_credentials");
    app.wait_for_failed_logins(2).await;
    let update = app.request(Method::PATCH, "/api/v1/account").bearer_auth(&ada.token);
    send(update.header("x-request-id", "the-change").json(&json!({ "displayName": "Ada L." }))).await.expect(200);

    let page = app.account_activities(&ada, "").await.expect(200);
    assert_eq!(types(&page), ["account.updated", "session.refused", "session.started", "account.signed_up"]);
    let items = page["items"].as_array().unwrap();
    assert_eq!((items[0]["requestId"].as_str(), items[0]["address"].as_str()), (Some("the-change"), Some("127.0.0.1")));
    assert_eq!(items[1]["actor"], json!({ "type": "system" }));
    assert_eq!(items[1]["object"], json!({ "kind": "account", "id": ada.id }));
    // Sequence numbers would reveal how much other accounts do.
    assert!(items.iter().all(|item| item.get("seq").is_none() && item.get("seal").is_none()), "{page}");
    assert_eq!(types(&app.account_activities(&eve, "").await.expect(200)), ["session.started", "account.signed_up"]);
    // Activities of another account are not listed, even if the filter names it.
    let others = app.account_activities(&ada, &format!("?actor={}", eve.id)).await.expect(200);
    assert_eq!(types(&others), [""; 0]);
    app.stop().await;
}

#[actix_web::test]
async fn account_activities_are_filtered_paged_and_exported() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let [ada, eve] = [app.create_account("ada").await, app.create_account("eve").await];
    // From different addresses: further failures from one address would be aggregated.
    for address in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        for account in [&ada, &eve] {
            let login = app.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", address);
            let login = login.json(&json!({ "email": account.email, "password": "not the password" }));
            send(login).await.problem(401, "wrong_credentials");
        }
    }
    app.wait_for_failed_logins(6).await;
    app.login(&ada.email, PASSWORD).await.expect(200);
    let list = async |query: &str| app.account_activities(&ada, query).await.expect(200);
    assert_eq!(types(&list("?type=session.refused").await), ["session.refused"; 3]);
    assert_eq!(
        types(&list(&format!("?actor={}", ada.id)).await),
        ["session.started", "session.started", "account.signed_up"]
    );
    let all = list("").await;
    let time = all["items"][0]["createdAt"].as_str().unwrap();
    assert_eq!(types(&list(&format!("?since={time}")).await), ["session.started"]);
    assert_eq!(types(&list(&format!("?until={time}")).await).len(), 5);

    let (mut seen, mut cursor, mut last) = (Vec::new(), String::new(), String::new());
    loop {
        let page = list(&format!("?limit=1{cursor}")).await;
        seen.push(page["items"][0].clone());
        let Some(next) = page["nextCursor"].as_str() else { break };
        last = next.to_owned();
        cursor = format!("&cursor={next}");
    }
    assert_eq!(json!(seen), all["items"]);
    // A cursor is valid only for the account that it was given to.
    app.account_activities(&eve, &format!("?cursor={last}")).await.problem(400, "invalid_cursor");
    for bad in ["?type=account.painted", "?since=yesterday", "?colour=red"] {
        app.account_activities(&ada, bad).await.problem(400, "invalid_query");
    }

    let lines = app.account_activities(&ada, "/export").await;
    assert_eq!(lines.header("content-type"), "application/jsonl");
    let mut lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.reverse();
    assert_eq!(json!(lines), all["items"]);
    let csv = app.account_activities(&ada, "/export?format=csv&type=session.refused").await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"activities.csv\"");
    assert_eq!(csv.text.lines().count(), 1 + 3, "{}", csv.text);
    assert!(csv.text.lines().skip(1).all(|line| line.starts_with(',') && line.ends_with(',')), "{}", csv.text);
    app.stop().await;
}

#[actix_web::test]
async fn api_token_cannot_read_account_activities() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (token, _) = app.api_token(&ada, &json!({ "permissions": ["activities.read"] })).await;
    for path in ["", "/export"] {
        app.account_activities(&token, path).await.problem(403, "session_needed");
    }
    assert_eq!(types(&app.account_activities(&ada, "?limit=1").await.expect(200)), ["token.created"]);
    app.stop().await;
}
