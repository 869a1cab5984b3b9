//! Every operation of the document that changes something leaves an entry in the activity log: a new one must be
//! performed here, or be exempt with a reason.

use reqwest::{Method, RequestBuilder, multipart::Form};
use serde_json::json;

use crate::{
    app::{PASSWORD, Person, TestApp, send},
    files::part,
};

/// What writes no entry, and why.
const EXEMPT: [(&str, &str); 2] = [
    ("login", "changes nothing: it gives a token that is stored nowhere"),
    ("search", "only reads; POST for its body"),
];

impl TestApp {
    fn by(&self, person: &Person, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&person.token)
    }

    /// A workspace of this person's with one file; their ids.
    pub(crate) async fn workspace_with_file(&self, owner: &Person) -> (String, String) {
        let workspace = self.workspace(owner, "Tidal energy").await;
        let accepted = self.upload(owner, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        (workspace, accepted["items"][0]["id"].as_str().unwrap().to_owned())
    }
}

/// A request that performs the operation, with all it needs made before.
async fn request(app: &TestApp, operation: &str) -> RequestBuilder {
    let name = operation.to_lowercase();
    if operation == "signUp" {
        let body = json!({ "email": "new@example.org", "password": PASSWORD, "displayName": "New" });
        return app.request(Method::POST, "/api/v1/auth/sign-up").json(&body);
    }
    let owner = app.person(&name).await;
    match operation {
        "createWorkspace" => app.by(&owner, Method::POST, "/api/v1/workspaces").json(&json!({ "name": "Wind" })),
        "uploadFiles" => {
            let workspace = app.workspace(&owner, "Tidal energy").await;
            let form = Form::new().part("file", part("a.txt", "tide"));
            app.by(&owner, Method::POST, &format!("/api/v1/workspaces/{workspace}/files")).multipart(form)
        }
        "deleteFile" => {
            let (workspace, file) = app.workspace_with_file(&owner).await;
            app.by(&owner, Method::DELETE, &format!("/api/v1/workspaces/{workspace}/files/{file}"))
        }
        _ => panic!("{operation} changes something: perform it here, or exempt it with a reason"),
    }
}

#[actix_web::test]
async fn whatever_changes_something_leaves_an_entry() {
    let app = TestApp::start().await;
    let document = app.document().await;
    let mut exempt = Vec::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for (method, operation) in methods.as_object().unwrap() {
            let operation = operation["operationId"].as_str().unwrap();
            if method == "get" {
                continue;
            }
            if EXEMPT.iter().any(|(name, _)| *name == operation) {
                exempt.push(operation.to_owned());
                continue;
            }
            let name = format!("trail-{operation}");
            let answer = send(request(&app, operation).await.header("x-request-id", &name)).await;
            assert!(answer.status.is_success(), "{operation}: {} {}", answer.status, answer.text);
            let entries = app.rows(&format!("select from activity where request_id = '{name}'")).await.len();
            assert!(entries > 0, "{operation} left no entry");
        }
    }
    assert_eq!(exempt.len(), EXEMPT.len(), "an exempt operation is gone: {exempt:?}");
    app.stop_with_jobs().await;
}
