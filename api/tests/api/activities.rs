//! The activity log of a workspace: its entries, who can read them, and that changes of it are detected.

use std::{collections::BTreeSet, fs};

use futures::future::join_all;
use nvisy_api::cli::{Verified, verify_activity};
use nvisy_shared::{
    crypt::{Keyring, MasterKey, audit_mac::AuditKeys},
    domain::activity::Action,
    id::WorkspaceId,
    store::{
        self, Conn, TransactionTrait,
        activity::{self, ActivityFilter, ActorContext, AuditEntry, SeqRange},
        change::ChangeScope,
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    artifact_downloads::{begin, is_sent_to_the_end},
    support::{TestAccount, TestApp, TestResponse, part, send},
};

impl TestApp {
    async fn activities(&self, account: &TestAccount, workspace: &str, query: &str) -> TestResponse {
        self.get(account, &format!("/api/v1/workspaces/{workspace}/activities{query}")).await
    }

    async fn delete_file(&self, account: &TestAccount, workspace: &str, file: &str) -> TestResponse {
        let path = format!("/api/v1/workspaces/{workspace}/files/{file}");
        send(self.request(Method::DELETE, &path).bearer_auth(&account.token)).await
    }

    async fn append_entries(&self, chain: WorkspaceId, entries: &[AuditEntry]) {
        let keys = self.audit_keys();
        let changes = ChangeScope::new(&self.db, &keys, chain, ActorContext::system());
        let appended = changes.run(async |change| {
            for entry in entries {
                change.audit_entry(entry.clone());
            }
            store::Result::Ok(())
        });
        appended.await.unwrap();
    }

    async fn verify(&self) -> Verified {
        verify_activity(self.config(), None).await.unwrap()
    }

    async fn verify_against(&self, earlier: &str) -> Verified {
        let report = self.deployment.keys().path("report");
        fs::write(&report, earlier).unwrap();
        verify_activity(self.config(), Some(report)).await.unwrap()
    }

    pub fn audit_keys(&self) -> AuditKeys {
        AuditKeys::new(Keyring::new(MasterKey::read(&self.config().encryption.key_file).unwrap()))
    }
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

fn types(page: &Value) -> Vec<&str> {
    items(page).iter().map(|item| item["type"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn entry_records_actor_object_request_and_address() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (workspace, file) = app.create_workspace_with_file(&ada).await;
    let path = format!("/api/v1/workspaces/{workspace}/files/{file}");
    // Without a setting no proxy is trusted: its client address and request id are ignored.
    let delete = app.request(Method::DELETE, &path).bearer_auth(&ada.token).header("x-request-id", "the-deletion");
    let deleted = send(delete.header("x-forwarded-for", "203.0.113.9")).await;
    assert_eq!(deleted.status, 204);

    let page = app.activities(&ada, &workspace, "").await.expect(200);
    assert_eq!(types(&page), ["file.deleted", "file.uploaded", "workspace.created"]);
    let entry = &page["items"][0];
    assert_eq!(entry["seq"], 3);
    assert_eq!(entry["actor"], json!({ "type": "account", "accountId": ada.id }));
    assert_eq!(entry["object"], json!({ "kind": "file", "id": file }));
    assert_ne!(entry["requestId"], "the-deletion");
    assert_eq!(entry["requestId"], deleted.header("x-request-id"));
    assert_eq!(entry["address"], "127.0.0.1");
    assert_eq!(page["items"][1]["details"]["bytes"], 4);

    // Entries hold ids only: nothing about a person remains when their account is erased.
    let text = app.rows("select string_agg(activity::text, ' ') as all from activity").await;
    let text: String = text[0].try_get("", "all").unwrap();
    assert!(text.contains("account.signed_up") && text.contains(&ada.id), "{text}");
    assert!(!text.contains("example.org") && !text.contains("a.txt"), "{text}");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn client_address_comes_from_trusted_proxies() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")]).await;
    let ada = app.create_account("ada").await;
    let request = app.request(Method::POST, "/api/v1/workspaces").bearer_auth(&ada.token);
    let request = request.header("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.0.0.7");
    let workspace = send(request.json(&json!({ "name": "Tidal energy" }))).await.expect(201);
    let page = app.activities(&ada, workspace["id"].as_str().unwrap(), "").await.expect(200);
    assert_eq!(page["items"][0]["address"], "203.0.113.9");
    app.stop().await;
}

#[actix_web::test]
async fn activities_are_filtered_and_paged() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let (workspace, file) = app.create_workspace_with_file(&ada).await;
    app.sql(&format!(
        "insert into member (workspace_id, account_id, role) values ('{workspace}', '{}', 'member')",
        bob.id
    ))
    .await;
    assert_eq!(app.delete_file(&bob, &workspace, &file).await.status, 204);

    let list = async |query: &str| app.activities(&ada, &workspace, query).await.expect(200);
    assert_eq!(types(&list(&format!("?actor={}", bob.id)).await), ["file.deleted"]);
    assert_eq!(types(&list("?type=file.uploaded").await), ["file.uploaded"]);
    // Years that RFC 3339 does not have.
    for year in ["-9999", "-0001", "%2B12000"] {
        for query in [format!("?since={year}-01-01T00:00:00Z"), format!("?until={year}-01-01T00:00:00Z")] {
            for path in ["", "/export"] {
                let response = app.activities(&ada, &workspace, &format!("{path}{query}")).await;
                assert!(response.status.is_client_error(), "{path}{query}: {}", response.text);
            }
        }
    }
    let all = list("").await;
    let time = all["items"][1]["createdAt"].as_str().unwrap();
    assert_eq!(types(&list(&format!("?since={time}")).await), ["file.deleted", "file.uploaded"]);
    assert_eq!(types(&list(&format!("?until={time}")).await), ["workspace.created"]);
    assert_eq!(types(&list(&format!("?type=file.deleted&actor={}", ada.id)).await), [""; 0]);

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("?limit=1{cursor}")).await;
        assert_eq!(items(&page).len(), 1);
        seen.push(page["items"][0]["seq"].as_i64().unwrap());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [3, 2, 1]);

    assert_eq!(items(&list("?since=0000-01-01T00:00:00Z&until=9999-12-31T23:59:59Z").await).len(), 3);
    for bad in ["?type=file.painted", "?actor=ada", "?since=yesterday", "?colour=red"] {
        app.activities(&ada, &workspace, bad).await.problem(400, "invalid_query");
    }
    // A cursor of another list.
    let files = app.upload(&ada, &workspace, vec![part("a", "a"), part("b", "b")]).await.expect(202);
    assert_eq!(items(&files).len(), 2);
    let files = app.get(&ada, &format!("/api/v1/workspaces/{workspace}/files?limit=1")).await.expect(200);
    let foreign = format!("?cursor={}", files["nextCursor"].as_str().unwrap());
    app.activities(&ada, &workspace, &foreign).await.problem(400, "invalid_cursor");
    app.activities(&bob, &workspace, "").await.problem(403, "forbidden");
    app.activities(&bob, &workspace, "/export").await.problem(403, "forbidden");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn full_log_is_exported_as_jsonl_and_csv() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.create_account("ada").await;
    let (workspace, file) = app.create_workspace_with_file(&ada).await;
    let path = format!("/api/v1/workspaces/{workspace}/files/{file}");
    let delete = app.request(Method::DELETE, &path).bearer_auth(&ada.token).header("x-request-id", "-2");
    assert_eq!(send(delete).await.status, 204);
    // More than one batch.
    let id: WorkspaceId = workspace.parse::<uuid::Uuid>().unwrap().into();
    let entries: Vec<_> =
        (0..1200).map(|n| AuditEntry::new(Action::FileUploaded, id, json!({ "n": n, "q": "a \"b\", c" }))).collect();
    app.append_entries(id, &entries).await;

    let lines = app.activities(&ada, &workspace, "/export?format=jsonl").await;
    assert_eq!((lines.status.as_u16(), lines.header("content-type")), (200, "application/jsonl"));
    assert_eq!(lines.header("content-disposition"), "attachment; filename=\"activities.jsonl\"");
    let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=1203).collect::<Vec<_>>());
    let page = app.activities(&ada, &workspace, "?limit=1").await.expect(200);
    assert_eq!(page["items"][0], lines[1202]);

    let csv = app.activities(&ada, &workspace, "/export?format=csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let column =
        |name: &str, reader: &mut csv::Reader<&[u8]>| reader.headers().unwrap().iter().position(|h| h == name).unwrap();
    let (request, details) = (column("requestId", &mut reader), column("details", &mut reader));
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1203);
    assert_eq!(&rows[2][request], "'-2");
    assert_eq!(serde_json::from_str::<Value>(&rows[3][details]).unwrap(), lines[3]["details"]);

    let some = app.activities(&ada, &workspace, "/export?format=csv&type=workspace.deleted").await;
    assert!(some.status == 400 || some.text.lines().count() == 1, "{}", some.text);
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn export_is_aborted_when_its_caller_loses_the_permission() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "admin").await;
    // The first of two batches is more than the buffers of a connection hold.
    let id: WorkspaceId = workspace.parse::<uuid::Uuid>().unwrap().into();
    let entry = AuditEntry::new(Action::FileUploaded, id, json!({ "text": "tide ".repeat(8_000) }));
    app.append_entries(id, &vec![entry; 600]).await;
    let path = format!("/api/v1/workspaces/{workspace}/activities/export?format=jsonl");
    assert!(is_sent_to_the_end(begin(&app, &bob, &path).await).await, "the whole log");
    let begun = begin(&app, &bob, &path).await;
    app.sql(&format!("update member set role = 'guest' where account_id = '{}'", bob.id)).await;
    assert!(!is_sent_to_the_end(begun).await, "a guest read all of it");
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn database_rejects_changes_to_the_log() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    app.create_workspace(&ada, "Tidal energy").await;
    // The role of the tests is a superuser, which no missing privilege would stop.
    for statement in [
        "update activity set action = 'file.deleted'",
        "delete from activity",
        "truncate activity",
        "update activity_chain set seq = seq - 1",
        "update activity_chain set mac = sha256('another')",
        "delete from activity_chain",
        "truncate activity_chain",
        "set session_replication_role = replica; delete from activity; reset session_replication_role",
        "delete from workspace; delete from account; delete from activity",
    ] {
        let error = app.db.execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    // The role that applied the migrations does not have the privileges either.
    let rights = app
        .rows("select relacl::text as rights from pg_class where relname in ('activity', 'activity_chain') order by relname")
        .await;
    for (row, allowed) in rights.iter().zip(["postgres=arxtm/postgres", "postgres=arwxtm/postgres"]) {
        let rights: String = row.try_get("", "rights").unwrap();
        assert!(rights.contains(allowed), "{rights}");
    }
    assert!(app.verify().await.intact);
    app.stop().await;
}

#[actix_web::test]
async fn verification_reports_the_first_tampered_entry() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (workspace, file) = app.create_workspace_with_file(&ada).await;
    assert_eq!(app.delete_file(&ada, &workspace, &file).await.status, 204);
    let before = app.verify().await;
    assert!(
        before.intact && before.report.contains(&format!("workspace {workspace}: intact, 3 entries")),
        "{}",
        before.report
    );
    assert!(before.report.contains("accounts: intact, 2 entries"), "{}", before.report);

    // The owner of the tables can disable the triggers.
    app.sql("alter table activity disable trigger user; alter table activity_chain disable trigger user").await;
    for (change, undo, broken) in [
        ("update activity set account_id = gen_random_uuid() where seq = 2", None, 2),
        ("delete from activity where seq = 2", None, 2),
        ("delete from activity where seq = 3", None, 3),
        ("update activity set details = '{ }' where seq = 3", None, 3),
        ("delete from activity where seq = 3; update activity_chain set seq = 2", None, 3),
        ("delete from activity_chain", Some("activity_chain"), 1),
    ] {
        let scope = format!("chain = '{workspace}'");
        app.sql(&format!("create table saved as select * from activity where {scope}")).await;
        app.sql(&format!("create table saved_chain as select * from activity_chain where {scope}")).await;
        let statements: Vec<_> = change.split("; ").collect();
        for statement in statements {
            let keyword = if statement.contains(" where ") { "and" } else { "where" };
            app.sql(&format!("{statement} {keyword} {scope}")).await;
        }
        let verified = app.verify().await;
        assert!(!verified.intact, "{change}");
        let line = verified.report.lines().find(|line| line.contains(&workspace)).unwrap();
        assert!(line.contains(&format!("BROKEN at entry {broken}")), "{change} {undo:?}: {line}");
        assert!(verified.report.contains("accounts: intact"), "{}", verified.report);
        app.sql(&format!(
            "delete from activity where {scope}; insert into activity select * from saved; drop table saved"
        ))
        .await;
        app.sql(&format!("delete from activity_chain where {scope}; insert into activity_chain select * from saved_chain; drop table saved_chain")).await;
    }
    let after = app.verify().await;
    assert_eq!((after.intact, after.report), (true, before.report));
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn verification_against_an_earlier_report_detects_truncation() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let (workspace, file) = app.create_workspace_with_file(&ada).await;
    let two = app.verify().await.report;
    assert_eq!(app.delete_file(&ada, &workspace, &file).await.status, 204);
    let three = app.verify().await.report;
    for earlier in [&two, &three] {
        let later = app.verify_against(&format!("written at noon\n{earlier}")).await;
        assert_eq!((later.intact, &later.report), (true, &three));
    }

    // The owner deletes the last entry and moves the chain head back: all remaining MACs are valid.
    app.sql("alter table activity disable trigger user; alter table activity_chain disable trigger user").await;
    let scope = format!("chain = '{workspace}'");
    app.sql(&format!(
        "update activity_chain set seq = 2, mac = (select mac from activity where {scope} and seq = 2) where {scope};
         delete from activity where {scope} and seq = 3"
    ))
    .await;
    assert!(app.verify().await.intact);
    assert!(app.verify_against(&two).await.intact);
    let truncated = app.verify_against(&three).await;
    assert!(
        !truncated.intact && truncated.report.contains(&format!("workspace {workspace}: BROKEN at entry 3")),
        "{}",
        truncated.report
    );
    // A chain that was deleted, or replaced by another with valid MACs, is detected as well.
    app.sql(&format!("delete from activity where {scope}; delete from activity_chain where {scope}")).await;
    assert!(app.verify().await.intact);
    assert!(!app.verify_against(&two).await.intact);
    let entries =
        [0; 3].map(|_| AuditEntry::new(Action::FileUploaded, ada.id.parse::<uuid::Uuid>().unwrap(), json!({})));
    app.append_entries(workspace.parse::<uuid::Uuid>().unwrap().into(), &entries).await;
    assert!(app.verify().await.intact);
    assert!(!app.verify_against(&two).await.intact && !app.verify_against(&three).await.intact);

    let report = app.deployment.keys().path("no-report");
    fs::write(&report, "accounts: BROKEN at entry 1: the entry is missing\n").unwrap();
    for (path, message) in [(report, "is not an earlier report"), ("/nowhere/report".into(), "cannot be read")] {
        let error = verify_activity(app.config(), Some(path)).await.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    app.stop_and_drop_jobs().await;
}

#[actix_web::test]
async fn failed_login_for_an_unknown_email_stores_only_the_network_prefix() {
    let app = TestApp::start_with(&[("NVISY_HTTP_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ada = app.create_account("ada").await;
    for (email, address) in
        [("nobody@example.org", "203.0.113.9"), ("nobody@example.org", "2001:db8:1:2::3"), (&ada.email, "198.51.100.7")]
    {
        let request = app.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", address);
        let login = request.json(&json!({ "email": email, "password": "not the password" }));
        send(login).await.problem(401, "wrong_credentials");
    }
    app.wait_for_failed_logins(3).await;
    let rows =
        app.rows("select address, address_sealed from activity where action = 'session.refused' order by seq").await;
    let stored: Vec<(Option<String>, Option<Vec<u8>>)> = rows
        .iter()
        .map(|row| (row.try_get("", "address").unwrap(), row.try_get("", "address_sealed").unwrap()))
        .collect();
    assert_eq!(stored[0], (Some("203.0.113.0/24".to_owned()), None));
    assert_eq!(stored[1], (Some("2001:db8:1::/48".to_owned()), None));
    assert!(matches!(stored[2], (None, Some(_))), "{stored:?}");
    // A known account has the full address, encrypted.
    let (audit_keys, all, newest) = (app.audit_keys(), ActivityFilter::default(), SeqRange::Before(i64::MAX));
    let read = activity::list(&app.db, &audit_keys, activity::ACCOUNT_CHAIN, &all, newest, 1).await.unwrap();
    assert_eq!(read[0].address.as_deref(), Some("198.51.100.7"));
    assert!(app.verify().await.intact);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_entries_form_one_chain_per_workspace_without_cross_tenant_blocking() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let [tidal, wind] = [app.create_workspace(&ada, "Tidal").await, app.create_workspace(&ada, "Wind").await];
    let upload_and_delete = async |workspace: &str, name: String| {
        let accepted =
            app.upload(&ada, workspace, vec![part(&name, name.clone()), part("same", "same")]).await.expect(202);
        app.delete_file(&ada, workspace, accepted["items"][0]["id"].as_str().unwrap()).await
    };
    let responses =
        join_all((0..24).map(|n| upload_and_delete(if n % 2 == 0 { &tidal } else { &wind }, format!("{n}.txt")))).await;
    assert!(responses.iter().all(|response| response.status == 204), "{responses:?}");
    for workspace in [&tidal, &wind] {
        let lines = app.activities(&ada, workspace, "/export").await.text;
        let ids: BTreeSet<_> =
            lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string()).collect();
        assert_eq!(ids.len(), 1 + 12 * 3);
    }
    assert!(app.verify().await.intact);

    // A locked chain of one tenant does not block another tenant.
    let tx = app.db.begin().await.unwrap();
    let lock = format!("select seq from activity_chain where chain = '{tidal}' for update");
    tx.execute_raw(store::statement(&lock)).await.unwrap();
    assert_eq!(upload_and_delete(&wind, "last.txt".to_owned()).await.status, 204);
    tx.rollback().await.unwrap();
    assert_eq!(upload_and_delete(&tidal, "last.txt".to_owned()).await.status, 204);
    assert!(app.verify().await.intact);
    app.stop_and_drop_jobs().await;
}
