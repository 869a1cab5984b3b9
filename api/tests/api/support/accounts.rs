//! Accounts, their sessions, workspaces and API tokens.

use nvisy_shared::{clock, domain::role::Permission};
use reqwest::Method;
use serde_json::{Value, json};

use super::{TestApp, TestResponse, send};

pub const PASSWORD: &str = "seven otters juggle";

/// An account with a session or an API token.
#[derive(Clone)]
pub struct TestAccount {
    pub id: String,
    pub email: String,
    /// An access token or an API token.
    pub token: String,
    /// The refresh token of the session; of an API token, that of its creator's session.
    pub refresh_token: String,
}

impl TestApp {
    /// Signs up `name@example.org` and logs in.
    pub async fn create_account(&self, name: &str) -> TestAccount {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "displayName": name });
        let account = send(self.request(Method::POST, "/api/v1/auth/sign-up").json(&body)).await.expect(201);
        self.log_in_as(account["id"].as_str().expect("an id"), &email).await
    }

    /// Another session of the account.
    pub async fn new_session(&self, account: &TestAccount) -> TestAccount {
        self.log_in_as(&account.id, &account.email).await
    }

    /// A session of an existing account with the usual password.
    pub async fn log_in_as(&self, id: &str, email: &str) -> TestAccount {
        let tokens = self.login(email, PASSWORD).await.expect(200);
        let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        TestAccount {
            id: id.to_owned(),
            email: email.to_owned(),
            token: token("accessToken"),
            refresh_token: token("refreshToken"),
        }
    }

    pub async fn login(&self, email: &str, password: &str) -> TestResponse {
        let body = json!({ "email": email, "password": password });
        send(self.request(Method::POST, "/api/v1/auth/login").json(&body)).await
    }

    /// The id of a new workspace.
    pub async fn create_workspace(&self, owner: &TestAccount, name: &str) -> String {
        let workspace = self.post(owner, "/api/v1/workspaces", &json!({ "name": name })).await.expect(201);
        workspace["id"].as_str().expect("an id").to_owned()
    }

    /// Adds a member without an invite.
    pub async fn add_member(&self, workspace: &str, account: &TestAccount, role: &str) {
        let values = format!("('{workspace}', '{}', '{role}')", account.id);
        self.sql(&format!("insert into member (workspace_id, account_id, role) values {values}")).await;
    }

    /// Creates an API token for file reading and search, with these fields changed.
    pub async fn create_api_token(&self, account: &TestAccount, changes: &Value) -> TestResponse {
        let mut body = json!({
            "name": "Nightly import",
            "password": PASSWORD,
            "permissions": ["files.read", "search"],
            "expiresAt": clock::now() + chrono::Days::new(30),
        });
        for (field, value) in changes.as_object().expect("fields") {
            body[field] = value.clone();
        }
        self.post(account, "/api/v1/account/tokens", &body).await
    }

    /// The account with an API token as in [`TestApp::create_api_token`], and the token's id.
    pub async fn api_token(&self, account: &TestAccount, changes: &Value) -> (TestAccount, String) {
        let created = self.create_api_token(account, changes).await.expect(201);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (TestAccount { token: text(&created["secret"]), ..account.clone() }, text(&created["token"]["id"]))
    }

    /// The account with an API token for these permissions, in one workspace or in all.
    pub async fn api_token_with(
        &self,
        account: &TestAccount,
        permissions: &[Permission],
        workspace: Option<&str>,
    ) -> TestAccount {
        let permissions: Vec<_> = permissions.iter().map(|permission| permission.name()).collect();
        let mut changes = json!({ "permissions": permissions });
        if let Some(workspace) = workspace {
            changes["workspaces"] = json!([workspace]);
        }
        self.api_token(account, &changes).await.0
    }
}
