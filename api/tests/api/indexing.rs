//! From an upload to chunks and vectors, for each sample format; and content that cannot be read.

use crate::support::{TestAccount, TestApp, part, send, wait_until};

fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/../deploy/demo/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn start() -> (TestApp, TestAccount, String) {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    (app, ada, workspace)
}

#[actix_web::test]
async fn every_sample_format_is_indexed_with_provenance() {
    let (app, ada, workspace) = start().await;
    for (name, media_type, paged) in [
        ("operations-manual.pdf", "application/pdf", true),
        ("blade-fouling-study.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false),
        ("tidal-resource.html", "text/html", false),
        ("seal-monitoring.md", "text/markdown", false),
        ("control-room-log.txt", "text/plain", false),
    ] {
        let accepted = app.upload(&ada, &workspace, vec![part(name, sample(name))]).await.expect(202);
        let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
        let file = app.finished_file(&ada, &workspace, &id).await;
        assert_eq!(file["state"], "ready", "{file}");
        assert_eq!(file["mediaType"], media_type);
        assert_eq!(file["progress"]["done"], file["chunkCount"]);
        assert_eq!(file["progress"]["total"], file["chunkCount"]);
        assert_eq!(file["pageCount"].is_number(), paged);

        let text = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files/{id}/text")).await.text;
        if name.ends_with(".md") || name.ends_with(".txt") {
            assert_eq!(text.as_bytes(), sample(name), "the text of a text file is the file itself");
        }
        let chunks = app.chunks(&id).await;
        assert_eq!(file["chunkCount"], chunks.len());
        let headed = chunks.iter().filter(|chunk| !chunk.heading_path.is_empty()).count();
        assert!(headed > 0 || name.ends_with(".txt"), "{name} has headings");
        for chunk in &chunks {
            assert_eq!(text[chunk.start..chunk.end], chunk.text, "{name}");
            assert_eq!(chunk.page.is_some(), paged);
            assert_eq!(chunk.vectors, 1);
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn unreadable_file_fails_alone_with_a_reason() {
    let (app, ada, workspace) = start().await;
    let pdf = sample("operations-manual.pdf");
    let unreadable: [(&str, Vec<u8>, &str); 6] = [
        ("empty.txt", Vec::new(), "empty"),
        ("blank.md", b" \n\t\n ".to_vec(), "empty"),
        ("cut.pdf", pdf[..pdf.len() / 2].to_vec(), "corrupt"),
        ("tool.exe", b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00".repeat(40), "unsupported_media"),
        ("fake.pdf", b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00".repeat(40), "unsupported_media"),
        ("line.txt", vec![b'a'; 40 << 20], "too_large"),
    ];
    let mut parts: Vec<_> = unreadable.iter().map(|(name, content, _)| part(name, content.clone())).collect();
    parts.push(part("good.txt", "The lock gates open at slack water."));
    let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
    let items = accepted["items"].as_array().unwrap();
    for (item, (name, _, code)) in items.iter().zip(&unreadable) {
        let file = app.finished_file(&ada, &workspace, item["id"].as_str().unwrap()).await;
        assert_eq!((file["state"].as_str(), file["failure"]["code"].as_str()), (Some("failed"), Some(*code)), "{name}");
        assert!(app.chunks(item["id"].as_str().unwrap()).await.is_empty());
    }
    let good = app.finished_file(&ada, &workspace, items[unreadable.len()]["id"].as_str().unwrap()).await;
    assert_eq!(good["state"], "ready", "{good}");
    app.stop().await;
}

#[actix_web::test]
async fn file_deleted_during_indexing_leaves_nothing() {
    let (app, ada, workspace) = start().await;
    let text = "Blades foul faster in summer, when plankton blooms along the coast. ".repeat(3000);
    let accepted = app.upload(&ada, &workspace, vec![part("long.txt", text)]).await.expect(202);
    let id = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    wait_until("embedding has begun", async || {
        let file = app.file(&ada, &workspace, &id).await;
        (file["progress"]["stage"] == "embed").then_some(())
    })
    .await;
    let path = format!("/api/v1/workspaces/{workspace}/files/{id}");
    let delete = app.request(reqwest::Method::DELETE, &path).bearer_auth(&ada.token);
    assert_eq!(send(delete).await.status, 204);
    app.wait_until_no_jobs_are_left().await;
    for table in ["chunk", "embedding", "run_item", "file_version", "dead_job"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    app.stop().await;
}
