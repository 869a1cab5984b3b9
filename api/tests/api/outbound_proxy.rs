//! Outgoing requests through the operator's proxy, past it, and proxies that fail.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

use crate::support::{
    ProxyRequest, ProxyServer, Setup, TestApp, create_authority, definition, program_command, send_signal,
    synced::{LOOPBACK, Synced, counts},
    wait_until,
    web_server::{WebResponse, WebServer},
};

const USERNAME: &str = "ada";
/// The log of the suite must not have it.
const PASSWORD: &str = "proxy-hunter2";
/// No address of this machine is allowed.
const CLOSED: (&str, &str) = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "192.0.2.0/24");
const PROXY: &str = "NVISY_OUTBOUND_PROXY_URL";

/// The credentials as the proxy gets them.
fn authorization() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USERNAME}:{PASSWORD}")))
}

fn step(url: &str) -> Value {
    let retry = json!({ "attempts": 1, "backoffSeconds": 1 });
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            { "id": "step", "type": "http", "url": url, "retry": retry },
            { "id": "out", "type": "sink.file", "suffix": ".txt" },
        ]),
        &["in > read", "read > step", "step > out"],
    )
}

/// The failure of a file that is sent to a service.
async fn failure_of(setup: &Setup, name: &str, url: &str) -> Value {
    let pipeline = setup.pipeline(name, &step(url)).await;
    let file = format!("{name}.txt");
    let files = setup.upload(&[(&file, name)]).await;
    setup.patch(&pipeline, &json!({ "state": "disabled" })).await;
    files[&file]["failure"].clone()
}

#[actix_web::test]
async fn sources_go_through_the_proxy_with_its_credentials() {
    let (proxy, server) = (ProxyServer::start().await, WebServer::start().await);
    proxy.resolve("tides.invalid", &server.url);
    server.page("/", "<p>Barnacles close at ebb.</p><a href='flood.html?part=2'>next</a>");
    server.page("/flood.html", "<p>Limpets graze at flood.</p>");
    let url = proxy.url_of(USERNAME, PASSWORD);
    let app = TestApp::start_with_worker(&[CLOSED, (PROXY, &url)]).await;
    let settings = json!({ "startUrls": ["http://tides.invalid/"], "delayMilliseconds": 0 });
    let mut synced = Synced::of(app, "website", settings, Value::Null, json!({})).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [2, 2, 0, 0, 0, 0]), "{run}");
    assert_eq!(synced.find("limpets").await.len(), 1);
    let check = synced.check().await;
    assert_eq!(check["state"], "ok", "{check}");

    // A check asks the proxy for the repository, although this machine does not know its name.
    let body = json!({ "name": "git", "provider": "git", "settings": { "url": "http://tides.invalid/guide" } });
    let git = synced.app.post(&synced.ada, &synced.path("connections"), &body).await.expect(201);
    synced.connection = git["id"].as_str().unwrap().to_owned();
    let check = synced.check().await;
    let step = |place: usize| json!([check["steps"][place]["name"], check["steps"][place]["ok"]]);
    assert_eq!([step(0), step(1)], [json!(["address", true]), json!(["answer", false])], "{check}");

    server.set("/api/notes", WebResponse::json(&json!([{ "id": "a", "text": "Whelks are snails." }])));
    let body = json!({ "name": "rest", "provider": "rest", "settings": { "baseUrl": "http://tides.invalid/api" } });
    let rest = synced.app.post(&synced.ada, &synced.path("connections"), &body).await.expect(201);
    synced.connection = rest["id"].as_str().unwrap().to_owned();
    let check = synced.check().await;
    assert_eq!(check["state"], "ok", "{check}");
    synced.pipeline = synced.add_pipeline("rest", json!({ "stream": { "path": "notes" } })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");

    let requests = proxy.requests();
    let asked = |target: &str| requests.iter().any(|request| request.method == "GET" && request.target == target);
    assert!(asked("http://tides.invalid/flood.html?part=2") && asked("http://tides.invalid/api/notes"), "{requests:?}");
    assert!(asked("http://tides.invalid/guide/info/refs?service=git-upload-pack"), "{requests:?}");
    assert!(requests.iter().all(|request| request.authorization == authorization()), "{requests:?}");
    let received = server.take_requests();
    assert_eq!(received.len(), requests.len(), "the server gets what the proxy forwards, and nothing else");
    assert!(received.iter().all(|(request, _)| request.header("proxy-authorization").is_empty()), "{received:?}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn hosts_without_proxy_are_reached_directly() {
    let (proxy, server) = (ProxyServer::start().await, WebServer::start().await);
    server.set("/list", WebResponse::json(&json!([{ "id": "a", "text": "Whelks are snails." }])));
    for host in ["tides.invalid", "direct.invalid", "127.0.0.1"] {
        proxy.resolve(host, &server.url);
    }
    let list = ("NVISY_OUTBOUND_NO_PROXY", "other.invalid, .direct.invalid");
    let app = TestApp::start_with_worker(&[LOOPBACK, (PROXY, &proxy.url), list]).await;
    // This machine is reached without the proxy, as no list has to say.
    let settings = json!({ "baseUrl": server.url });
    let synced = Synced::of(app, "rest", settings, Value::Null, json!({ "stream": { "path": "list" } })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{run}");
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    // The name is known to the proxy alone, so that a direct connection has no address.
    synced.patch_connection(json!({ "settings": { "baseUrl": "http://direct.invalid/" } })).await;
    let check = synced.check().await;
    assert_eq!((&check["state"], &check["steps"][0]["name"]), (&json!("failed"), &json!("address")), "{check}");
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    synced.patch_connection(json!({ "settings": { "baseUrl": "http://tides.invalid/" } })).await;
    assert_eq!(synced.check().await["state"], "ok");
    let requests = proxy.requests();
    // The base address, and the list of the pipeline.
    let is_of_check = |request: &ProxyRequest| request.target.starts_with("http://tides.invalid/");
    assert!(!requests.is_empty() && requests.iter().all(is_of_check), "{requests:?}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn closed_address_stays_refused_with_a_proxy() {
    let proxy = ProxyServer::start().await;
    let setup = Setup::of(TestApp::start_with_worker(&[CLOSED, (PROXY, &proxy.url)]).await).await;
    for (name, url) in [
        ("private", "http://10.0.0.1/secret-path"),
        ("loopback", "http://127.0.0.1:1/secret-path"),
        ("local", "http://localhost:1/secret-path"),
    ] {
        let failure = failure_of(&setup, name, url).await;
        assert_eq!(failure["code"], "address_refused", "{url}: {failure}");
        assert!(!failure.to_string().contains("secret-path"), "{failure}");
    }
    let settings = json!({ "model": "m-1", "baseUrl": "http://169.254.169.254/v1" });
    let body =
        json!({ "name": "a", "provider": "openai", "settings": settings, "credentials": { "apiKey": "hunter2" } });
    let problem = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "settings.baseUrl");
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    setup.app.stop().await;
}

#[actix_web::test]
async fn fault_of_the_proxy_is_named_in_the_failure() {
    let proxy = ProxyServer::start().await;
    let url = proxy.url_of(USERNAME, PASSWORD);
    let setup = Setup::of(TestApp::start_with_worker(&[CLOSED, (PROXY, &url)]).await).await;
    let refused = "the operator's proxy does not accept its credentials (407)";
    let no_tunnel = "the operator's proxy opens no connection to the host";
    for (status, scheme, reason) in [(407, "http", refused), (407, "https", refused), (502, "https", no_tunnel)] {
        proxy.fail(status);
        let name = format!("{scheme}{status}");
        let failure = failure_of(&setup, &name, &format!("{scheme}://service.invalid/step")).await;
        assert_eq!(failure["code"], "attempts_exhausted", "{name}: {failure}");
        let detail = failure["detail"].as_str().unwrap();
        assert!(detail.contains(reason) && !detail.contains("hunter2"), "{name}: {detail}");
    }
    // A connection says so in its check.
    let settings = json!({ "model": "m-1", "baseUrl": "http://service.invalid/v1" });
    let body =
        json!({ "name": "a", "provider": "openai", "settings": settings, "credentials": { "apiKey": "hunter2" } });
    let connection = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    let check = setup.path(&format!("connections/{}/check", connection["id"].as_str().unwrap()));
    for (status, reason) in [(407, refused), (502, "502")] {
        proxy.fail(status);
        let checked = setup.app.post(&setup.ada, &check, &json!({})).await.expect(200)["check"].clone();
        assert_eq!(checked["state"], "failed", "{checked}");
        let detail = checked["steps"][1]["detail"].as_str().unwrap();
        assert!(detail.contains(reason) && !detail.contains("hunter2"), "{status}: {detail}");
    }
    setup.app.stop().await;
}

/// Starts a model over TLS, with the certificate in a folder; returns its address.
pub fn start_model(folder: &Path) -> (String, ServerHandle) {
    let chain = CertificateDer::pem_file_iter(folder.join("chain.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    let server = HttpServer::new(|| App::new().route("/v1/chat/completions", web::post().to(answer)))
        .workers(1)
        .disable_signals()
        .bind_rustls_0_23("127.0.0.1:0", config)
        .unwrap();
    let address = server.addrs()[0].to_string();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

async fn answer() -> web::Json<Value> {
    web::Json(json!({
        "choices": [{ "message": { "role": "assistant", "content": "{\"ok\": true}" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10 },
    }))
}

#[actix_web::test]
async fn model_over_tls_is_asked_in_a_tunnel_and_no_log_has_the_password() {
    let setup = Setup::of(TestApp::start().await).await;
    let folder = setup.app.deployment.keys().folder();
    create_authority(folder, "models.invalid");
    let (proxy, (model, server)) = (ProxyServer::start().await, start_model(folder));
    proxy.resolve("models.invalid", &model);
    let (log, authority) = (folder.join("worker.log"), folder.join("authority.pem").display().to_string());
    let url = proxy.url_of(USERNAME, PASSWORD);
    let settings = [
        ("NVISY_EMBEDDING_PROVIDER", "local"),
        ("NVISY_LOG_FILTER", "debug,reqwest=trace,hyper_util=trace,rustls=info"),
        ("SSL_CERT_FILE", authority.as_str()),
        CLOSED,
        (PROXY, url.as_str()),
    ];
    let mut worker = program_command("nvisy-worker", &setup.app.deployment, &settings)
        .stderr(File::create(&log).unwrap())
        .spawn()
        .expect("a started program");
    let body = json!({
        "name": "main", "provider": "openai", "credentials": { "apiKey": "hunter2" },
        "settings": { "model": "m-1", "baseUrl": "https://models.invalid/v1" },
    });
    let connection = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    let path = format!("connections/{}", connection["id"].as_str().unwrap());
    setup.app.post(&setup.ada, &setup.path(&format!("{path}/check")), &json!({})).await.expect(200);
    let check = wait_until("the connection is checked", async || {
        let check = setup.get(&path).await["check"].clone();
        check["checkedAt"].is_string().then_some(check)
    })
    .await;
    assert_eq!(check["state"], "ok", "{check}");
    let requests = proxy.requests();
    let is_tunnel = |request: &ProxyRequest| {
        request.method == "CONNECT"
            && request.target == "models.invalid:443"
            && request.authorization == authorization()
    };
    assert!(!requests.is_empty() && requests.iter().all(is_tunnel), "{requests:?}");

    setup.app.wait_until_no_jobs_are_left().await;
    send_signal(worker.id().expect("a program that runs"), "-TERM").await;
    assert!(worker.wait().await.expect("an ended program").success());
    server.stop(true).await;
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("the worker is ready"), "{log}");
    for secret in [PASSWORD, authorization().trim_start_matches("Basic ")] {
        assert!(!log.contains(secret), "the log of the worker has the password of the proxy");
    }
    setup.app.stop().await;
}
