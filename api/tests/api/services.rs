//! Nodes that call services of the tenant, from uploads to their results.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use nvisy_shared::lifecycle::Lifecycle;
use nvisy_worker::{app::Worker, maintenance::Schedule};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Setup, TestApp, definition, free_port, program, send, wait_until};

/// Lets calls reach this machine.
const LOCAL_SERVICES: (&str, &str) = ("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8");
const LOCAL: (&str, &str) = ("NVISY_EMBEDDING_PROVIDER", "local");

/// A request as the service got it.
#[derive(Clone, Debug)]
struct Received {
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Received {
    fn items(&self) -> &Vec<Value> {
        self.body["data"]["items"].as_array().unwrap()
    }
}

/// Writes a response.
type Respond = fn(&Received, usize) -> Vec<u8>;

/// A service on a port of this machine.
struct Service {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    async fn start(respond: Respond) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/step", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let requests = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let requests = Arc::clone(&requests);
                tokio::spawn(async move {
                    // The client may be gone: a response that is too large or too late.
                    let _ = serve(stream, &requests, respond).await;
                });
            }
        });
        Self { url, received, task }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, requests: &Mutex<Vec<Received>>, respond: Respond) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let lines = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let headers: BTreeMap<String, String> = lines
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while bytes.len() < head + length {
        stream.read_buf(&mut bytes).await?;
    }
    let body: Value = serde_json::from_slice(&bytes[head..]).unwrap();
    let received = Received { headers, body };
    let count = {
        let mut requests = requests.lock().unwrap();
        requests.push(received.clone());
        let text = |request: &Received| request.body["data"]["items"][0]["text"].clone();
        requests.iter().filter(|before| text(before) == text(&received)).count()
    };
    if text_of(&received).contains("slow") {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    stream.write_all(&respond(&received, count)).await?;
    stream.shutdown().await
}

fn text_of(received: &Received) -> &str {
    received.body["data"]["items"][0]["text"].as_str().unwrap_or_default()
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

/// A service with every fault, by the text of the first element; `count` requests had this text.
fn faulty(received: &Received, count: usize) -> Vec<u8> {
    let good =
        |item: &Value| json!({ "id": item["id"], "metadata": { "length": item["text"].as_str().unwrap().len() } });
    let mut items: Vec<Value> = received.items().iter().map(good).collect();
    let text = text_of(received);
    match text.split(' ').next().unwrap_or_default() {
        "reversed" => items.reverse(),
        "repeated" => items.extend(items.clone()),
        "twice" => items.push(json!({ "id": "0", "metadata": { "length": 7 } })),
        "missing" => items.clear(),
        "unknown" => items.push(json!({ "id": "99" })),
        "schema" => items[0]["metadata"]["length"] = json!("secret-answer"),
        "html" => return response("200 OK", "", "<html>secret-answer</html>"),
        "nothing" => return response("200 OK", "", ""),
        "large" => return response("200 OK", "", &"x".repeat(100 * 1024 * 1024)),
        "redirect" => return response("302 Found", "location: http://169.254.169.254/latest/meta-data\r\n", ""),
        "rejected" => return response("422 Unprocessable", "", "secret-answer"),
        "busy" if count == 1 => return response("429 Too Many Requests", "retry-after: 1\r\n", ""),
        "broken" if count == 1 => return response("503 Service Unavailable", "", ""),
        "half" if count == 1 => return b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\":".to_vec(),
        _ => {}
    }
    response("200 OK", "content-type: application/json\r\n", &json!({ "items": items }).to_string())
}

fn step(url: &str, settings: Value) -> Value {
    let mut step = json!({ "id": "step", "type": "http", "url": url });
    step.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            step,
            { "id": "out", "type": "sink.file", "suffix": ".txt" },
        ]),
        &["in > read", "read > step", "step > out"],
    )
}

#[actix_web::test]
async fn each_fault_of_a_service_has_its_consequence() {
    let service = Service::start(faulty).await;
    let setup = Setup::of(TestApp::start_with_worker(&[LOCAL_SERVICES]).await).await;
    let settings = json!({
        "requestTimeoutSeconds": 1, "retry": { "attempts": 1 },
        "outputSchema": { "properties": { "metadata": { "properties": { "length": { "type": "integer" } } } } },
    });
    setup.pipeline("Step", &step(&service.url, settings)).await;
    let expected = [
        ("good", None),
        ("reversed", None),
        ("repeated", None),
        ("busy", None),
        ("broken", None),
        ("half", None),
        ("twice", Some("invalid_response")),
        ("missing", Some("invalid_response")),
        ("unknown", Some("invalid_response")),
        ("schema", Some("invalid_response")),
        ("html", Some("invalid_response")),
        ("nothing", Some("invalid_response")),
        ("large", Some("invalid_response")),
        ("redirect", Some("service_rejected")),
        ("rejected", Some("service_rejected")),
        ("slow", Some("attempts_exhausted")),
    ];
    let names: Vec<(String, String)> =
        expected.iter().map(|(fault, _)| (format!("{fault}.txt"), format!("{fault} text"))).collect();
    let uploads: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let files = setup.upload(&uploads).await;
    for (fault, code) in expected {
        let file = &files[&format!("{fault}.txt")];
        match code {
            None => {
                assert_eq!(file["state"], "ready", "{fault}: {file}");
                assert_eq!(file["metadata"]["length"], format!("{fault} text").len(), "{fault}: {file}");
            }
            Some(code) => {
                assert_eq!(file["failure"]["code"], code, "{fault}: {file}");
                assert!(!file.to_string().contains("secret-answer"), "{file}");
            }
        }
    }
    // A repeated request has the same id, so that the service can drop it.
    let ids = |text: &str| -> Vec<String> {
        let received = service.received();
        let of_text = received.iter().filter(|received| text_of(received) == text);
        of_text.map(|received| received.headers["webhook-id"].clone()).collect()
    };
    let (broken, busy) = (ids("broken text"), ids("busy text"));
    assert!(broken.len() == 2 && broken[0] == broken[1], "{broken:?}");
    assert!(busy.len() == 2 && busy[0] == busy[1] && busy[0] != broken[0], "{busy:?}");
    assert!(service.received().iter().all(|received| !received.headers.contains_key("webhook-signature")));
    setup.app.stop().await;
}

#[actix_web::test]
async fn private_address_is_refused_and_named_without_its_path() {
    // Other tests allow this machine.
    let nothing = [("NVISY_OUTBOUND_ALLOWED_NETWORKS", "192.0.2.0/24")];
    let setup = Setup::of(TestApp::start_with_worker(&nothing).await).await;
    setup.pipeline("Step", &step("http://127.0.0.1:1/secret-path", json!({}))).await;
    let files = setup.upload(&[("a.txt", "text")]).await;
    let failure = &files["a.txt"]["failure"];
    assert_eq!(failure["code"], "address_refused", "{failure}");
    let detail = failure["detail"].as_str().unwrap();
    assert!(detail.contains("127.0.0.1") && !detail.contains("secret-path"), "{detail}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn only_pure_steps_are_reused_by_other_runs() {
    for (pure, requests) in [(true, 1), (false, 2)] {
        let service = Service::start(faulty).await;
        let setup = Setup::of(TestApp::start_with_worker(&[LOCAL_SERVICES]).await).await;
        let path = setup.pipeline("Step", &step(&service.url, json!({ "pure": pure }))).await;
        setup.upload(&[("a.txt", "text")]).await;
        let run = setup.run(&path).await;
        assert_eq!(run["state"], "completed", "{run}");
        let received = service.received();
        assert_eq!(received.len(), requests, "pure: {pure}");
        if let [one, other] = received.as_slice() {
            assert_ne!(one.headers["webhook-id"], other.headers["webhook-id"], "another run is another request");
        }
        setup.app.stop().await;
    }
}

/// The code block of a document that is a program.
fn documented_program() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SERVICES.md");
    let text = std::fs::read_to_string(path).unwrap();
    let program = text.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    program.unwrap().to_owned()
}

#[actix_web::test]
async fn documented_step_verifies_signatures_and_counts_words() {
    let setup = Setup::of(TestApp::start_with_worker(&[LOCAL_SERVICES]).await).await;
    let secret = setup.app.post(&setup.ada, &setup.path("signing-secret"), &json!({})).await.expect(200);
    let program = documented_program();
    assert!(program.lines().filter(|line| !line.trim().is_empty()).count() <= 30, "{program}");
    let port = free_port();
    let mut server = tokio::process::Command::new("python3")
        .args(["-c", &program])
        .env("PORT", port.to_string())
        .env("SIGNING_SECRET", secret["secret"].as_str().unwrap())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    wait_until("the step listens", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    let path = setup.pipeline("Words", &step(&format!("http://127.0.0.1:{port}/"), json!({}))).await;
    let files = setup.upload(&[("a.txt", "five words are in here")]).await;
    assert_eq!(files["a.txt"]["metadata"]["words"], 5, "{files:?}");

    // The secret before signs as well for some time, and none that the service does not know.
    let renew = || async { setup.app.post(&setup.ada, &setup.path("signing-secret"), &json!({})).await.expect(200) };
    let renewed = renew().await;
    assert_eq!((&renewed["version"], secret.get("previousUntil")), (&json!(2), None));
    assert!(renewed["previousUntil"].is_string() && renewed["secret"] != secret["secret"], "{renewed}");
    assert_eq!(setup.run(&path).await["state"], "completed");
    renew().await;
    let run = setup.run(&path).await;
    assert_eq!((&run["state"], &run["itemsFailed"]), (&json!("completed_with_errors"), &json!(1)), "{run}");
    server.kill().await.unwrap();
    setup.app.stop().await;
}

fn received_all(_: &Received, _: usize) -> Vec<u8> {
    response("204 No Content", "", "")
}

#[actix_web::test]
async fn webhook_gets_elements_and_is_told_when_they_are_obsolete() {
    let service = Service::start(received_all).await;
    let setup = Setup::of(TestApp::start_with(&[LOCAL, LOCAL_SERVICES]).await).await;
    let build = Worker::build(setup.app.config().clone(), program("nvisy-worker")).await.unwrap();
    let schedule = Schedule {
        poll_interval: Duration::from_millis(100),
        targets_interval: Duration::from_millis(200),
        ..Schedule::default()
    };
    let lifecycle = Lifecycle::new();
    let worker = tokio::spawn(build.with_maintenance(schedule).run(lifecycle.clone()));
    let pipeline = definition(
        &json!([
            { "id": "in", "type": "source.files" },
            { "id": "read", "type": "partition" },
            { "id": "long", "type": "filter", "expression": "metadata.hidden != true" },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": 50 },
            { "id": "out", "type": "sink.webhook", "url": service.url, "batchSize": 2, "deletions": true },
        ]),
        &["in > read", "read > long", "long > cut", "cut > out"],
    );
    let path = setup.pipeline("Deliver", &pipeline).await;
    let texts = ["a.txt", "b.txt"].map(|name| (name, "The tide turns twice a day. ".repeat(6)));
    let uploads: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut requests = Vec::new();
    for (name, text) in uploads {
        // Metadata that the condition reads.
        let form = reqwest::multipart::Form::new()
            .text("metadata", r#"{"hidden": false}"#)
            .part("file", crate::support::part(name, text.to_owned()));
        let request =
            setup.app.request(Method::POST, &setup.path("files")).bearer_auth(&setup.ada.token).multipart(form);
        let accepted = send(request).await.expect(202);
        let file =
            setup.app.finished_file(&setup.ada, &setup.workspace, accepted["items"][0]["id"].as_str().unwrap()).await;
        assert_eq!(file["state"], "ready", "{file}");
        requests.push(file["id"].as_str().unwrap().to_owned());
    }
    let delivered = service.received();
    let items: usize = delivered.iter().map(|received| received.items().len()).sum();
    assert!(items >= 6 && delivered.len() >= 4, "{delivered:?}");
    assert!(delivered.iter().all(|received| received.body["type"] == "pipeline.delivered"));
    assert!(delivered[0].body["data"]["items"][0]["text"].as_str().unwrap().starts_with("The tide"));

    let deleted = |service: &Service| -> Vec<String> {
        let of = |received: &Received| received.body["data"]["file"]["id"].as_str().unwrap().to_owned();
        let all = service.received();
        all.iter().filter(|received| received.body["type"] == "pipeline.deleted").map(of).collect()
    };
    // The file takes another way.
    setup.patch(&format!("files/{}", requests[0]), &json!({ "metadata": { "hidden": true } })).await;
    assert_eq!(setup.run(&path).await["state"], "completed");
    wait_until("the receiver knows of the first file", async || (deleted(&service) == requests[..1]).then_some(()))
        .await;
    // The file is deleted.
    let file = setup.path(&format!("files/{}", requests[1]));
    assert_eq!(setup.app.delete(&setup.ada, &file).await.status, 204);
    wait_until("the receiver knows of both files", async || (deleted(&service) == requests).then_some(())).await;
    wait_until("deliveries are forgotten", async || (setup.app.count("external_target").await == 0).then_some(()))
        .await;
    lifecycle.soft().cancel();
    assert!(worker.await.unwrap(), "the worker finished in time");
    setup.app.stop().await;
}
