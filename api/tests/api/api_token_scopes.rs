//! Every documented operation, called with API tokens that have all permissions but the required one, only the required one,
//! or another workspace in their scope.

use std::collections::HashMap;

use nvisy_shared::domain::role::Permission;
use reqwest::Method;

use crate::{
    access::{Requirement, required_permission, requirement},
    role_permissions::{call, succeeded},
    support::{Body, TestAccount, TestApp, WorkspaceFixture, send},
};

fn all_but(permission: Permission) -> Vec<Permission> {
    Permission::ALL.iter().copied().filter(|other| *other != permission).collect()
}

#[actix_web::test]
async fn api_token_lacking_only_the_required_permission_is_rejected() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.create_account("ada").await, app.create_account("grace").await];
    let fixture = WorkspaceFixture::new(&app, &ada, &grace).await;
    // One token for each missing permission.
    let mut callers = Vec::new();
    for permission in Permission::ALL {
        callers.push((*permission, app.api_token_with(&ada, &all_but(*permission), Some(&fixture.workspace)).await));
    }
    for operation in app.openapi().await.workspace_operations() {
        let required = required_permission(&operation.id);
        let (_, caller) = callers.iter().find(|(permission, _)| *permission == required).unwrap();
        let path = operation.path_in(&fixture);
        for body in [operation.valid_body(&fixture), Body::None, Body::Json("x".into())] {
            call(&app, caller, &operation, &path, body).await.problem(403, "scope_missing");
        }
    }
    // Nothing was changed.
    app.get(&ada, &format!("/api/v1/workspaces/{}/files/{}", fixture.workspace, fixture.file)).await.expect(200);
    assert_eq!(app.count("invite").await, 1);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn api_token_with_only_the_required_permission_is_accepted() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.create_account("ada").await, app.create_account("grace").await];
    // Reads share a workspace, and the token for each permission.
    let unchanged = WorkspaceFixture::new(&app, &ada, &grace).await;
    let mut readers: HashMap<&str, TestAccount> = HashMap::new();
    for operation in app.openapi().await.workspace_operations() {
        let permission = required_permission(&operation.id);
        let is_read = operation.method == Method::GET;
        let changed;
        let fixture = if is_read {
            &unchanged
        } else {
            changed = WorkspaceFixture::new(&app, &ada, &grace).await;
            &changed
        };
        // The only owner cannot leave.
        let account = if operation.id == "leaveWorkspace" { &grace } else { &ada };
        let known = readers.get(permission.name()).filter(|_| is_read).cloned();
        let caller = match known {
            Some(caller) => caller,
            None => app.api_token_with(account, &[permission], Some(&fixture.workspace)).await,
        };
        if is_read {
            readers.insert(permission.name(), caller.clone());
        }
        let response =
            call(&app, &caller, &operation, &operation.path_in(fixture), operation.valid_body(fixture)).await;
        assert!(succeeded(&operation, &response), "{}: {} {}", operation.id, response.status, response.text);
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn workspace_outside_the_token_scope_is_not_found() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.create_account("ada").await, app.create_account("grace").await];
    let fixture = WorkspaceFixture::new(&app, &ada, &grace).await;
    let elsewhere = app.create_workspace(&ada, "Wave energy").await;
    let caller = app.api_token_with(&ada, Permission::ALL, Some(&elsewhere)).await;
    for operation in app.openapi().await.workspace_operations() {
        for body in [operation.valid_body(&fixture), Body::None, Body::Json("x".into())] {
            call(&app, &caller, &operation, &operation.path_in(&fixture), body).await.problem(404, "not_found");
        }
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn api_token_only_reads_outside_workspaces() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let caller = app.api_token_with(&ada, Permission::ALL, None).await;
    let unknown = nvisy_shared::id::new().to_string();
    for operation in app.openapi().await.operations() {
        let requirement = requirement(&operation.id);
        if !matches!(requirement, Requirement::Session | Requirement::Account) {
            continue;
        }
        for body in [None, Some("{"), Some("{}")] {
            let request = app
                .request(operation.method.clone(), &operation.path_with_unknown_ids(&unknown))
                .bearer_auth(&caller.token);
            let request = request.header("content-type", "application/json");
            let response = send(body.into_iter().fold(request, |request, body| request.body(body))).await;
            let _ = match requirement {
                Requirement::Session => response.problem(403, "session_needed"),
                // The account has no avatar.
                _ if operation.id == "readAvatar" => response.problem(404, "not_found"),
                _ => response.expect(200),
            };
        }
    }
    app.stop().await;
}
