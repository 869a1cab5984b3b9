//! Every operation within a workspace, called with every role: the permissions are those of the table.

use nvisy_shared::domain::role::Role;

use crate::{
    access::required_permission,
    support::{Body, Operation, TestAccount, TestApp, TestResponse, WorkspaceFixture, send},
};

/// The response; of an event stream only the head.
pub async fn call(app: &TestApp, account: &TestAccount, operation: &Operation, path: &str, body: Body) -> TestResponse {
    let request = operation.request(app, account, path, body);
    if operation.id != "streamEvents" {
        return send(request).await;
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = if status.is_success() { String::new() } else { response.text().await.unwrap() };
    TestResponse { status, headers, text }
}

/// Whether the operation was allowed. Without a worker the text of a file does not exist yet.
pub fn succeeded(operation: &Operation, response: &TestResponse) -> bool {
    response.status.is_success() || (operation.id == "readFileText" && response.status == 409)
}

#[actix_web::test]
async fn every_role_has_exactly_the_permissions_of_the_table() {
    // One account owns a workspace for each operation and role.
    let app = TestApp::start_with(&[("NVISY_QUOTA_WORKSPACES", "100000")]).await;
    let [ada, grace] = [app.create_account("ada").await, app.create_account("grace").await];
    let mut accounts = Vec::new();
    for role in Role::ALL {
        accounts.push((role, app.create_account(role.name()).await));
    }
    // Of what changes nothing: of reads and of everything that is denied.
    let unchanged = WorkspaceFixture::new(&app, &ada, &grace).await;
    for (role, account) in &accounts {
        app.add_member(&unchanged.workspace, account, role.name()).await;
    }
    for operation in app.openapi().await.workspace_operations() {
        let is_read = operation.method == reqwest::Method::GET;
        for (role, account) in &accounts {
            if *role < required_permission(&operation.id).lowest_role() {
                let path = operation.path_in(&unchanged);
                // Also with an invalid body: the role is checked before the body is read.
                for body in [operation.valid_body(&unchanged), Body::Json("x".into())] {
                    let body = if is_read { Body::None } else { body };
                    call(&app, account, &operation, &path, body).await.problem(403, "forbidden");
                }
                continue;
            }
            // A new workspace for each role, because operations may delete things.
            let new = if is_read { None } else { Some(WorkspaceFixture::new(&app, &ada, &grace).await) };
            if let Some(new) = &new {
                app.add_member(&new.workspace, account, role.name()).await;
            }
            let fixture = new.as_ref().unwrap_or(&unchanged);
            let path = operation.path_in(fixture);
            let response = call(&app, account, &operation, &path, operation.valid_body(fixture)).await;
            assert!(
                succeeded(&operation, &response),
                "{} as {}: {} {}",
                operation.id,
                role.name(),
                response.status,
                response.text
            );
        }
    }
    app.stop_and_drop_jobs().await;
}
