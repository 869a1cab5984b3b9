//! The examples of `docs/OBJECT_STORES.md`: a pipeline reads from each store, and writes into it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    connection_rows::{counts, sync},
    support::{
        Setup, TestApp, definition,
        documented::{Examples, with},
        object_store::{AZURE_SAS, Azurite, BUCKET, FakeGcs, SFTP_PASSWORD, SeaweedFs, s3_credentials},
    },
};

const TEXT: &str = "# Tides\n\nThe ebb begins at noon.\n";

/// Reads the folder `in` of a connection, and writes what it has read with the node of an example.
async fn assert_is_read_and_written(setup: &Setup, section: &str, connection: &str, sink: &Value) {
    let nodes = json!([
        { "id": "in", "type": "source.connection", "connection": connection, "stream": { "path": "in" } },
        { "id": "read", "type": "partition" },
        with(sink, &[("CONNECTION", connection)]),
    ]);
    let pipeline = setup.pipeline(section, &definition(&nodes, &["in > read", "read > out"])).await;
    // Now with the step `write`, which is not optional any more.
    setup.assert_connected(connection).await;
    let run = sync(setup, &pipeline).await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [1, 1, 0, 0, 0, 0]), "{section}: {run}");
    let path = setup.path(&format!("connections/{connection}/browse"));
    let body = json!({ "stream": { "path": "exports/texts" }, "limit": 10 });
    let listed = setup.app.post(&setup.ada, &path, &body).await.expect(200);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    let is_written = |name: &str| name.starts_with("exports/texts/in/tides.") && name.ends_with(".md");
    assert!(names.len() == 1 && is_written(names[0]), "{section}: {listed}");
}

#[actix_web::test]
async fn every_documented_example_of_a_store_is_read_and_written() {
    let (weed, azurite, google) = futures::future::join3(SeaweedFs::start(), Azurite::start(), FakeGcs::start()).await;
    let folder = tempfile::tempdir().unwrap();
    let contracts = folder.path().join("contracts");
    fs::create_dir_all(contracts.join("in")).unwrap();
    fs::write(contracts.join("in/tides.md"), TEXT).unwrap();
    // In the bucket, and in the folders that are the roots of WebDAV and SFTP.
    for key in ["in/tides.md", "Documents/in/tides.md", "contracts/in/tides.md"] {
        weed.put(key, TEXT).await;
    }
    azurite.put("in/tides.md", TEXT).await;
    google.put("in/tides.md", TEXT).await;
    // The first one is that of the example.
    let folders = format!("/srv/shared, {}", folder.path().display());
    let settings =
        [("NVISY_OUTBOUND_LOCAL_FOLDERS", folders.as_str()), ("NVISY_OUTBOUND_WRITABLE_FOLDERS", folders.as_str())];
    let setup = Setup::of(TestApp::start_with_worker(&settings).await).await;

    let mut examples = Examples::of("OBJECT_STORES.md");
    let sink = examples.json("Writing");
    let azure = json!({ "account": "devstoreaccount1", "endpoint": azurite.endpoint });
    let webdav = json!({ "url": format!("{}/buckets/{BUCKET}", weed.webdav) });
    let user = json!({ "username": "nvisy", "password": SFTP_PASSWORD });
    for (section, address, credentials) in [
        ("S3", json!({ "endpoint": weed.s3 }), s3_credentials()),
        // The emulator takes no credentials.
        ("Google Cloud Storage", json!({ "endpoint": google.endpoint }), Value::Null),
        ("Azure Blob", azure, json!({ "sasToken": AZURE_SAS })),
        ("WebDAV", webdav, json!({ "username": "ada", "password": ".." })),
        ("SFTP", weed.sftp_settings(), user),
        ("Local folder", json!({ "path": contracts }), Value::Null),
    ] {
        let connection = setup.connect_example(&examples.json(section), &address, &credentials).await;
        assert_is_read_and_written(&setup, section, &connection, &sink).await;
    }
    examples.finish();
    setup.app.stop().await;
}
