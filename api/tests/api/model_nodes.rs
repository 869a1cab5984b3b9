//! Node types that ask a model, in whole runs against a server on a socket, with the faults of models and providers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ModelServer, TestAccount, TestApp, completion, model_response, part, send, wait_until};

const TIDES: &str = "Ada Lovelace wrote the invoice 4711 on the tidal power station. It costs 1200 euros.";

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
    server: ModelServer,
    connection: String,
}

impl Setup {
    /// With the built-in pipeline disabled.
    async fn with(settings: Value) -> Self {
        let app = TestApp::start_with_worker(&[]).await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Tidal energy").await;
        let server = ModelServer::start().await;
        let mut setup = Self { app, ada, workspace, server, connection: String::new() };
        let list = setup.get("pipelines").await;
        let builtin = format!("pipelines/{}", list["items"][0]["id"].as_str().unwrap());
        setup.patch(&builtin, &json!({ "state": "disabled" })).await;
        let mut all = json!({ "model": "m-1", "baseUrl": setup.server.base_url });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let body =
            json!({ "name": "main", "provider": "openai", "settings": all, "credentials": { "apiKey": "hunter2" } });
        let created = setup.post("connections", &body).await;
        setup.connection = created["id"].as_str().unwrap().to_owned();
        setup
    }

    async fn new() -> Self {
        Self::with(json!({})).await
    }

    fn path(&self, path: &str) -> String {
        format!("/api/v1/workspaces/{}/{path}", self.workspace)
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(&self.ada, &self.path(path)).await.expect(200)
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let response = self.app.post(&self.ada, &self.path(path), body).await;
        assert!(response.status.is_success(), "{path}: {response:?}");
        serde_json::from_str(&response.text).unwrap()
    }

    async fn patch(&self, path: &str, body: &Value) -> Value {
        self.app.patch(&self.ada, &self.path(path), body).await.expect(200)
    }

    async fn upload(&self, name: &str, content: impl Into<Vec<u8>>) -> String {
        let accepted = self.app.upload(&self.ada, &self.workspace, vec![part(name, content)]).await.expect(202);
        accepted["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// `partition`, a node of this type and settings, and a file of its output.
    fn definition(&self, kind: &str, settings: Value) -> Value {
        let mut node = json!({ "id": "step", "type": kind, "connection": self.connection, "retry": { "attempts": 2 } });
        node.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        json!({
            "schemaVersion": 1,
            "nodes": [
                { "id": "in", "type": "source.files" }, { "id": "read", "type": "partition" }, node,
                { "id": "out", "type": "sink.file", "suffix": ".out.json", "format": "json" } ],
            "edges": [
                { "from": "in", "to": "read" }, { "from": "read", "to": "step" }, { "from": "step", "to": "out" } ],
        })
    }

    async fn start(&self, definition: &Value, file: &str, more: Value) -> String {
        let mut body = json!({ "definition": definition, "files": [file] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("runs", &body).await["id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, run: &str) -> Value {
        self.app.ended_run(&self.ada, &self.path(&format!("runs/{run}"))).await
    }

    async fn item(&self, run: &str) -> Value {
        self.get(&format!("runs/{run}/items")).await["items"][0].clone()
    }

    /// The run of a node over a text, and the metadata of the file afterwards.
    async fn run(&self, kind: &str, settings: Value, text: &str) -> (Value, Value) {
        let file = self.upload(&format!("{kind}.txt"), text).await;
        let run = self.start(&self.definition(kind, settings), &file, json!({})).await;
        let ended = self.ended(&run).await;
        let metadata = self.get(&format!("files/{file}")).await["metadata"].clone();
        assert_eq!(ended["state"], "completed", "{kind}: {}", self.item(&run).await);
        (ended, metadata)
    }

    /// The failure of a node's item.
    async fn failure(&self, kind: &str, settings: Value) -> Value {
        // Another text each time: the answer to a question that was asked before is found.
        let text = format!("{TIDES} {}", nvisy_shared::id::new());
        let file = self.upload("failing.txt", text).await;
        let run = self.start(&self.definition(kind, settings), &file, json!({})).await;
        self.ended(&run).await;
        self.item(&run).await["failure"].clone()
    }
}

/// What a helpful model answers to the prompts of all types.
fn helpful(prompt: &str) -> Value {
    let has = |words: &str| prompt.contains(words);
    if has("Extract values") {
        json!({ "number": 4711, "by": "Ada Lovelace" })
    } else if has("which of these labels") {
        if has("Several labels") { json!({ "labels": ["invoice"] }) } else { json!({ "label": "invoice" }) }
    } else if has("Find all entities") {
        json!({ "entities": [{ "text": "Ada Lovelace", "type": "person" }, { "text": "Nemo", "type": "person" }] })
    } else if has("keywords") {
        json!({ "keywords": ["tidal power station", "invoice"] })
    } else if has("attitude") {
        json!({ "sentiment": "neutral", "score": 0.1 })
    } else if has("relate two entities") {
        json!({ "relations": [{ "subject": "Ada Lovelace", "predicate": "wrote", "object": "invoice" }] })
    } else if has("Summarize") {
        json!({ "summary": "An invoice." })
    } else if has("a title") {
        json!({ "title": "Invoice 4711" })
    } else if has("Describe the table") {
        json!({ "description": "Prices.", "columns": [{ "name": "a", "description": "first" }] })
    } else if has("Describe the image") {
        json!({ "description": "A picture of a turbine." })
    } else {
        json!({})
    }
}

#[actix_web::test]
async fn every_text_type_writes_its_result_with_byte_ranges() {
    let setup = Setup::new().await;
    setup.server.respond(|request| completion(&helpful(&request.prompt()).to_string()));
    let schema =
        json!({ "type": "object", "properties": { "number": { "type": "integer" }, "by": { "type": "string" } } });
    let (_, found) = setup.run("extract.json", json!({ "schema": schema }), TIDES).await;
    assert_eq!((&found["extracted"]["number"], &found["extracted"]["by"]), (&json!(4711), &json!("Ada Lovelace")));
    assert!(
        found["extracted"]["_sources"].as_array().unwrap().contains(&json!({ "path": "/by", "start": 0, "end": 12 }))
    );
    let labels = json!({ "labels": ["invoice", "other"] });
    assert_eq!(setup.run("classify", labels.clone(), TIDES).await.1["category"], "invoice");
    let mut several = labels;
    several["multiple"] = json!(true);
    assert_eq!(setup.run("classify", several, TIDES).await.1["category"], json!(["invoice"]));
    let entities = setup.run("extract.entities", json!({}), TIDES).await.1["entities"].clone();
    assert_eq!(entities[0], json!({ "text": "Ada Lovelace", "type": "person", "start": 0, "end": 12 }));
    assert_eq!(entities[1], json!({ "text": "Nemo", "type": "person" }));
    let keywords = setup.run("extract.keywords", json!({ "method": "model" }), TIDES).await.1["keywords"].clone();
    assert_eq!(keywords[0], json!({ "text": "tidal power station", "start": 43, "end": 62 }));
    let sentiment = setup.run("sentiment", json!({}), TIDES).await.1["sentiment"].clone();
    assert_eq!(sentiment, json!({ "sentiment": "neutral", "score": 0.1 }));
    assert_eq!(setup.run("relations", json!({}), TIDES).await.1["relations"][0]["start"], 0);
    assert_eq!(setup.run("summarize", json!({}), TIDES).await.1["summary"], "An invoice.");
    assert_eq!(setup.run("title", json!({}), TIDES).await.1["title"], "Invoice 4711");
    assert!(setup.server.requests().iter().all(|request| request.head.contains("bearer hunter2")));
    setup.app.stop().await;
}

#[actix_web::test]
async fn statistics_find_keywords_without_a_call() {
    let setup = Setup::new().await;
    let text = "The tidal turbine turns. Divers clean the tidal turbine. A tidal turbine is strong.";
    let (_, found) = setup.run("extract.keywords", json!({ "method": "statistical" }), text).await;
    let keywords = found["keywords"].as_array().unwrap();
    assert!(keywords.iter().any(|one| one["text"].as_str().unwrap().contains("tidal turbine")), "{found}");
    assert!(setup.server.requests().is_empty());
    setup.app.stop().await;
}

#[actix_web::test]
async fn records_of_a_node_are_written_as_a_file() {
    let setup = Setup::new().await;
    setup.server.respond(|request| completion(&helpful(&request.prompt()).to_string()));
    setup.run("extract.entities", json!({ "result": "records" }), TIDES).await;
    let files = setup.get("files").await;
    let derived =
        files["items"].as_array().unwrap().iter().find(|file| file["name"] == "extract.entities.txt.out.json");
    let path = setup.path(&format!("files/{}/content", derived.expect("a derived file")["id"].as_str().unwrap()));
    let content = send(setup.app.request(Method::GET, &path).bearer_auth(&setup.ada.token)).await.expect(200);
    assert_eq!(content[0]["text"], "Ada Lovelace");
    setup.app.stop().await;
}

#[actix_web::test]
async fn chunks_get_a_prefix_that_fits_the_embedding_model() {
    let setup = Setup::new().await;
    let context = "About the tidal power station of Ada Lovelace.".to_owned() + &" More words.".repeat(300);
    setup.server.answer(json!({ "context": context }));
    let file = setup.upload("invoice.txt", TIDES).await;
    let mut definition = setup.definition("contextualize", json!({ "maxWords": 12 }));
    definition["nodes"].as_array_mut().unwrap().push(json!({ "id": "cut", "type": "chunk.section", "maxTokens": 100 }));
    definition["edges"] = json!([
        { "from": "in", "to": "read" }, { "from": "read", "to": "cut" }, { "from": "cut", "to": "step" },
        { "from": "step", "to": "out" } ]);
    let run = setup.start(&definition, &file, json!({})).await;
    assert_eq!(setup.ended(&run).await["state"], "completed", "{}", setup.item(&run).await);
    let prompt = setup.server.requests()[0].prompt();
    assert!(
        prompt.contains("at most 12 words") && prompt.contains("invoice.txt") && prompt.contains(TIDES),
        "{prompt}"
    );
    let derived = setup.get(&format!("files?parentId={file}")).await["items"][0]["id"].as_str().unwrap().to_owned();
    let content = setup.app.get(&setup.ada, &setup.path(&format!("files/{derived}/content"))).await;
    let chunks: Value = serde_json::from_str(&content.text).unwrap();
    let chunk = &chunks[0];
    let prefix = chunk["prefix"].as_str().unwrap_or_else(|| panic!("{chunks}"));
    assert!(prefix.starts_with("About the tidal power station") && prefix.len() < context.len(), "{prefix}");
    assert_eq!(chunk["text"], TIDES);
    setup.app.stop().await;
}

#[actix_web::test]
async fn image_becomes_a_document_and_table_gets_a_description() {
    let setup = Setup::new().await;
    setup.server.respond(|request| completion(&helpful(&request.prompt()).to_string()));
    let table = "<p>Before</p><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>";
    let file = setup.upload("table.html", table).await;
    let run = setup.start(&setup.definition("enrich.table", json!({})), &file, json!({})).await;
    assert_eq!(setup.ended(&run).await["state"], "completed", "{}", setup.item(&run).await);
    let tables = setup.get(&format!("files/{file}")).await["metadata"]["tables"].clone();
    assert_eq!((&tables[0]["description"], tables[0]["start"].is_u64()), (&json!("Prices."), true), "{tables}");

    let mut definition = setup.definition("enrich.image", json!({}));
    definition["nodes"][1] = json!({ "id": "read", "type": "filter", "expression": "true" });
    let image = setup.upload("a.png", b"\x89PNG\r\n\x1a\nrest".to_vec()).await;
    let run = setup.start(&definition, &image, json!({})).await;
    assert_eq!(setup.ended(&run).await["state"], "completed", "{}", setup.item(&run).await);
    let metadata = setup.get(&format!("files/{image}")).await["metadata"].clone();
    assert_eq!(metadata["description"], "A picture of a turbine.");
    let sent = setup.server.requests().last().unwrap().body["messages"][1]["content"][1].clone();
    assert!(sent["image_url"]["url"].as_str().unwrap().starts_with("data:image/png;base64,iVBORw"), "{sent}");
    let text = setup.upload("a.txt", "no image").await;
    let run = setup.start(&definition, &text, json!({})).await;
    setup.ended(&run).await;
    assert_eq!(setup.item(&run).await["failure"]["code"], "unsupported_media");
    setup.app.stop().await;
}

#[actix_web::test]
async fn answer_is_paid_once_and_counted_by_run_and_model() {
    let setup = Setup::with(json!({ "prices": { "inputPerMillion": 10.0, "outputPerMillion": 100.0 } })).await;
    setup.server.answer(json!({ "title": "T" }));
    let file = setup.upload("a.txt", TIDES).await;
    let definition = setup.definition("title", json!({}));
    let first = setup.start(&definition, &file, json!({})).await;
    let ended = setup.ended(&first).await;
    assert_eq!((&ended["tokens"], &ended["tokensSaved"]), (&json!(110), &json!(0)));
    let second = setup.start(&definition, &file, json!({})).await;
    assert!(setup.ended(&second).await["reused"].as_i64().unwrap() > 0);
    assert_eq!(setup.server.requests().len(), 1);
    let usage = setup.get(&format!("model-usage?run={first}")).await;
    let of = &usage["items"][0];
    assert_eq!((&of["calls"], &of["inputTokens"], &of["outputTokens"]), (&json!(1), &json!(100), &json!(10)));
    assert_eq!((&of["model"], &of["cost"]), (&json!("m-1"), &json!(0.002)));
    assert_eq!(setup.get(&format!("model-usage?run={second}")).await["items"], json!([]));
    // Another temperature gives another answer.
    let settings = json!({ "settings": { "model": "m-1", "baseUrl": setup.server.base_url, "temperature": 1.0 } });
    setup.patch(&format!("connections/{}", setup.connection), &settings).await;
    let third = setup.start(&definition, &file, json!({})).await;
    setup.ended(&third).await;
    assert_eq!(setup.server.requests().len(), 2);
    setup.app.stop().await;
}

#[actix_web::test]
async fn invalid_answer_is_repaired_once_and_then_fails() {
    let setup = Setup::new().await;
    let mut calls = 0;
    setup.server.respond(move |_| {
        calls += 1;
        completion(if calls == 1 { "Sure! {\"name\": \"x\"}" } else { "```json\n{\"title\": \"Good\"}\n```" })
    });
    assert_eq!(setup.run("title", json!({}), TIDES).await.1["title"], "Good");
    let repair = setup.server.requests()[1].clone();
    assert_eq!(repair.body["messages"].as_array().unwrap().len(), 4);
    assert!(repair.prompt().contains("does not fit the schema"), "{}", repair.prompt());
    setup.server.answer(json!({ "other": true }));
    let failure = setup.failure("title", json!({})).await;
    assert_eq!((&failure["code"], &failure["node"]), (&json!("invalid_model_output"), &json!("step")));
    assert_eq!(setup.server.requests().len(), 4);
    setup.app.stop().await;
}

#[actix_web::test]
async fn faults_of_the_provider_end_with_a_typed_reason() {
    let setup = Setup::new().await;
    setup.server.respond(|_| model_response("200", "", "<html>Welcome</html>"));
    let failure = setup.failure("title", json!({})).await;
    assert_eq!(failure["code"], "attempts_exhausted");
    assert!(failure["detail"].as_str().unwrap().contains("it is not JSON"), "{failure}");
    setup.server.respond(|_| "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"choices\"".to_owned());
    assert_eq!(setup.failure("title", json!({})).await["code"], "attempts_exhausted");
    setup.server.fail(400, "this prompt is not allowed");
    let failure = setup.failure("title", json!({})).await;
    assert_eq!(failure["code"], "provider_rejected");
    assert!(failure["detail"].as_str().unwrap().contains("this prompt is not allowed"), "{failure}");
    let refused = json!({ "choices": [{ "message": { "refusal": "I cannot help" } }] }).to_string();
    setup.server.respond(move |_| model_response("200", "", &refused));
    assert_eq!(setup.failure("title", json!({})).await["code"], "provider_rejected");
    setup.server.fail(400, "maximum context length is 10 tokens");
    assert_eq!(setup.failure("title", json!({})).await["code"], "too_large");
    setup.app.stop().await;
}

#[actix_web::test]
async fn wrong_key_waits_with_a_visible_reason_and_goes_on_when_it_is_right() {
    let setup = Setup::new().await;
    setup.server.fail(401, "the key hunter2 is wrong");
    let file = setup.upload("a.txt", TIDES).await;
    let run = setup.start(&setup.definition("title", json!({})), &file, json!({})).await;
    let waiting = wait_until("the item waits", async || {
        let item = setup.item(&run).await;
        item["waiting"].is_object().then_some(item)
    })
    .await;
    let reason = waiting["waiting"]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.contains("`main`") && reason.contains("[hidden] is wrong") && !reason.contains("hunter2"),
        "{reason}"
    );
    let connection = setup.get(&format!("connections/{}", setup.connection)).await;
    assert_eq!(connection["blocked"]["reason"], reason);
    let file = setup.get(&format!("files/{file}")).await;
    assert!(file["waiting"].is_object() || file["state"] == "ready", "{file}");

    setup.server.answer(json!({ "title": "T" }));
    setup
        .patch(&format!("connections/{}", setup.connection), &json!({ "credentials": { "apiKey": "hunter2-right" } }))
        .await;
    // The wait is a minute; the test does not wait for it.
    setup.app.sql("update job set run_at = now() where wait_reason is not null").await;
    assert_eq!(setup.ended(&run).await["state"], "completed");
    for table in
        ["job where last_error", "dead_job where error", "run_item_log where detail", "connection_health where reason"]
    {
        assert_eq!(setup.app.count(&format!("{table} like '%hunter2%'")).await, 0, "{table}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn busy_provider_costs_no_attempt() {
    let setup = Setup::new().await;
    let mut calls = 0;
    setup.server.respond(move |_| {
        calls += 1;
        match calls {
            1..=3 => model_response("429", "retry-after: 0.1\r\n", "{}"),
            _ => completion("{\"title\": \"T\"}"),
        }
    });
    assert_eq!(setup.run("title", json!({}), TIDES).await.1["title"], "T");
    assert_eq!(setup.server.requests().len(), 4);
    setup.app.stop().await;
}

#[actix_web::test]
async fn spent_budget_of_the_workspace_ends_runs_until_it_is_raised() {
    let setup = Setup::with(json!({ "prices": { "inputPerMillion": 10000.0, "outputPerMillion": 0.0 } })).await;
    setup.server.respond(|_| completion("{\"title\": \"T\"}"));
    let set_budget = async |budget: Value| {
        let path = format!("/api/v1/workspaces/{}", setup.workspace);
        setup.app.patch(&setup.ada, &path, &json!({ "monthlyBudget": budget })).await.expect(200)
    };
    assert_eq!(set_budget(json!(0.5)).await["monthlyBudget"], 0.5);
    let run = async |name: &str| {
        let file = setup.upload(name, format!("{TIDES} {name}")).await;
        let body = json!({ "definition": setup.definition("title", json!({})), "files": [file] });
        let run = setup.post("runs", &body).await["id"].as_str().unwrap().to_owned();
        setup.ended(&run).await
    };
    assert_eq!(run("one.txt").await["state"], "completed");
    let ended = run("two.txt").await;
    assert_eq!((&ended["state"], &ended["failure"]["code"]), (&json!("failed"), &json!("budget_exceeded")), "{ended}");
    assert!(ended["failure"]["detail"].as_str().unwrap().contains("of the workspace"), "{ended}");
    assert_eq!(set_budget(Value::Null).await.get("monthlyBudget"), None);
    assert_eq!(run("three.txt").await["state"], "completed");
    setup.app.stop().await;
}

#[actix_web::test]
async fn spent_budget_ends_the_run() {
    let setup = Setup::with(json!({ "prices": { "inputPerMillion": 10000.0, "outputPerMillion": 0.0 } })).await;
    setup.server.respond(|_| completion("{\"title\": \"T\"}"));
    let one = setup.upload("one.txt", TIDES).await;
    let two = setup.upload("two.txt", "Other words about the tide.").await;
    let definition = setup.definition("title", json!({ "concurrency": 1 }));
    let body = json!({ "definition": definition, "files": [one, two], "budget": 0.5 });
    let run = setup.post("runs", &body).await["id"].as_str().unwrap().to_owned();
    let ended = setup.ended(&run).await;
    let items = setup.get(&format!("runs/{run}/items")).await;
    let failed = items["items"].as_array().unwrap().iter().filter(|item| item["failure"]["code"] == "budget_exceeded");
    assert_eq!(failed.count(), 1, "{items}");
    assert_eq!((&ended["state"], &ended["failure"]["code"]), (&json!("failed"), &json!("budget_exceeded")), "{ended}");
    assert_eq!(ended["budget"], 0.5);
    assert_eq!(setup.server.requests().len(), 1);
    setup.app.stop().await;
}

#[actix_web::test]
async fn long_text_is_split_and_the_summaries_are_summarized() {
    let setup = Setup::with(json!({ "contextTokens": 1024, "maxOutputTokens": 100 })).await;
    setup.server.respond(|_| completion("{\"summary\": \"Short.\"}"));
    let text: String = (0..300).map(|day| format!("The tide turns on day {day}. ")).collect();
    let (_, found) = setup.run("summarize", json!({}), &text).await;
    assert_eq!(found["summary"], "Short.");
    let requests = setup.server.requests();
    assert!(requests.len() > 3, "{}", requests.len());
    assert!(requests.last().unwrap().prompt().contains("Short.\n\nShort."));
    setup.app.stop().await;
}

#[actix_web::test]
async fn missing_connection_is_a_problem_of_the_definition_and_of_the_item() {
    let setup = Setup::new().await;
    let mut definition = setup.definition("title", json!({}));
    definition["nodes"][2]["connection"] = json!(nvisy_shared::id::new());
    let result = setup.post("pipelines/validate", &json!({ "definition": definition })).await;
    assert_eq!(result["notRunnable"][0]["code"], "unknown_connection", "{result}");
    let file = setup.upload("a.txt", TIDES).await;
    let valid = setup.definition("title", json!({}));
    let path = setup.path(&format!("connections/{}", setup.connection));
    assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
    let body = json!({ "definition": valid, "files": [file] });
    setup.app.post(&setup.ada, &setup.path("runs"), &body).await.problem(409, "pipeline_not_runnable");
    setup.app.stop().await;
}
