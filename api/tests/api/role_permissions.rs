//! Every operation of a workspace, asked by every role: what the table of permissions says is what happens.

use nvisy_shared::domain::role::Role;

use crate::{
    access::permission,
    support::app::{Answer, Person, TestApp, send},
    support::valid_requests::{Body, Fixture, Operation, of_workspaces},
};

/// The answer; of one that goes on for ever only the beginning.
pub async fn ask(app: &TestApp, person: &Person, operation: &Operation, path: &str, body: Body) -> Answer {
    let request = operation.request(app, person, path, body);
    if operation.id != "streamEvents" {
        return send(request).await;
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = if status.is_success() { String::new() } else { response.text().await.unwrap() };
    Answer { status, headers, text }
}

/// Whether it was done. No worker runs: there is no text yet.
pub fn fine(operation: &Operation, answer: &Answer) -> bool {
    answer.status.is_success() || (operation.id == "readFileText" && answer.status == 409)
}

#[actix_web::test]
async fn every_role_has_exactly_the_permissions_of_the_table() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let mut people = Vec::new();
    for role in Role::ALL {
        people.push((role, app.person(role.name()).await));
    }
    for operation in of_workspaces(&app).await {
        for (role, person) in &people {
            // What succeeds may leave little behind: each has a workspace of their own.
            let fixture = Fixture::new(&app, &ada, &grace).await;
            app.enrol(&fixture.workspace, person, role.name()).await;
            let path = operation.path_in(&fixture);
            if *role < permission(&operation.id).lowest_role() {
                // Also with a body that nobody could use: it is not looked at.
                for body in [operation.body(&fixture), Body::Json("x".into())] {
                    let body = if operation.method == reqwest::Method::GET { Body::Nothing } else { body };
                    ask(&app, person, &operation, &path, body).await.problem(403, "forbidden");
                }
                continue;
            }
            let answer = ask(&app, person, &operation, &path, operation.body(&fixture)).await;
            assert!(
                fine(&operation, &answer),
                "{} as {}: {} {}",
                operation.id,
                role.name(),
                answer.status,
                answer.text
            );
        }
    }
    app.stop_with_jobs().await;
}
