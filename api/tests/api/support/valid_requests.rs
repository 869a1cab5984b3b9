//! A request that succeeds for every operation within a workspace. A documented operation without one here fails the tests.

use nvisy_shared::pipeline::builtin;
use reqwest::{Method, RequestBuilder, multipart::Form};
use serde_json::{Value, json};

use super::{Operation, TestAccount, TestApp, part};

/// A workspace with a member, a file and an invite.
pub struct WorkspaceFixture {
    pub member: TestAccount,
    pub workspace: String,
    pub file: String,
    pub invite: String,
    pub pipeline: String,
}

impl WorkspaceFixture {
    pub async fn new(app: &TestApp, owner: &TestAccount, member: &TestAccount) -> Self {
        let workspace = app.create_workspace(owner, "Tidal energy").await;
        app.add_member(&workspace, member, "member").await;
        let accepted = app.upload(owner, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        let path = format!("/api/v1/workspaces/{workspace}/invites");
        let invite = app.post(owner, &path, &json!({ "role": "guest" })).await.expect(201);
        let pipeline = json!({ "name": "Reports", "definition": builtin::definition(None, 0) });
        let path = format!("/api/v1/workspaces/{workspace}/pipelines");
        let pipeline = app.post(owner, &path, &pipeline).await.expect(201);
        let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
        let (file, invite, pipeline) = (id(&accepted["items"][0]), id(&invite), id(&pipeline));
        Self { member: member.clone(), file, invite, pipeline, workspace }
    }

    /// The value of a path parameter, which is in braces.
    pub fn id(&self, parameter: &str) -> Option<&str> {
        Some(match parameter {
            "{ws}" => &self.workspace,
            "{file}" => &self.file,
            "{account}" => &self.member.id,
            "{invite}" => &self.invite,
            "{pipeline}" => &self.pipeline,
            "{version}" => "1",
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
pub enum Body {
    None,
    Json(Value),
    Upload,
}

impl Operation {
    /// A body with which the operation succeeds.
    pub fn valid_body(&self, fixture: &WorkspaceFixture) -> Body {
        match (self.id.as_str(), &self.method) {
            ("uploadFiles", _) => Body::Upload,
            ("updateFile", _) => Body::Json(json!({ "tags": ["manual"] })),
            ("search", _) => Body::Json(json!({ "query": "tide", "mode": "text" })),
            ("createPipeline", _) => {
                Body::Json(json!({ "name": "Contracts", "definition": builtin::definition(Some(64), 0) }))
            }
            ("validatePipeline", _) => Body::Json(json!({ "definition": {} })),
            ("updatePipeline", _) => Body::Json(json!({ "name": "Contracts" })),
            ("updateWorkspace", _) => Body::Json(json!({ "name": "Wind" })),
            ("changeMember", _) => Body::Json(json!({ "role": "guest" })),
            ("transferWorkspace", _) => Body::Json(json!({ "accountId": fixture.member.id })),
            ("createInvite", _) => Body::Json(json!({ "role": "guest", "email": "new@example.org" })),
            ("leaveWorkspace", _) | (_, &Method::GET | &Method::DELETE) => Body::None,
            (id, _) => panic!("{id} is documented: add a body for it to `valid_body`"),
        }
    }

    /// The path with the ids of the fixture.
    pub fn path_in(&self, fixture: &WorkspaceFixture) -> String {
        self.path_with(|parameter| match fixture.id(parameter) {
            Some(id) => id.to_owned(),
            None => panic!("{} has the parameter {parameter}: add it to `WorkspaceFixture`", self.id),
        })
    }

    pub fn request(&self, app: &TestApp, caller: &TestAccount, path: &str, body: Body) -> RequestBuilder {
        let request = app.request(self.method.clone(), path).bearer_auth(&caller.token);
        match body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Upload => request.multipart(Form::new().part("file", part("b.txt", "ebb"))),
        }
    }
}
