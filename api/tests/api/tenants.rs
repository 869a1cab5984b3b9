//! Two tenants that look alike: every request of the one, repeated with ids of the other, finds nothing.

use reqwest::StatusCode;

use crate::{
    app::{TestApp, send},
    scenarios::{Body, Fixture, of_workspaces},
};

#[actix_web::test]
async fn with_the_ids_of_another_tenant_nothing_is_found() {
    let app = TestApp::start().await;
    let [ada, grace] = [app.person("ada").await, app.person("grace").await];
    let [eve, mallory] = [app.person("eve").await, app.person("mallory").await];
    let hers = Fixture::new(&app, &ada, &grace).await;
    let before = state(&app, &hers).await;
    for operation in of_workspaces(&app).await {
        // A workspace for each: what succeeds may leave little behind.
        let own = Fixture::new(&app, &eve, &mallory).await;
        // Each id alone, and all together: a file of hers in a workspace of one's own, and the other way round.
        let parameters = operation.parameters();
        for swapped in parameters.iter().map(|parameter| vec![*parameter]).chain([parameters.clone()]) {
            let path = operation.path(|parameter| {
                let from = if swapped.contains(&parameter) { &hers } else { &own };
                from.id(parameter).unwrap().to_owned()
            });
            for body in [operation.body(&own), operation.body(&hers)] {
                send(operation.request(&app, &eve, &path, body)).await.problem(404, "not_found");
            }
        }
        // Ids in a body name nothing either.
        if let (Body::Json(own_body), Body::Json(body)) = (operation.body(&own), operation.body(&hers))
            && own_body != body
        {
            let answer = send(operation.request(&app, &eve, &operation.path_in(&own), Body::Json(body))).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}: {}", operation.id, answer.text);
        }
        // With one's own ids the same request is answered: it was the ids.
        if operation.id != "streamEvents" && operation.id != "leaveWorkspace" {
            let answer = send(operation.request(&app, &eve, &operation.path_in(&own), operation.body(&own))).await;
            let fine = answer.status.is_success() || operation.id == "readFileText";
            assert!(fine, "{}: {} {}", operation.id, answer.status, answer.text);
        }
    }
    assert_eq!(state(&app, &hers).await, before);
    app.stop_with_jobs().await;
}

/// Everything that could have been changed.
async fn state(app: &TestApp, fixture: &Fixture) -> Vec<String> {
    let mut state = Vec::new();
    for table in ["workspace", "member", "file", "file_version", "invite", "activity"] {
        let key = match table {
            "workspace" => "id",
            "activity" => "chain",
            _ => "workspace_id",
        };
        let sql = format!("select t::text as row from {table} t where {key} = '{}' order by 1", fixture.workspace);
        for row in app.rows(&sql).await {
            state.push(row.try_get("", "row").unwrap());
        }
    }
    state
}
