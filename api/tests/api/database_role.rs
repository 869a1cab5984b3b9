//! API and worker as a database role that owns nothing: all they do works, and what changes the activity log does not.

use nvisy_api::command::verify_activity;
use nvisy_shared::{
    store::{self, Conn, Db},
    testing::TestPlace,
};
use serde_json::json;

use crate::{
    files::part,
    startup::{refused, run, text},
    support::app::{PASSWORD, TestApp, until},
};

/// A role of one test's own.
struct Role {
    name: String,
    url: String,
    owner_url: String,
}

impl Role {
    async fn make(place: &TestPlace) -> Self {
        let owner_url = place.config(&[]).database.url.expose().clone();
        // As its database, of which there is one for each test.
        let name = format!("{}_app", owner_url.rsplit('/').next().unwrap());
        owner(place).await.execute_unprepared(&format!("create role {name} login password 'app'")).await.unwrap();
        let url = owner_url.replace("postgres:postgres@", &format!("{name}:app@"));
        Self { name, url, owner_url }
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [("NVISY_DATABASE_URL", &self.url), ("NVISY_MIGRATION_DATABASE_URL", &self.owner_url)]
    }

    async fn drop(self, owner: &Db) {
        owner.execute_unprepared(&format!("drop owned by {0}; drop role {0}", self.name)).await.unwrap();
    }
}

async fn owner(place: &TestPlace) -> Db {
    store::connect(&place.config(&[]).database).await.unwrap()
}

#[actix_web::test]
async fn api_and_worker_run_under_a_role_that_owns_nothing() {
    let place = TestPlace::empty().await;
    let role = Role::make(&place).await;
    let owner = owner(&place).await;
    let [url, owner_url] = role.settings();
    let settings = [url, owner_url, ("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_AUTH_ERASE_SECONDS", "0")];
    // The API migrates an empty database as the owner, and creates the embedding space and its index as the role.
    let mut app = TestApp::start_at(place, &settings).await;
    let indexes = app
        .rows("select pg_get_userbyid(relowner)::text as owner from pg_class where relname like 'embedding_hnsw_%'")
        .await;
    assert_eq!(indexes.len(), 1);
    assert_ne!(indexes[0].try_get::<String>("", "owner").unwrap(), role.name);

    let [ada, bob] = [app.person("ada").await, app.person("bob").await];
    // Left to upkeep, which looks when a worker starts.
    let gone = app.workspace(&bob, "Gone").await;
    assert_eq!(app.delete(&bob, &format!("/api/v1/workspaces/{gone}")).await.status, 204);
    app.post(&bob, "/api/v1/account/deletion", &json!({ "password": PASSWORD })).await.expect(202);
    app.start_worker().await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let accepted =
        app.upload(&ada, &workspace, vec![part("blades.txt", "Divers scrape barnacles from the rotor.")]).await;
    let file = accepted.expect(202)["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.settled(&ada, &workspace, &file).await["state"], "ready");
    let search = format!("/api/v1/workspaces/{workspace}/search");
    let found = app.post(&ada, &search, &json!({ "query": "barnacles" })).await.expect(200);
    assert_eq!(found["hits"][0]["file"]["id"], file.as_str());
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}/files/{file}")).await.status, 204);
    for (what, sql) in [
        ("the erasure of an account", format!("select from account where id = '{}'", bob.id)),
        ("the erasure of a workspace", format!("select from workspace where id = '{gone}'")),
        ("the end of all jobs", "select from job".to_owned()),
    ] {
        until(what, async || app.rows(&sql).await.is_empty().then_some(())).await;
    }

    changes_are_refused(&app.db, &role.name).await;
    assert!(verify_activity(app.config(), None).await.unwrap().intact);
    let doctor = run("nvisy-api", &["doctor"], &app.place, &settings).await;
    let said = text(&doctor.stdout);
    assert!(doctor.status.success(), "{said}");
    let line = said.lines().find(|line| line.starts_with("database role ")).unwrap();
    assert!(line.contains(" ok ") && line.contains(&role.name), "{line}");
    app.stop_before(async |_| role.drop(&owner).await).await;
}

async fn changes_are_refused(db: &Db, role: &str) {
    for (statement, refusal) in [
        ("update activity set action = 'file.deleted'", "permission denied for table activity"),
        ("delete from activity", "permission denied for table activity"),
        ("truncate activity", "permission denied for table activity"),
        ("alter table activity disable trigger user", "must be owner of table activity"),
        ("drop trigger activity_append_only on activity", "must be owner of relation activity"),
        ("drop table activity", "must be owner of table activity"),
        ("set session_replication_role = replica", "permission denied to set parameter"),
        ("update activity_chain set seq = seq - 1", "append-only"),
        ("update activity_chain set seal = sha256('another')", "append-only"),
        ("update activity_chain set chain = gen_random_uuid(), seq = seq + 1", "permission denied for table"),
        ("delete from activity_chain", "permission denied for table activity_chain"),
        ("truncate activity_chain", "permission denied for table activity_chain"),
        ("alter table activity_chain disable trigger user", "must be owner of table activity_chain"),
        ("truncate account cascade", "permission denied for table"),
        ("delete from seaql_migrations", "permission denied for table seaql_migrations"),
        ("create table mine (x int)", "permission denied for schema"),
        ("select create_space_index(gen_random_uuid(), 3)", "there is no such embedding space"),
    ] {
        let refused = db.execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(refused.contains(refusal), "{role}: {statement}: {refused}");
    }
    // Nor may it become somebody who may.
    let higher = "select from pg_roles where pg_has_role(rolname, 'member') and rolname <> current_user";
    assert!(db.query_all_raw(store::statement(higher)).await.unwrap().is_empty());
}

#[actix_web::test]
async fn unprivileged_role_requires_a_migrated_schema() {
    let place = TestPlace::empty().await;
    let role = Role::make(&place).await;
    let owner = owner(&place).await;
    let url = role.settings()[0];
    nvisy_api::command::keys(place.keys().folder(), false).unwrap();
    for name in ["nvisy-api", "nvisy-worker"] {
        refused(&run(name, &[], &place, &[url]).await, &["may not create the schema", "NVISY_MIGRATION_DATABASE_URL"]);
    }
    refused(&run("nvisy-migrate", &["grant", "nobody_here"], &place, &[]).await, &["there is no role `nobody_here`"]);
    refused(&run("nvisy-migrate", &["grant", "postgres"], &place, &[]).await, &["`postgres` owns the schema"]);
    for arguments in [&["up"][..], &["grant", &role.name]] {
        let output = run("nvisy-migrate", arguments, &place, &[]).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    // What was given once too often is taken back.
    owner.execute_unprepared(&format!("grant update, truncate on activity to {}", role.name)).await.unwrap();
    let output = run("nvisy-migrate", &["grant", &role.name], &place, &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));

    let away = ("NVISY_MIGRATION_DATABASE_URL", "postgres://owner:hunter2@127.0.0.1:9/nvisy");
    let output = run("nvisy-api", &[], &place, &[url, away]).await;
    refused(&output, &["PostgreSQL cannot be reached: NVISY_MIGRATION_DATABASE_URL"]);
    assert!(!text(&output.stderr).contains("hunter2"));

    let app = TestApp::start_at(place, &[url]).await;
    let ada = app.person("ada").await;
    app.workspace(&ada, "Tidal energy").await;
    changes_are_refused(&app.db, &role.name).await;
    app.stop_before(async |_| role.drop(&owner).await).await;
}
