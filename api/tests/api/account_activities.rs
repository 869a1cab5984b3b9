//! An account's own security log.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, PASSWORD, Person, TestApp, send};

impl TestApp {
    async fn own_activities(&self, person: &Person, query: &str) -> Answer {
        self.get(person, &format!("/api/v1/account/activities{query}")).await
    }
}

fn types(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn account_lists_only_its_own_activities() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.person("ada").await;
    let eve = app.person("eve").await;
    app.workspace(&ada, "Tidal energy").await;
    app.login(&ada.email, "not the password").await.problem(401, "wrong_credentials");
    app.login("nobody@example.org", "not the password").await.problem(401, "wrong_credentials");
    app.refused(2).await;
    let update = app.request(Method::PATCH, "/api/v1/account").bearer_auth(&ada.token);
    send(update.header("x-request-id", "the-change").json(&json!({ "displayName": "Ada L." }))).await.expect(200);

    let page = app.own_activities(&ada, "").await.expect(200);
    assert_eq!(types(&page), ["account.updated", "session.refused", "session.started", "account.signed_up"]);
    let items = page["items"].as_array().unwrap();
    assert_eq!((items[0]["requestId"].as_str(), items[0]["address"].as_str()), (Some("the-change"), Some("127.0.0.1")));
    assert_eq!(items[1]["actor"], json!({ "type": "system" }));
    assert_eq!(items[1]["object"], json!({ "kind": "account", "id": ada.id }));
    // Nothing tells how much the others do.
    assert!(items.iter().all(|item| item.get("seq").is_none() && item.get("seal").is_none()), "{page}");
    assert_eq!(types(&app.own_activities(&eve, "").await.expect(200)), ["session.started", "account.signed_up"]);
    // What somebody else did is nobody's, even if asked for by name.
    let others = app.own_activities(&ada, &format!("?actor={}", eve.id)).await.expect(200);
    assert_eq!(types(&others), [""; 0]);
    app.stop().await;
}

#[actix_web::test]
async fn account_activities_are_filtered_paged_and_exported() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let [ada, eve] = [app.person("ada").await, app.person("eve").await];
    // From different places: more of the same would only be counted.
    for place in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        for person in [&ada, &eve] {
            let login = app.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", place);
            let login = login.json(&json!({ "email": person.email, "password": "not the password" }));
            send(login).await.problem(401, "wrong_credentials");
        }
    }
    app.refused(6).await;
    app.login(&ada.email, PASSWORD).await.expect(200);
    let ask = async |query: &str| app.own_activities(&ada, query).await.expect(200);
    assert_eq!(types(&ask("?type=session.refused").await), ["session.refused"; 3]);
    assert_eq!(
        types(&ask(&format!("?actor={}", ada.id)).await),
        ["session.started", "session.started", "account.signed_up"]
    );
    let all = ask("").await;
    let when = all["items"][0]["createdAt"].as_str().unwrap();
    assert_eq!(types(&ask(&format!("?since={when}")).await), ["session.started"]);
    assert_eq!(types(&ask(&format!("?until={when}")).await).len(), 5);

    let (mut seen, mut cursor, mut last) = (Vec::new(), String::new(), String::new());
    loop {
        let page = ask(&format!("?limit=1{cursor}")).await;
        seen.push(page["items"][0].clone());
        let Some(next) = page["nextCursor"].as_str() else { break };
        last = next.to_owned();
        cursor = format!("&cursor={next}");
    }
    assert_eq!(json!(seen), all["items"]);
    // A page goes on from an entry of one's own only.
    app.own_activities(&eve, &format!("?cursor={last}")).await.problem(400, "invalid_cursor");
    for bad in ["?type=account.painted", "?since=yesterday", "?colour=red"] {
        app.own_activities(&ada, bad).await.problem(400, "invalid_query");
    }

    let lines = app.own_activities(&ada, "/export").await;
    assert_eq!(lines.header("content-type"), "application/jsonl");
    let mut lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.reverse();
    assert_eq!(json!(lines), all["items"]);
    let csv = app.own_activities(&ada, "/export?format=csv&type=session.refused").await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"activities.csv\"");
    assert_eq!(csv.text.lines().count(), 1 + 3, "{}", csv.text);
    assert!(csv.text.lines().skip(1).all(|line| line.starts_with(',') && line.ends_with(',')), "{}", csv.text);
    app.stop().await;
}

#[actix_web::test]
async fn api_token_cannot_read_account_activities() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let expires = nvisy_shared::clock::now() + chrono::Days::new(1);
    let body = json!({ "name": "T", "password": PASSWORD, "permissions": ["activities.read"], "expiresAt": expires });
    let made = app.post(&ada, "/api/v1/account/tokens", &body).await.expect(201);
    let token = Person { token: made["secret"].as_str().unwrap().to_owned(), ..ada.clone() };
    for path in ["", "/export"] {
        app.own_activities(&token, path).await.problem(403, "session_needed");
    }
    assert_eq!(types(&app.own_activities(&ada, "?limit=1").await.expect(200)), ["token.created"]);
    app.stop().await;
}
