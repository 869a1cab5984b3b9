//! Mailboxes that take access tokens of OAuth 2.0: Dovecot asks an authorization server of the test who has them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use serde_json::{Value, json};

use crate::support::{
    Dovecot,
    synced::{Synced, counts},
    web_server::{WebRequest, WebResponse, WebServer},
};

const REFRESH_TOKEN: &str = "hunter2-refresh/+ &=";

/// An authorization server: it gives tokens for a refresh token, and knows which of them hold.
#[derive(Default)]
struct Authority {
    given: usize,
    valid: HashSet<String>,
    is_revoked: bool,
}

impl Authority {
    fn respond(&mut self, request: &WebRequest) -> Option<WebResponse> {
        match request.target.as_str() {
            "/token" => Some(self.give(&String::from_utf8_lossy(&request.body))),
            "/introspect" => {
                let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
                let body = json!({ "active": self.valid.contains(token), "email": Dovecot::USER });
                Some(WebResponse::json(&body))
            }
            _ => None,
        }
    }

    fn give(&mut self, form: &str) -> WebResponse {
        let expected = [
            "grant_type=refresh_token",
            "refresh_token=hunter2-refresh%2F%2B+%26%3D",
            "client_id=app",
            "client_secret=hunter2-app",
            "scope=mail",
        ];
        if self.is_revoked || form.split('&').ne(expected) {
            let body = json!({ "error": "invalid_grant", "error_description": format!("{form} was revoked") });
            return WebResponse { status: 400, ..WebResponse::json(&body) };
        }
        self.given += 1;
        let token = format!("hunter2-access-{}", self.given);
        self.valid.insert(token.clone());
        WebResponse::json(&json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
    }
}

async fn start() -> (Arc<Mutex<Authority>>, Dovecot, Synced) {
    let web = WebServer::start().await;
    let authority: Arc<Mutex<Authority>> = Arc::default();
    let answering = Arc::clone(&authority);
    web.respond(move |request| answering.lock().unwrap().respond(request));
    let server = Dovecot::start_with_tokens(&format!("{}/introspect", web.url)).await;
    let now: SystemTime = nvisy_shared::clock::now().into();
    server.put("INBOX", "a", "Subject: Tides\r\n\r\nThe ebb begins at noon.\r\n", now);
    let credentials = json!({ "username": Dovecot::USER, "oauth": {
        "tokenUrl": format!("{}/token", web.url), "clientId": "app", "clientSecret": "hunter2-app",
        "refreshToken": REFRESH_TOKEN, "scope": "mail",
    } });
    let synced = Synced::start("imap", server.settings(), credentials, json!({})).await;
    (authority, server, synced)
}

/// The steps of a check, and the detail of the last one.
async fn steps(synced: &Synced) -> (Vec<Value>, String) {
    let check = synced.check().await;
    let steps = check["steps"].as_array().unwrap();
    let last = steps.last().unwrap()["detail"].as_str().unwrap().to_owned();
    (steps.iter().map(|step| step["name"].clone()).collect(), last)
}

#[actix_web::test]
async fn mailbox_is_read_with_access_tokens_that_are_renewed() {
    let (authority, _server, synced) = start().await;
    assert_eq!(steps(&synced).await.0, ["address", "connect", "token", "login", "list", "read"]);
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");
    assert_eq!(synced.find("ebb").await, ["Tides.eml"]);
    assert_eq!(authority.lock().unwrap().given, 1, "the token is kept");

    // One that is not valid any more is replaced at once.
    authority.lock().unwrap().valid.clear();
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 0, 0, 1, 0, 0]), "{run}");
    assert_eq!(authority.lock().unwrap().given, 2);
    let stored = "connection where position('hunter2'::bytea in credentials) > 0 or settings::text like '%hunter2%'";
    assert_eq!(synced.app.count(stored).await, 0);
    synced.app.stop().await;
}

#[actix_web::test]
async fn grant_that_was_revoked_is_the_reason_of_the_wait() {
    let (authority, _server, synced) = start().await;
    authority.lock().unwrap().is_revoked = true;
    let (names, detail) = steps(&synced).await;
    assert_eq!(names, ["address", "connect", "token"]);
    assert!(detail.contains("400") && detail.contains("invalid_grant") && !detail.contains("hunter2"), "{detail}");
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("invalid_grant") && !reason.contains("hunter2"), "{reason}");
    // The user grants it again.
    authority.lock().unwrap().is_revoked = false;
    assert_eq!(synced.check().await["state"], "ok");
    let run = synced.ended(&run).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");
    synced.app.stop().await;
}
