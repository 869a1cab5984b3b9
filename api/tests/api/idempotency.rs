use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, PASSWORD, Person, TestApp, send};

async fn create(app: &TestApp, person: &Person, key: &str, name: &str) -> Answer {
    let request = app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&person.token);
    send(request.header("idempotency-key", key).json(&json!({ "name": name }))).await
}

async fn count(app: &TestApp, person: &Person) -> usize {
    app.get(person, "/api/v1/workspaces?limit=100").await.expect(200)["items"].as_array().unwrap().len()
}

#[actix_web::test]
async fn the_same_request_again_has_the_same_answer_and_no_further_effect() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let first = create(&app, &ada, "k1", "Tidal energy").await;
    let again = create(&app, &ada, "k1", "Tidal energy").await;
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!((first.status, first.text), (again.status, again.text));
    assert_eq!(count(&app, &ada).await, 1);

    create(&app, &ada, "k2", "Tidal energy").await.expect(201);
    assert_eq!(count(&app, &ada).await, 2);
    app.stop().await;
}

#[actix_web::test]
async fn a_key_belongs_to_one_request_of_one_caller() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    create(&app, &ada, "k1", "Tidal energy").await.expect(201);
    create(&app, &ada, "k1", "Wave energy").await.problem(422, "idempotency_key_reused");
    create(&app, &bob, "k1", "Wave energy").await.expect(201);
    assert_eq!(count(&app, &ada).await, 1);
    app.stop().await;
}

#[actix_web::test]
async fn of_many_at_the_same_time_one_acts_and_the_others_repeat_it() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let answers = join_all((0..12).map(|_| create(&app, &ada, "k1", "Tidal energy"))).await;
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == "true").count();
    assert_eq!(replayed, 11);
    let bodies: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(count(&app, &ada).await, 1);
    app.stop().await;
}

#[actix_web::test]
async fn a_request_that_failed_leaves_its_key_free() {
    let app = TestApp::start().await;
    app.person("ada").await;
    let sign_up = |email: &str| {
        let body = json!({ "email": email, "password": PASSWORD, "displayName": "Bob" });
        send(app.request(Method::POST, "/api/v1/auth/sign-up").header("idempotency-key", "k1").json(&body))
    };
    sign_up("ada@example.org").await.problem(409, "email_taken");
    let account = sign_up("bob@example.org").await.expect(201);
    assert_eq!(sign_up("bob@example.org").await.expect(201), account);
    app.stop().await;
}

#[actix_web::test]
async fn a_key_that_cannot_be_one_is_refused() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let long = "k".repeat(256);
    for key in ["", "with space", &long] {
        create(&app, &ada, key, "Tidal energy").await.problem(400, "invalid_header");
    }
    assert_eq!(count(&app, &ada).await, 0);
    app.stop().await;
}
