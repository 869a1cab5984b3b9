use nvisy_shared::probe;
use reqwest::Method;

use crate::support::{TestApp, send, wait_until};

#[actix_web::test]
async fn running_api_is_healthy() {
    let app = TestApp::start().await;
    for path in ["/health", "/health/ready"] {
        let health = send(app.request(Method::GET, path)).await.expect(200);
        assert_eq!(health["status"], "up");
        assert_eq!(health["components"]["postgres"], "up");
    }
    assert_eq!(send(app.request(Method::GET, "/health/live")).await.expect(200)["status"], "up");
    assert!(probe::is_healthy(app.address, false).await.unwrap());
    app.stop().await;
}

#[actix_web::test]
async fn root_links_lead_to_the_api_its_reference_and_its_health() {
    let app = TestApp::start().await;
    let links = send(app.request(Method::GET, "/")).await.expect(200);
    assert_eq!((links["name"].as_str(), links["version"].as_str()), (Some("Nvisy"), Some("1")));
    for name in ["reference", "openapi", "health"] {
        let path = links[name].as_str().unwrap();
        assert_eq!(send(app.request(Method::GET, path)).await.status, 200, "{path}");
    }
    let api = links["api"].as_str().unwrap();
    send(app.request(Method::GET, &format!("{api}/account"))).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn readiness_fails_without_the_database() {
    let app = TestApp::start().await;
    let url = app.config().database.url.expose().clone();
    let database = url.rsplit('/').next().unwrap();
    // From another database: this one must have no connection left.
    let elsewhere = TestApp::start().await;
    elsewhere.sql(&format!("alter database {database} allow_connections false")).await;
    elsewhere
        .sql(&format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"))
        .await;

    let health = send(app.request(Method::GET, "/health/ready")).await.expect(503);
    assert_eq!(health["components"]["postgres"], "down");
    assert!(!probe::is_healthy(app.address, false).await.unwrap());
    send(app.request(Method::GET, "/health/live")).await.expect(200);

    elsewhere.sql(&format!("alter database {database} allow_connections true")).await;
    // The result is cached for a second.
    let ready = async || (send(app.request(Method::GET, "/health/ready")).await.status == 200).then_some(());
    wait_until("the API is ready again", ready).await;
    elsewhere.stop().await;
    app.stop().await;
}
