//! Accepted and rejected uploads; the number of objects is read from the object store.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;

use crate::support::{TestAccount, TestApp, part, send};

async fn start() -> (TestApp, TestAccount, String) {
    start_with(&[]).await
}

async fn start_with(settings: &[(&str, &str)]) -> (TestApp, TestAccount, String) {
    let app = TestApp::start_with(settings).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    (app, ada, workspace)
}

#[actix_web::test]
async fn uploaded_file_is_listed_downloaded_and_deleted() {
    let (app, ada, workspace) = start().await;
    let content = "The tide turns at noon.\n";
    let response = app.upload(&ada, &workspace, vec![part("tide.txt", content), part("Größe 🌊.md", "# Size\n")]).await;
    let accepted = response.expect(202);
    let file = &accepted["items"][0];
    assert_eq!(file["name"], "tide.txt");
    assert_eq!(file["state"], "queued");
    assert_eq!(file["size"], content.len());
    assert_eq!(file["progress"]["stage"], "upload");
    assert_eq!(accepted["items"][1]["name"], "Größe 🌊.md");

    let path = format!("/api/v1/workspaces/{workspace}/files/{}", file["id"].as_str().unwrap());
    assert_eq!(app.get(&ada, &path).await.expect(200)["id"], file["id"]);
    let download = app.get(&ada, &format!("{path}/content")).await;
    assert_eq!((download.status.as_u16(), download.text.as_str()), (200, content));
    assert_eq!(download.header("content-disposition"), "attachment; filename=\"tide.txt\"");
    let tag = download.header("etag").to_owned();
    let again = app.request(Method::GET, &format!("{path}/content")).bearer_auth(&ada.token);
    assert_eq!(send(again.header("if-none-match", tag)).await.status, 304);
    let other =
        format!("/api/v1/workspaces/{workspace}/files/{}/content", accepted["items"][1]["id"].as_str().unwrap());
    let other = app.get(&ada, &other).await;
    assert!(other.header("content-disposition").contains("filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%F0%9F%8C%8A.md"));
    app.get(&ada, &format!("{path}/text")).await.problem(409, "not_extracted");

    let list = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files?limit=1")).await.expect(200);
    assert_eq!(list["items"][0]["name"], "Größe 🌊.md");
    let next = format!("/api/v1/workspaces/{workspace}/files?limit=1&cursor={}", list["nextCursor"].as_str().unwrap());
    assert_eq!(app.get(&ada, &next).await.expect(200)["items"][0]["id"], file["id"]);

    let delete = || app.request(Method::DELETE, &path).bearer_auth(&ada.token);
    assert_eq!(send(delete()).await.status, 204);
    send(delete()).await.problem(404, "not_found");
    app.get(&ada, &path).await.problem(404, "not_found");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn identical_content_is_stored_once_per_workspace() {
    let (app, ada, workspace) = start().await;
    let first = app.upload(&ada, &workspace, vec![part("a.txt", "same bytes"), part("b.txt", "same bytes")]).await;
    let second = app.upload(&ada, &workspace, vec![part("c.txt", "same bytes")]).await.expect(202);
    assert_eq!(first.expect(202)["items"][0]["sha256"], second["items"][0]["sha256"]);
    assert_eq!(app.deployment.stored_objects().await, 1);
    // Each workspace has its own object, so that the existence of a file in another is not revealed.
    let other = app.create_workspace(&ada, "Wind").await;
    app.upload(&ada, &other, vec![part("a.txt", "same bytes")]).await.expect(202);
    assert_eq!(app.deployment.stored_objects().await, 2);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn repeated_upload_with_one_key_stores_one_file() {
    let (app, ada, workspace) = start().await;
    let upload = async |content: &'static str| {
        app.upload_with_key(&ada, &workspace, vec![part("a.txt", content)], Some("once")).await
    };
    let first = upload("tide").await.expect(202);
    let again = upload("tide").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202), first);
    upload("ebb").await.problem(422, "idempotency_key_reused");
    let list = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files")).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.deployment.stored_objects().await, 1);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn file_names_are_sanitized() {
    let (app, ada, workspace) = start().await;
    let long = format!("{}.md", "n".repeat(300));
    let parts = vec![part("../../etc/passwd", "a"), part(&long, "b"), part("🌊.txt", "c")];
    let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
    let names: Vec<_> =
        accepted["items"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[2]), ("passwd", "🌊.txt"));
    assert!(names[1].chars().count() == 255 && names[1].ends_with(".md"));
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn windows_path_as_file_name_keeps_its_last_segment() {
    let (app, ada, workspace) = start().await;
    // As browsers send it, as programs that escape backslashes send it, and a name with escaped quotes.
    let sent = [r"C:\Users\me\plan.docx", r"C:\\Users\\me\\notes.txt", r#"the \"plan\".txt"#];
    let part = |name: &str| {
        format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\ntide\r\n")
    };
    let body = sent.map(part).concat() + "--x--\r\n";
    let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/files")).bearer_auth(&ada.token);
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(body);
    let accepted = send(request).await.expect(202);
    let names: Vec<_> = accepted["items"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["plan.docx", "notes.txt", "the \"plan\".txt"]);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn too_large_upload_leaves_nothing_stored() {
    let (app, ada, workspace) =
        start_with(&[("NVISY_HTTP_UPLOAD_BYTES", "1000"), ("NVISY_HTTP_UPLOAD_FILES", "2")]).await;
    let path = format!("/api/v1/workspaces/{workspace}/files");
    let valid_part = || part("valid.txt", "a valid file");

    // The second part is rejected each time; the first must be removed as well.
    let large = app.upload(&ada, &workspace, vec![valid_part(), part("large.txt", vec![b'x'; 1001])]).await;
    assert!(large.problem(413, "payload_too_large")["detail"].as_str().unwrap().contains("large.txt"));
    app.upload(&ada, &workspace, vec![valid_part(), valid_part(), valid_part()])
        .await
        .problem(413, "payload_too_large");
    app.upload(&ada, &workspace, vec![valid_part(), Part::text("no file name")]).await.problem(422, "invalid_body");
    app.upload(&ada, &workspace, vec![]).await.problem(400, "bad_request");

    let other = Form::new().part("file", valid_part()).part("attachment", valid_part());
    let request = app.request(Method::POST, &path).bearer_auth(&ada.token).multipart(other);
    send(request).await.problem(422, "invalid_body");
    app.post(&ada, &path, &json!({ "file": "x" })).await.problem(415, "unsupported_media_type");

    let cut = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nthe connection bre";
    let request = app.request(Method::POST, &path).bearer_auth(&ada.token);
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(cut);
    send(request).await.problem(400, "bad_request");

    let list = app.get(&ada, &path).await.expect(200);
    assert_eq!(list["items"], json!([]));
    assert_eq!(app.deployment.stored_objects().await, 0);
    app.stop().await;
}

#[actix_web::test]
async fn other_tenants_file_is_not_found() {
    let (app, ada, workspace) = start().await;
    let accepted = app.upload(&ada, &workspace, vec![part("a.txt", "secret")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    // The id of the file in a workspace of the other tenant.
    let eve = app.create_account("eve").await;
    let own = app.create_workspace(&eve, "Mine").await;
    for suffix in ["", "/content", "/text"] {
        app.get(&eve, &format!("/api/v1/workspaces/{own}/files/{file}{suffix}")).await.problem(404, "not_found");
    }
    let delete = app.request(Method::DELETE, &format!("/api/v1/workspaces/{own}/files/{file}")).bearer_auth(&eve.token);
    send(delete).await.problem(404, "not_found");
    app.file(&ada, &workspace, &file).await;
    app.stop_and_drop_jobs().await;
}
