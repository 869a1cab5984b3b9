//! Every operation of the document that changes something leaves an entry in the activity log: a new one must be
//! performed here, or be exempt with a reason.

use nvisy_shared::clock;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    files::part,
    second_factor,
    support::app::{PASSWORD, Person, TestApp, send},
    support::valid_requests::{Fixture, of_workspaces},
};

/// What writes no entry, and why.
const EXEMPT: [(&str, &str); 8] = [
    (
        "refresh",
        "continues a session whose beginning and end are written down; `sessions` looks for a token used twice",
    ),
    ("forgotPassword", "the worker finds out whose account it is, if it is anybody's: `mail` looks for its entry"),
    ("confirmSignUp", "takes a mailbox: `mail` looks for its entry"),
    ("resetPassword", "takes a mailbox: `mail` looks for its entry"),
    ("changeEmail", "takes a mailbox: `mail` looks for its entry"),
    ("verifyEmail", "takes a mailbox: `mail` looks for its entry"),
    ("confirmEmail", "takes a mailbox: `mail` looks for its entry"),
    ("search", "only reads; POST for its body"),
];

impl TestApp {
    /// A workspace of this person's with one file; their ids.
    pub async fn workspace_with_file(&self, owner: &Person) -> (String, String) {
        let workspace = self.workspace(owner, "Tidal energy").await;
        let accepted = self.upload(owner, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        (workspace, accepted["items"][0]["id"].as_str().unwrap().to_owned())
    }
}

/// A request that performs an operation which is not of one workspace, with all it needs made before.
async fn request(app: &TestApp, operation: &str, owner: &Person, other: &Person) -> RequestBuilder {
    let post = |person: &Person, path: &str| app.request(Method::POST, path).bearer_auth(&person.token);
    match operation {
        "signUp" => {
            let body = json!({ "email": "new@example.org", "password": PASSWORD, "displayName": "New" });
            app.request(Method::POST, "/api/v1/auth/sign-up").json(&body)
        }
        "login" => {
            app.request(Method::POST, "/api/v1/auth/login").json(&json!({ "email": owner.email, "password": PASSWORD }))
        }
        "createWorkspace" => post(owner, "/api/v1/workspaces").json(&json!({ "name": "Wind" })),
        "acceptInvite" | "declineInvite" => {
            let workspace = app.workspace(owner, "Tidal energy").await;
            let path = format!("/api/v1/workspaces/{workspace}/invites");
            let invite = app.post(owner, &path, &json!({ "role": "guest" })).await.expect(201);
            let path = if operation == "acceptInvite" { "/api/v1/invites/accept" } else { "/api/v1/invites/decline" };
            post(other, path).json(&json!({ "code": invite["code"] }))
        }
        _ => own(app, operation).await,
    }
}

/// As [`request`], for what a person does with their own account: with one of its own, since much of it ends sessions.
async fn own(app: &TestApp, operation: &str) -> RequestBuilder {
    let person = app.person(&format!("own-{}", operation.to_lowercase())).await;
    let ask = |method: Method, path: &str| app.request(method, &format!("/api/v1/{path}")).bearer_auth(&person.token);
    let post = |path: &str, body: &Value| ask(Method::POST, path).json(body);
    let password = json!({ "password": PASSWORD });
    let token = json!({ "name": "T", "password": PASSWORD, "permissions": ["search"], "expiresAt": clock::now() + chrono::Days::new(1) });
    match operation {
        "updateAccount" => ask(Method::PATCH, "account").json(&json!({ "displayName": "Other" })),
        "changePassword" => {
            post("account/password", &json!({ "currentPassword": PASSWORD, "newPassword": "eight badgers hum" }))
        }
        "deleteAccount" => post("account/deletion", &password),
        "replaceAvatar" => ask(Method::PUT, "account/avatar").body(b"\xff\xd8\xff".to_vec()),
        "removeAvatar" => {
            send(ask(Method::PUT, "account/avatar").body(b"\xff\xd8\xff".to_vec())).await;
            ask(Method::DELETE, "account/avatar")
        }
        "logout" => post("auth/logout", &json!({})),
        "revokeSessions" => ask(Method::DELETE, "account/sessions"),
        "revokeSession" => {
            let sessions = app.get(&person, "/api/v1/account/sessions").await.expect(200);
            ask(Method::DELETE, &format!("account/sessions/{}", sessions["items"][0]["id"].as_str().unwrap()))
        }
        "createToken" => post("account/tokens", &token),
        "revokeToken" => {
            let token = send(post("account/tokens", &token)).await.expect(201);
            ask(Method::DELETE, &format!("account/tokens/{}", token["token"]["id"].as_str().unwrap()))
        }
        "enrolSecondFactor" => post("account/totp", &password),
        "confirmSecondFactor" => {
            let device = second_factor::enrol(app, &person).await;
            post("account/totp/confirm", &json!({ "code": device.code(0) }))
        }
        "renewRecoveryCodes" | "disableSecondFactor" => {
            let device = second_factor::enrol(app, &person).await;
            send(post("account/totp/confirm", &json!({ "code": device.code(0) }))).await.expect(200);
            second_factor::forget_steps(app).await;
            let both = json!({ "password": PASSWORD, "code": device.code(0) });
            let path = if operation == "disableSecondFactor" { "disable" } else { "recovery-codes" };
            post(&format!("account/totp/{path}"), &both)
        }
        _ => panic!("{operation} changes something: perform it here, or exempt it with a reason"),
    }
}

#[actix_web::test]
async fn every_mutating_operation_records_an_activity() {
    // Who names the requests.
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let [owner, other] = [app.person("owner").await, app.person("other").await];
    let of_workspaces = of_workspaces(&app).await;
    let document = app.document().await;
    let mut exempt = Vec::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            if method == "get" {
                continue;
            }
            if EXEMPT.iter().any(|(name, _)| *name == id) {
                exempt.push(id.to_owned());
                continue;
            }
            let request = match of_workspaces.iter().find(|operation| operation.id == id) {
                Some(operation) => {
                    let fixture = Fixture::new(&app, &owner, &other).await;
                    // The owner may do everything, but not leave.
                    let person = if id == "leaveWorkspace" { &other } else { &owner };
                    operation.request(&app, person, &operation.path_in(&fixture), operation.body(&fixture))
                }
                None => request(&app, id, &owner, &other).await,
            };
            let name = format!("trail-{id}");
            let answer = send(request.header("x-request-id", &name)).await;
            assert!(answer.status.is_success(), "{id}: {} {}", answer.status, answer.text);
            let entries = app.rows(&format!("select from activity where request_id = '{name}'")).await.len();
            assert!(entries > 0, "{id} left no entry");
        }
    }
    assert_eq!(exempt.len(), EXEMPT.len(), "an exempt operation is gone: {exempt:?}");
    app.stop_with_jobs().await;
}
