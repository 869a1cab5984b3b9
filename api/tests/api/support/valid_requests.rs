//! Every operation of a workspace as a request that succeeds: for tests that go through all of them. What is documented
//! and has no request here fails them.

use reqwest::{Method, RequestBuilder, multipart::Form};
use serde_json::{Value, json};

use crate::{
    files::part,
    support::app::{Person, TestApp},
};

/// A workspace with one of everything.
pub struct Fixture {
    pub member: Person,
    pub workspace: String,
    pub file: String,
    pub invite: String,
}

impl Fixture {
    /// A fresh workspace of the owner's, with the other as a member.
    pub async fn new(app: &TestApp, owner: &Person, member: &Person) -> Self {
        let workspace = app.workspace(owner, "Tidal energy").await;
        app.enrol(&workspace, member, "member").await;
        let accepted = app.upload(owner, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        let path = format!("/api/v1/workspaces/{workspace}/invites");
        let invite = app.post(owner, &path, &json!({ "role": "guest" })).await.expect(201);
        let id = |of: &Value| of["id"].as_str().unwrap().to_owned();
        Self { member: member.clone(), file: id(&accepted["items"][0]), invite: id(&invite), workspace }
    }

    /// What stands for a parameter of a path.
    pub fn id(&self, parameter: &str) -> Option<&str> {
        Some(match parameter {
            "{ws}" => &self.workspace,
            "{file}" => &self.file,
            "{account}" => &self.member.id,
            "{invite}" => &self.invite,
            _ => return None,
        })
    }
}

/// A body that goes with an operation.
#[derive(Clone, Debug)]
pub enum Body {
    Nothing,
    Json(Value),
    Upload,
}

/// An operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
}

/// Those of workspaces.
pub async fn of_workspaces(app: &TestApp) -> Vec<Operation> {
    let document = app.document().await;
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap().iter().filter(|_| path.contains("{ws}")) {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            all.push(Operation { id, method: method.to_uppercase().parse().unwrap(), path: path.clone() });
        }
    }
    assert!(all.len() > 15, "the document is incomplete");
    all
}

impl Operation {
    /// The body with which it succeeds.
    pub fn body(&self, fixture: &Fixture) -> Body {
        match (self.id.as_str(), &self.method) {
            ("uploadFiles", _) => Body::Upload,
            ("search", _) => Body::Json(json!({ "query": "tide", "mode": "text" })),
            ("updateWorkspace", _) => Body::Json(json!({ "name": "Wind" })),
            ("changeMember", _) => Body::Json(json!({ "role": "guest" })),
            ("transferWorkspace", _) => Body::Json(json!({ "accountId": fixture.member.id })),
            ("createInvite", _) => Body::Json(json!({ "role": "guest", "email": "new@example.org" })),
            ("leaveWorkspace", _) | (_, &Method::GET | &Method::DELETE) => Body::Nothing,
            (id, _) => panic!("{id} is documented: give it a body here"),
        }
    }

    /// Its path, with an id for each parameter.
    pub fn path(&self, mut id: impl FnMut(&str) -> String) -> String {
        let part = |part: &str| if part.starts_with('{') { id(part) } else { part.to_owned() };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// Its path within a fixture.
    pub fn path_in(&self, fixture: &Fixture) -> String {
        self.path(|parameter| match fixture.id(parameter) {
            Some(id) => id.to_owned(),
            None => panic!("{} has a parameter {parameter}: give the fixture one", self.id),
        })
    }

    /// The parameters of its path.
    pub fn parameters(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| part.starts_with('{')).collect()
    }

    /// As this person asks it.
    pub fn request(&self, app: &TestApp, person: &Person, path: &str, body: Body) -> RequestBuilder {
        let request = app.request(self.method.clone(), path).bearer_auth(&person.token);
        match body {
            Body::Nothing => request,
            Body::Json(body) => request.json(&body),
            Body::Upload => request.multipart(Form::new().part("file", part("b.txt", "ebb"))),
        }
    }
}

impl TestApp {
    /// Makes somebody a member.
    pub async fn enrol(&self, workspace: &str, person: &Person, role: &str) {
        let values = format!("('{workspace}', '{}', '{role}')", person.id);
        self.sql(&format!("insert into member (workspace_id, account_id, role) values {values}")).await;
    }
}
