//! Cursors and limits of lists.

use serde_json::{Value, json};

use crate::support::{TestApp, part};

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn growing_list_is_paged_without_gaps_or_duplicates() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    for name in ["a", "b", "c", "d", "e"] {
        app.create_workspace(&ada, name).await;
    }
    let first = app.get(&ada, "/api/v1/workspaces?limit=2").await.expect(200);
    assert_eq!(names(&first), ["e", "d"]);
    app.create_workspace(&ada, "f").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = app.get(&ada, &format!("/api/v1/workspaces?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(names(&second), ["c", "b"]);
    let cursor = second["nextCursor"].as_str().unwrap();
    let third = app.get(&ada, &format!("/api/v1/workspaces?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(names(&third), ["a"]);
    assert!(third.get("nextCursor").is_none());
    app.stop().await;
}

#[actix_web::test]
async fn cursor_of_another_list_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (one, other) = (app.create_workspace(&ada, "a").await, app.create_workspace(&ada, "b").await);
    let page = app.get(&ada, "/api/v1/workspaces?limit=1").await.expect(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    app.get(&ada, &format!("/api/v1/workspaces?limit=100&cursor={cursor}")).await.expect(200);
    app.get(&ada, &format!("/api/v1/workspaces/{one}/files?cursor={cursor}")).await.problem(400, "invalid_cursor");

    let parts = ["c.txt", "d.txt"].map(|name| part(name, "The tide turns at noon.")).into();
    app.upload(&ada, &one, parts).await.expect(202);
    let page = app.get(&ada, &format!("/api/v1/workspaces/{one}/files?limit=1")).await.expect(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    app.get(&ada, &format!("/api/v1/workspaces/{one}/files?cursor={cursor}")).await.expect(200);
    app.get(&ada, &format!("/api/v1/workspaces/{other}/files?cursor={cursor}")).await.problem(400, "invalid_cursor");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn invalid_page_parameters_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    for cursor in ["x", "%ff", "bm90IGFuIGlk"] {
        let path = format!("/api/v1/workspaces?cursor={cursor}");
        app.get(&ada, &path).await.problem(400, "invalid_cursor");
    }
    for (query, field, message) in [
        ("limit=0", "limit", "must be an integer from 1 to 100"),
        ("limit=101", "limit", "must be an integer from 1 to 100"),
        ("limit=many", "limit", "must be an integer from 1 to 100"),
        ("limit=-1", "limit", "must be an integer from 1 to 100"),
        ("limit=1&limit=2", "limit", "must not appear more than once"),
        ("colour=blue", "colour", "is not a parameter of this operation"),
        ("cursor=%00", "cursor", "must not contain a NUL character"),
    ] {
        let problem = app.get(&ada, &format!("/api/v1/workspaces?{query}")).await.problem(400, "invalid_query");
        assert_eq!(problem["errors"], json!([{ "field": field, "message": message }]), "{query}");
    }
    app.stop().await;
}
