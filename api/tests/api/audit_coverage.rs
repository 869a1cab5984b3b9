//! Every documented operation that changes something records an activity. A new one must be performed here, or be exempt
//! with a reason.

use nvisy_shared::clock;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Body, PASSWORD, TestAccount, TestApp, WorkspaceFixture, second_factor, send};

/// Operations that record no activity here, and the reason.
const EXEMPT: [(&str, &str); 14] = [
    ("refresh", "continues a session whose start and end are recorded; `sessions` covers reused tokens"),
    ("forgotPassword", "the worker finds the account and records it: covered by `password_reset`"),
    ("confirmSignUp", "needs a mailbox: covered by `sign_up_mail`"),
    ("resetPassword", "needs a mailbox: covered by `password_reset`"),
    ("changeEmail", "needs a mailbox: covered by `email_change`"),
    ("verifyEmail", "needs a mailbox: covered by `email_change`"),
    ("confirmEmail", "needs a mailbox: covered by `email_change`"),
    ("receiveNotification", "starts a sync, which records what it changes: covered by `source_notifications`"),
    ("estimateSecondSpace", "only reads; POST for its body"),
    ("compareSpaces", "only reads; POST for its body"),
    ("search", "only reads; POST for its body"),
    ("searchBatch", "only reads; POST for its body"),
    ("searchSimilar", "only reads; POST for its body"),
    ("validatePipeline", "only reads; POST for its body"),
];

/// A request that succeeds for an operation outside of workspaces; creates what it needs.
async fn request(app: &TestApp, operation: &str, owner: &TestAccount, other: &TestAccount) -> RequestBuilder {
    let post = |account: &TestAccount, path: &str| app.request(Method::POST, path).bearer_auth(&account.token);
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
            let workspace = app.create_workspace(owner, "Tidal energy").await;
            let path = format!("/api/v1/workspaces/{workspace}/invites");
            let invite = app.post(owner, &path, &json!({ "role": "guest" })).await.expect(201);
            let path = if operation == "acceptInvite" { "/api/v1/invites/accept" } else { "/api/v1/invites/decline" };
            post(other, path).json(&json!({ "code": invite["code"] }))
        }
        _ => account_request(app, operation).await,
    }
}

/// As [`request`], for operations on the caller's account, with a new account, because many of them end sessions.
async fn account_request(app: &TestApp, operation: &str) -> RequestBuilder {
    let account = app.create_account(&format!("caller-{}", operation.to_lowercase())).await;
    let request =
        |method: Method, path: &str| app.request(method, &format!("/api/v1/{path}")).bearer_auth(&account.token);
    let post = |path: &str, body: &Value| request(Method::POST, path).json(body);
    let password = json!({ "password": PASSWORD });
    let token = json!({ "name": "T", "password": PASSWORD, "permissions": ["search"], "expiresAt": clock::now() + chrono::Days::new(1) });
    match operation {
        "updateAccount" => request(Method::PATCH, "account").json(&json!({ "displayName": "Other" })),
        "changePassword" => {
            post("account/password", &json!({ "currentPassword": PASSWORD, "newPassword": "eight badgers hum" }))
        }
        "deleteAccount" => post("account/deletion", &password),
        "replaceAvatar" => request(Method::PUT, "account/avatar").body(b"\xff\xd8\xff".to_vec()),
        "removeAvatar" => {
            send(request(Method::PUT, "account/avatar").body(b"\xff\xd8\xff".to_vec())).await;
            request(Method::DELETE, "account/avatar")
        }
        "logout" => post("auth/logout", &json!({})),
        "revokeSessions" => request(Method::DELETE, "account/sessions"),
        "revokeSession" => {
            let sessions = app.get(&account, "/api/v1/account/sessions").await.expect(200);
            request(Method::DELETE, &format!("account/sessions/{}", sessions["items"][0]["id"].as_str().unwrap()))
        }
        "createToken" => post("account/tokens", &token),
        "revokeToken" => {
            let token = send(post("account/tokens", &token)).await.expect(201);
            request(Method::DELETE, &format!("account/tokens/{}", token["token"]["id"].as_str().unwrap()))
        }
        "enrolSecondFactor" => post("account/totp", &password),
        "confirmSecondFactor" => {
            let authenticator = second_factor::enrol(app, &account).await;
            post("account/totp/confirm", &json!({ "code": authenticator.code(0) }))
        }
        "renewRecoveryCodes" | "disableSecondFactor" => {
            let authenticator = second_factor::enrol(app, &account).await;
            send(post("account/totp/confirm", &json!({ "code": authenticator.code(0) }))).await.expect(200);
            second_factor::allow_reuse(app).await;
            let both = json!({ "password": PASSWORD, "code": authenticator.code(0) });
            let path = if operation == "disableSecondFactor" { "disable" } else { "recovery-codes" };
            post(&format!("account/totp/{path}"), &both)
        }
        _ => panic!("{operation} changes something: add a request for it, or exempt it with a reason"),
    }
}

#[actix_web::test]
async fn every_mutating_operation_records_an_activity() {
    // A trusted proxy sets the request ids.
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let [owner, other] = [app.create_account("owner").await, app.create_account("other").await];
    let mut exempt = Vec::new();
    for operation in app.openapi().await.operations() {
        let id = operation.id.as_str();
        if operation.method == Method::GET {
            continue;
        }
        if EXEMPT.iter().any(|(name, _)| *name == id) {
            exempt.push(id.to_owned());
            continue;
        }
        let request = if operation.is_in_workspace() {
            let fixture = WorkspaceFixture::new(&app, &owner, &other).await;
            // The only owner cannot leave.
            let caller = if id == "leaveWorkspace" { &other } else { &owner };
            operation.request(&app, caller, &operation.path_in(&fixture), operation.valid_body(&fixture))
        } else {
            request(&app, id, &owner, &other).await
        };
        let request_id = format!("audit-{id}");
        let response = send(request.header("x-request-id", &request_id)).await;
        assert!(response.status.is_success(), "{id}: {} {}", response.status, response.text);
        let entries = app.rows(&format!("select from activity where request_id = '{request_id}'")).await.len();
        assert!(entries > 0, "{id} recorded no activity");
    }
    assert_eq!(exempt.len(), EXEMPT.len(), "an exempt operation is not documented: {exempt:?}");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn every_denied_change_of_a_higher_role_records_an_activity() {
    // A trusted proxy sets the request ids.
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let [owner, other, admin] =
        [app.create_account("owner").await, app.create_account("other").await, app.create_account("admin").await];
    let mut denied = Vec::new();
    for operation in app.openapi().await.workspace_operations() {
        if operation.method == Method::GET {
            continue;
        }
        let fixture = WorkspaceFixture::new(&app, &owner, &other).await;
        app.add_member(&fixture.workspace, &admin, "admin").await;
        for table in ["member", "invite"] {
            let raised = format!("update {table} set role = 'owner' where workspace_id = '{}'", fixture.workspace);
            app.sql(&format!("{raised} and role in ('guest', 'member')")).await;
        }
        let mut body = operation.valid_body(&fixture);
        if let Body::Json(fields) = &mut body
            && let Some(role) = fields.get_mut("role")
        {
            *role = json!("owner");
        }
        let request_id = format!("denied-{}", operation.id);
        let request = operation.request(&app, &admin, &operation.path_in(&fixture), body);
        let response = send(request.header("x-request-id", &request_id)).await;
        // A role that lacks the permission of the operation is rejected before anything is read, and has no detail.
        if response.text.contains("the role is above the caller's own") {
            response.problem(403, "forbidden");
            let entries = app.rows(&format!("select from activity where request_id = '{request_id}'")).await.len();
            assert_eq!(entries, 1, "{} recorded no denial", operation.id);
            denied.push(operation.id);
        }
    }
    denied.sort();
    assert_eq!(denied, ["cancelInvite", "changeMember", "createInvite", "removeMember"]);
    app.stop_and_drop_jobs().await;
}
