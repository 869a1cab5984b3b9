//! The cost of computing stale results again, where nodes ask a model.

use serde_json::{Value, json};

use crate::{
    support::{ModelServer, Setup, definition, targets::connect},
    table_targets::postgres_settings,
};

const TIDES: &str = "The tide turns twice a day, and the power station stands still until the water rises again.";

fn titled(connection: &Value, max_characters: u32) -> Value {
    definition(
        &json!([
            { "id": "in", "type": "source.files", "trigger": "manual" },
            { "id": "read", "type": "partition" },
            { "id": "name", "type": "title", "connection": connection },
            { "id": "cut", "type": "chunk.characters", "maxCharacters": max_characters },
            { "id": "out", "type": "sink.collection" },
        ]),
        &["in > read", "read > name", "name > cut", "cut > out"],
    )
}

#[actix_web::test]
async fn refresh_costs_what_the_answers_for_stale_items_have_cost() {
    let setup = Setup::with_worker().await;
    let server = ModelServer::start().await;
    server.answer(json!({ "title": "Tides" }));
    let settings = json!({ "model": "m-1", "baseUrl": server.base_url });
    let body = json!({ "name": "main", "provider": "openai", "settings": settings });
    let connection = setup.app.post(&setup.ada, &setup.path("connections"), &body).await.expect(201);
    let path = setup.pipeline("Titled", &titled(&connection["id"], 200)).await;
    setup.upload(&[("tides.txt", TIDES)]).await;
    let ended = setup.run(&path).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    let refresh = async || setup.get(&format!("{path}/staleness")).await["refresh"].take();
    assert_eq!(refresh().await["cost"], Value::Null, "without a price");

    let mut priced = settings.clone();
    priced["prices"] = json!({ "inputPerMillion": 10.0, "outputPerMillion": 100.0 });
    let connection_path = format!("connections/{}", connection["id"].as_str().unwrap());
    setup.patch(&connection_path, &json!({ "settings": priced })).await;
    assert_eq!(refresh().await["cost"], json!(0.0), "nothing is stale");
    setup.patch(&path, &json!({ "definition": titled(&connection["id"], 50) })).await;
    let stale = refresh().await;
    // 100 tokens were read, and 10 written.
    assert_eq!((&stale["files"], &stale["cost"]), (&json!(1), &json!(0.002)), "{stale}");
    setup.app.stop().await;
}

/// Texts of some length, to a sink.
fn texts_to(sink: &Value, least: u32) -> Value {
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "read", "type": "partition" },
        { "id": "long", "type": "filter", "expression": format!("document.characters > {least}") },
        sink,
    ]);
    definition(&nodes, &["in > read", "read > long", "long > out"])
}

#[actix_web::test]
async fn results_outside_and_files_are_stale_when_their_pipeline_has_changed() {
    let setup = Setup::with_worker().await;
    let receiver = ModelServer::start().await;
    setup
        .app
        .sql("create schema outside; create table outside.texts (id uuid primary key, text text, name text)")
        .await;
    let (settings, credentials) = postgres_settings(&setup);
    let database = connect(&setup, "postgresql", settings, credentials).await;
    let file = setup.upload(&[("tides.txt", TIDES)]).await["tides.txt"]["id"].clone();
    for sink in [
        json!({ "id": "out", "type": "sink.webhook", "url": receiver.base_url, "deletions": true }),
        json!({ "id": "out", "type": "sink.connection", "connection": database, "into": "outside.texts",
                "fields": { "name": "file.name" } }),
        json!({ "id": "out", "type": "sink.file", "suffix": ".copy" }),
    ] {
        let name = sink["type"].as_str().unwrap();
        let path = setup.pipeline(&name.replace("sink.", ""), &texts_to(&sink, 1)).await;
        let run = async || {
            let body = json!({ "files": [file] });
            let run = setup.app.post(&setup.ada, &setup.path(&format!("{path}/runs")), &body).await.expect(202);
            setup.ended_run(&format!("runs/{}", run["id"].as_str().unwrap())).await;
        };
        let staleness = async || {
            let found = setup.get(&format!("{path}/staleness")).await;
            ["items", "stale", "olderVersion"].map(|field| found[field].as_i64().unwrap())
        };
        assert_eq!(staleness().await, [0, 0, 0], "{name}");
        run().await;
        assert_eq!(staleness().await, [1, 0, 0], "{name}");
        setup.patch(&path, &json!({ "definition": texts_to(&sink, 2) })).await;
        assert_eq!(staleness().await, [1, 1, 1], "{name}");
        assert_eq!(setup.get(&format!("{path}/staleness")).await["refresh"]["files"], 1, "{name}");
        run().await;
        assert_eq!(staleness().await, [1, 0, 0], "{name}");
    }
    setup.app.stop().await;
}
