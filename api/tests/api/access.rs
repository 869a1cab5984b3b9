//! Every operation of the document, asked by people who may not: a new one is covered by being documented.

use std::collections::BTreeSet;

use nvisy_shared::{clock, domain::role::Permission};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, send};

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nobody has to say who they are.
    Nothing,
    /// An account, by a session or an API token.
    Account,
    /// Somebody who is signed in: no API token.
    Session,
    /// A permission in the workspace of the path, by a session or an API token that has it, too.
    Permission(Permission),
}

use Needs::{Account, Nothing, Permission as Within, Session};

/// Every operation, and what it takes: what all of the access tests expect follows from this. On purpose a second list
/// beside the argument types in the code; what is documented and does not stand here fails them.
const TABLE: [(&str, Needs); 60] = [
    ("signUp", Nothing),
    ("confirmSignUp", Nothing),
    ("forgotPassword", Nothing),
    ("resetPassword", Nothing),
    ("confirmEmail", Nothing),
    ("login", Nothing),
    ("refresh", Nothing),
    ("health", Nothing),
    ("live", Nothing),
    ("ready", Nothing),
    ("readAccount", Account),
    ("readAvatar", Account),
    ("listWorkspaces", Account),
    ("updateAccount", Session),
    ("changePassword", Session),
    ("changeEmail", Session),
    ("verifyEmail", Session),
    ("deleteAccount", Session),
    ("replaceAvatar", Session),
    ("removeAvatar", Session),
    ("logout", Session),
    ("listSessions", Session),
    ("revokeSession", Session),
    ("revokeSessions", Session),
    ("readSecondFactor", Session),
    ("enrolSecondFactor", Session),
    ("confirmSecondFactor", Session),
    ("disableSecondFactor", Session),
    ("renewRecoveryCodes", Session),
    ("listAccountActivities", Session),
    ("exportAccountActivities", Session),
    ("createToken", Session),
    ("listTokens", Session),
    ("revokeToken", Session),
    ("createWorkspace", Session),
    ("acceptInvite", Session),
    ("declineInvite", Session),
    ("readWorkspace", Within(Permission::ReadWorkspace)),
    ("leaveWorkspace", Within(Permission::LeaveWorkspace)),
    ("updateWorkspace", Within(Permission::UpdateWorkspace)),
    ("deleteWorkspace", Within(Permission::DeleteWorkspace)),
    ("transferWorkspace", Within(Permission::TransferWorkspace)),
    ("readUsage", Within(Permission::ReadUsage)),
    ("listMembers", Within(Permission::ReadMembers)),
    ("readMember", Within(Permission::ReadMembers)),
    ("changeMember", Within(Permission::ManageMembers)),
    ("removeMember", Within(Permission::ManageMembers)),
    ("createInvite", Within(Permission::ManageInvites)),
    ("listInvites", Within(Permission::ManageInvites)),
    ("cancelInvite", Within(Permission::ManageInvites)),
    ("uploadFiles", Within(Permission::WriteFiles)),
    ("deleteFile", Within(Permission::WriteFiles)),
    ("listFiles", Within(Permission::ReadFiles)),
    ("readFile", Within(Permission::ReadFiles)),
    ("readFileContent", Within(Permission::ReadFiles)),
    ("readFileText", Within(Permission::ReadFiles)),
    ("streamEvents", Within(Permission::ReadFiles)),
    ("search", Within(Permission::Search)),
    ("listActivities", Within(Permission::ReadActivities)),
    ("exportActivities", Within(Permission::ReadActivities)),
];

/// What the operation of this name takes.
pub fn needs(operation: &str) -> Needs {
    let found = TABLE.iter().find(|(id, _)| *id == operation);
    found.unwrap_or_else(|| panic!("{operation} is documented: say in `TABLE` what it takes")).1
}

/// The permission that the operation of a workspace takes.
pub fn permission(operation: &str) -> Permission {
    match needs(operation) {
        Within(permission) => permission,
        other => panic!("{operation} is of a workspace, and `TABLE` says {other:?}"),
    }
}

#[derive(Clone)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    /// A template, until [`Operation::at`] fills it in.
    pub path: String,
    /// The names of its query parameters.
    pub query: Vec<String>,
    /// The names of the ways to say who asks, as the document has them.
    security: Vec<String>,
    /// The schema of its JSON body.
    body: Option<String>,
}

impl Operation {
    /// The path, with the workspace's id for `{ws}` and an id of nothing for all else.
    pub fn path(&self, workspace: &str) -> String {
        let nothing = nvisy_shared::id::new().to_string();
        let part = |part: &str| match part {
            "{ws}" => workspace.to_owned(),
            part if part.starts_with('{') => nothing.clone(),
            part => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// The operation, in this workspace.
    pub fn at(&self, workspace: &str) -> Self {
        Self { path: self.path(workspace), ..self.clone() }
    }

    /// A JSON body as the document shows it.
    pub fn example(&self, document: &Value) -> Option<Value> {
        let schema = document.pointer(self.body.as_ref()?.strip_prefix('#')?)?;
        Some(schema.get("example").cloned().unwrap_or_else(|| serde_json::json!({})))
    }
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                query: operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|one| one["in"] == "query")
                    .map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect(),
                body: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                    .as_str()
                    .map(str::to_owned),
                security: operation["security"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(|scheme| scheme.as_object().unwrap().keys().cloned())
                    .collect(),
            });
        }
    }
    assert!(all.len() > 50, "the document is incomplete");
    all
}

#[actix_web::test]
async fn table_and_openapi_document_agree_on_every_operation() {
    let app = TestApp::start().await;
    let all = operations(&app.document().await);
    for operation in &all {
        let security: Vec<&str> = operation.security.iter().map(String::as_str).collect();
        let needs = needs(&operation.id);
        let says: &[&str] = match needs {
            Nothing => &[],
            Session => &["bearer"],
            Account | Within(_) => &["bearer", "apiToken"],
        };
        assert_eq!(security, says, "{}", operation.id);
        assert_eq!(matches!(needs, Within(_)), operation.path.contains("{ws}"), "{}", operation.id);
    }
    let documented: BTreeSet<&str> = all.iter().map(|operation| operation.id.as_str()).collect();
    let listed: BTreeSet<&str> = TABLE.iter().map(|(id, _)| *id).collect();
    assert_eq!(listed, documented, "an operation of the table is gone");
    assert_eq!(listed.len(), TABLE.len(), "an operation stands in the table twice");
    app.stop().await;
}

#[actix_web::test]
async fn every_operation_rejects_requests_without_a_valid_token() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    for operation in operations(&app.document().await) {
        if needs(&operation.id) != Nothing {
            let path = operation.path(&workspace);
            for token in [None, Some("x.y.z")] {
                let request = app.request(operation.method.clone(), &path);
                let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
                send(request).await.problem(401, "unauthenticated");
            }
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn other_accounts_workspaces_and_credentials_are_not_found() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let token = json!({ "name": "T", "password": PASSWORD, "permissions": ["search"], "expiresAt": clock::now() + chrono::Days::new(1) });
    let token = app.post(&ada, "/api/v1/account/tokens", &token).await.expect(201);
    let sessions = app.get(&ada, "/api/v1/account/sessions").await.expect(200);
    let stranger = app.person("stranger").await;
    for operation in operations(&app.document().await).iter().filter(|operation| operation.path.contains('{')) {
        let path = operation.path(&workspace);
        let own = operation
            .path
            .replace("{token}", token["token"]["id"].as_str().unwrap())
            .replace("{session}", sessions["items"][0]["id"].as_str().unwrap());
        let path = if operation.path.contains("{ws}") { path } else { own };
        assert!(!path.contains('{'), "{}: give the stranger an id of hers for {path}", operation.id);
        // Without a body or with a broken one: nothing a stranger sends is looked at.
        for body in [None, Some("{")] {
            let request = app.request(operation.method.clone(), &path);
            let request = request.bearer_auth(&stranger.token).header("content-type", "application/json");
            let request = body.into_iter().fold(request, |request, body| request.body(body));
            send(request).await.problem(404, "not_found");
        }
    }
    // All of it is still there for her.
    let robot = json!(token["token"]["id"]);
    assert_eq!(app.get(&ada, "/api/v1/account/tokens").await.expect(200)["items"][0]["id"], robot);
    app.stop().await;
}
