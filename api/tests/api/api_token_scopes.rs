//! Every operation of the document, asked by API tokens: one that has all permissions but the one it takes, one that has
//! only that, one that is good elsewhere. An operation is in here by being documented.

use nvisy_shared::{clock, domain::role::Permission};
use serde_json::json;

use crate::{
    access::{Needs, needs, operations, permission},
    role_permissions::{ask, fine},
    support::app::{PASSWORD, Person, TestApp, send},
    support::valid_requests::{Body, Fixture, of_workspaces},
};

impl TestApp {
    /// A program that acts for this person, with these permissions, in one workspace or in all.
    pub async fn robot(&self, person: &Person, permissions: &[Permission], workspace: Option<&str>) -> Person {
        let permissions: Vec<_> = permissions.iter().map(|permission| permission.name()).collect();
        let mut body = json!({
            "name": "Robot", "password": PASSWORD, "permissions": permissions, "expiresAt": clock::now() + chrono::Days::new(1)
        });
        if let Some(workspace) = workspace {
            body["workspaces"] = json!([workspace]);
        }
        let token = self.post(person, "/api/v1/account/tokens", &body).await.expect(201);
        Person { token: token["secret"].as_str().unwrap().to_owned(), ..person.clone() }
    }
}

fn all_but(permission: Permission) -> Vec<Permission> {
    Permission::ALL.iter().copied().filter(|other| *other != permission).collect()
}

#[actix_web::test]
async fn api_token_lacking_only_the_required_permission_is_rejected() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let fixture = Fixture::new(&app, &ada, &grace).await;
    // One for each permission that it has not.
    let mut robots = Vec::new();
    for permission in Permission::ALL {
        robots.push((*permission, app.robot(&ada, &all_but(*permission), Some(&fixture.workspace)).await));
    }
    for operation in of_workspaces(&app).await {
        let needed = permission(&operation.id);
        let (_, robot) = robots.iter().find(|(permission, _)| *permission == needed).unwrap();
        let path = operation.path_in(&fixture);
        for body in [operation.body(&fixture), Body::Nothing, Body::Json("x".into())] {
            ask(&app, robot, &operation, &path, body).await.problem(403, "scope_missing");
        }
    }
    // None of it happened.
    app.get(&ada, &format!("/api/v1/workspaces/{}/files/{}", fixture.workspace, fixture.file)).await.expect(200);
    assert_eq!(app.count("invite").await, 1);
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn api_token_with_only_the_required_permission_is_accepted() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    for operation in of_workspaces(&app).await {
        let fixture = Fixture::new(&app, &ada, &grace).await;
        // An owner may do everything, but not leave.
        let person = if operation.id == "leaveWorkspace" { &grace } else { &ada };
        let robot = app.robot(person, &[permission(&operation.id)], Some(&fixture.workspace)).await;
        let answer = ask(&app, &robot, &operation, &operation.path_in(&fixture), operation.body(&fixture)).await;
        assert!(fine(&operation, &answer), "{}: {} {}", operation.id, answer.status, answer.text);
    }
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn workspace_outside_the_token_scope_is_not_found() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let fixture = Fixture::new(&app, &ada, &grace).await;
    let elsewhere = app.workspace(&ada, "Wave energy").await;
    let robot = app.robot(&ada, Permission::ALL, Some(&elsewhere)).await;
    for operation in of_workspaces(&app).await {
        for body in [operation.body(&fixture), Body::Nothing, Body::Json("x".into())] {
            ask(&app, &robot, &operation, &operation.path_in(&fixture), body).await.problem(404, "not_found");
        }
    }
    app.stop_with_jobs().await;
}

#[actix_web::test]
async fn api_token_only_reads_outside_workspaces() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let robot = app.robot(&ada, Permission::ALL, None).await;
    let nothing = nvisy_shared::id::new().to_string();
    for operation in operations(&app.document().await) {
        let needs = needs(&operation.id);
        if !matches!(needs, Needs::Session | Needs::Account) {
            continue;
        }
        for body in [None, Some("{"), Some("{}")] {
            let request = app.request(operation.method.clone(), &operation.path(&nothing)).bearer_auth(&robot.token);
            let request = request.header("content-type", "application/json");
            let answer = send(body.into_iter().fold(request, |request, body| request.body(body))).await;
            let _ = match needs {
                Needs::Session => answer.problem(403, "session_needed"),
                // There is no picture.
                _ if operation.id == "readAvatar" => answer.problem(404, "not_found"),
                _ => answer.expect(200),
            };
        }
    }
    app.stop().await;
}
