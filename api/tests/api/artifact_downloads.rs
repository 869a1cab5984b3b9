//! Downloads of artifacts that end early: the connection is aborted, so that no client takes a part for the whole.

use reqwest::{Method, Response};
use serde_json::json;

use crate::support::{Setup, TestAccount, TestApp, definition, wait_until};

/// Begins a download on a connection of its own, whose buffers have not grown with earlier responses.
pub async fn begin(app: &TestApp, caller: &TestAccount, path: &str) -> Response {
    let request = TestApp::new_client().request(Method::GET, format!("http://{}{path}", app.address));
    let mut response = request.bearer_auth(&caller.token).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert!(response.chunk().await.expect("bytes").is_some(), "the download is empty");
    response
}

/// Whether the rest of a response is sent; otherwise its connection is aborted.
pub async fn is_sent_to_the_end(mut response: Response) -> bool {
    loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[actix_web::test]
async fn download_is_aborted_when_access_is_lost_or_the_artifact_is_deleted() {
    let setup = Setup::with_worker().await;
    let nodes = json!([
        { "id": "in", "type": "source.files", "trigger": "upload" },
        { "id": "read", "type": "partition" },
        { "id": "cut", "type": "chunk.characters", "maxCharacters": 200 },
        { "id": "vec", "type": "embed" },
        { "id": "out", "type": "sink.collection" },
    ]);
    setup.pipeline("Tides", &definition(&nodes, &["in > read", "read > cut", "cut > vec", "vec > out"])).await;
    setup.upload(&[("tides.txt", "The tide turns twice a day.")]).await;
    let run = wait_until("the run has ended", async || {
        let run = setup.get("runs").await["items"][0].clone();
        run["finishedAt"].is_string().then_some(run)
    })
    .await;
    let items = format!("runs/{}/items", run["id"].as_str().unwrap());
    let item = setup.get(&items).await["items"][0].clone();
    let artifacts = format!("{items}/{}/artifacts", item["id"].as_str().unwrap());
    let list = setup.get(&artifacts).await;
    let some = list["items"].as_array().unwrap().iter().find(|one| one["elements"] == 1).expect("an output");
    let artifact = some["id"].as_str().unwrap();
    // More than the buffers of a connection hold: the rest is read from the database when the client has read on.
    setup
        .app
        .sql(&format!(
            "insert into artifact_part (workspace_id, artifact_id, first, elements, data)
                 select workspace_id, id, n, 1, convert_to(to_jsonb(array[repeat('tide ', 26000)])::text, 'UTF8')
                 from artifact, generate_series(1, 256) n where id = '{artifact}'"
        ))
        .await;
    setup.app.sql(&format!("update artifact set elements = 257 where id = '{artifact}'")).await;
    let path = setup.path(&format!("{artifacts}/{artifact}"));
    assert!(is_sent_to_the_end(begin(&setup.app, &setup.ada, &path).await).await, "the whole artifact");

    let grace = setup.app.create_account("grace").await;
    setup.app.add_member(&setup.workspace, &grace, "guest").await;
    let [of_grace, of_ada] = [begin(&setup.app, &grace, &path).await, begin(&setup.app, &setup.ada, &path).await];
    let member = setup.path(&format!("members/{}", grace.id));
    assert_eq!(setup.app.delete(&setup.ada, &member).await.status, 204);
    assert!(!is_sent_to_the_end(of_grace).await, "a former member read all of it");
    setup.app.sql(&format!("delete from artifact where id = '{artifact}'")).await;
    assert!(!is_sent_to_the_end(of_ada).await, "a part was sent as the whole");
    setup.app.stop().await;
}
