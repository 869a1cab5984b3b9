//! Every operation of a workspace, asked by every role: what the table of permissions says is what happens.

use crate::{
    app::{Answer, Person, TestApp, send},
    scenarios::{Body, Fixture, Operation, of_workspaces},
};

const ROLES: [&str; 4] = ["guest", "member", "admin", "owner"];

/// The least role that may do it. A new operation fails the test until it stands here: on purpose a second list beside
/// the one in the code.
const LEAST: [(&str, &str); 23] = [
    ("readWorkspace", "guest"),
    ("updateWorkspace", "admin"),
    ("deleteWorkspace", "owner"),
    ("readUsage", "member"),
    ("listMembers", "member"),
    ("readMember", "member"),
    ("changeMember", "admin"),
    ("removeMember", "admin"),
    ("leaveWorkspace", "guest"),
    ("transferWorkspace", "owner"),
    ("createInvite", "admin"),
    ("listInvites", "admin"),
    ("cancelInvite", "admin"),
    ("uploadFiles", "member"),
    ("listFiles", "guest"),
    ("readFile", "guest"),
    ("readFileContent", "guest"),
    ("readFileText", "guest"),
    ("deleteFile", "member"),
    ("streamEvents", "guest"),
    ("search", "guest"),
    ("listActivities", "admin"),
    ("exportActivities", "admin"),
];

fn least(operation: &Operation) -> usize {
    let found = LEAST.iter().find(|(id, _)| *id == operation.id);
    let (_, role) = found.unwrap_or_else(|| panic!("{} is documented: say here who may do it", operation.id));
    ROLES.iter().position(|other| other == role).unwrap()
}

/// The answer; of one that goes on for ever only the beginning.
async fn ask(app: &TestApp, person: &Person, operation: &Operation, path: &str, body: Body) -> Answer {
    let request = operation.request(app, person, path, body);
    if operation.id != "streamEvents" {
        return send(request).await;
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = if status.is_success() { String::new() } else { response.text().await.unwrap() };
    Answer { status, headers, text }
}

#[actix_web::test]
async fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let mut people = Vec::new();
    for role in ROLES {
        people.push(app.person(role).await);
    }
    let mut seen = 0;
    for operation in of_workspaces(&app).await {
        seen += 1;
        for (rank, person) in people.iter().enumerate() {
            // What succeeds may leave little behind: each has a workspace of their own.
            let fixture = Fixture::new(&app, &ada, &grace).await;
            app.enrol(&fixture.workspace, person, ROLES[rank]).await;
            let path = operation.path_in(&fixture);
            if rank < least(&operation) {
                // Also with a body that nobody could use: it is not looked at.
                for body in [operation.body(&fixture), Body::Json("x".into())] {
                    let body = if operation.method == reqwest::Method::GET { Body::Nothing } else { body };
                    ask(&app, person, &operation, &path, body).await.problem(403, "forbidden");
                }
                continue;
            }
            let answer = ask(&app, person, &operation, &path, operation.body(&fixture)).await;
            // No worker runs: there is no text yet.
            let fine = answer.status.is_success() || (operation.id == "readFileText" && answer.status == 409);
            assert!(fine, "{} as {}: {} {}", operation.id, ROLES[rank], answer.status, answer.text);
        }
    }
    assert_eq!(seen, LEAST.len(), "an operation of the list is gone");
    app.stop_with_jobs().await;
}
