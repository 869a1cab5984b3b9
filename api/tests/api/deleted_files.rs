//! Files that are deleted while a run over several files waits for them.

use serde_json::{Value, json};

use crate::support::{ModelServer, Setup, definition, model_response, part, wait_until};

/// Copies `quick.txt`, and sends all other files to a service before.
fn calling(server: &ModelServer) -> Value {
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "manual" },
        { "id": "read", "type": "partition" },
        { "id": "way", "type": "switch.when", "branches": [{ "port": "quick", "expression": "file.name == 'quick.txt'" }] },
        { "id": "step", "type": "http", "url": server.base_url, "requestTimeoutSeconds": 600 },
        { "id": "out", "type": "sink.file", "suffix": ".out" },
        { "id": "copy", "type": "sink.file", "suffix": ".quick" },
    ]);
    definition(&nodes, &["in > read", "read > way", "way.quick > copy", "way.else > step", "step > out"])
}

/// Makes a copy of `base.txt`.
fn copying() -> Value {
    let filter = json!({ "field": "name", "op": "eq", "value": "base.txt" });
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload", "filter": filter },
        { "id": "out", "type": "sink.file", "suffix": ".copy" },
    ]);
    definition(&nodes, &["in > out"])
}

#[actix_web::test]
async fn run_ends_with_the_deletion_of_the_file_that_it_waits_for() {
    let setup = Setup::with_worker().await;
    let server = ModelServer::start().await;
    server.respond(|_| model_response("422", "", "{}"));
    setup.pipeline("Copying", &copying()).await;
    let pipeline = setup.pipeline("Calling", &calling(&server)).await;
    let names = ["base.txt", "quick.txt", "slow.txt"];
    let parts = names.map(|name| part(name, format!("The tide of {name} turns.")));
    let accepted = setup.app.upload(&setup.ada, &setup.workspace, parts.into()).await.expect(202);
    setup.app.wait_until_no_jobs_are_left().await;
    let [base, quick, slow] = [0_usize, 1, 2].map(|at| accepted["items"][at]["id"].as_str().unwrap().to_owned());
    let copies = setup.app.rows("select id::text as id from file where name = 'base.txt.copy'").await;
    let copy: String = copies[0].try_get("", "id").unwrap();

    // The second run waits for a file that goes with another one.
    for (calls, waited, deleted) in [(1, &slow, &slow), (2, &copy, &base)] {
        server.hold();
        let body = json!({ "files": [quick, waited] });
        let run = setup.app.post(&setup.ada, &setup.path(&format!("{pipeline}/runs")), &body).await.expect(202);
        let run = format!("runs/{}", run["id"].as_str().unwrap());
        wait_until("the run waits for the service alone", async || {
            let run = setup.get(&run).await;
            let waits = run["items"] == 2 && run["itemsOpen"] == 1 && server.requests().len() == calls;
            waits.then_some(())
        })
        .await;
        let path = setup.path(&format!("files/{deleted}"));
        assert_eq!(setup.app.delete(&setup.ada, &path).await.status, 204);
        let ended = setup.get(&run).await;
        assert_eq!((&ended["state"], &ended["itemsOpen"]), (&json!("completed"), &json!(0)), "{ended}");
        server.release();
        setup.app.wait_until_no_jobs_are_left().await;
    }
    assert_eq!(setup.app.count("event where type = 'run.ended'").await, 2);
    assert_eq!(setup.app.count("workspace_usage where runs <> 0").await, 0);
    setup.app.stop().await;
}
