//! API and worker with a database role that owns nothing: they work, and cannot change the activity log.

use nvisy_api::cli::verify_activity;
use nvisy_shared::{
    id::SpaceId,
    store::{self, Conn, Db},
    testing::TestDeployment,
};
use serde_json::json;

use crate::support::{PASSWORD, TestApp, assert_single_error, part, run, text, wait_until};

/// The role of one test.
struct DatabaseRole {
    name: String,
    url: String,
    owner_url: String,
}

impl DatabaseRole {
    async fn create(deployment: &TestDeployment) -> Self {
        let owner_url = deployment.config(&[]).database.url.expose().clone();
        // Roles belong to the whole server: named after the database of the test.
        let name = format!("{}_app", owner_url.rsplit('/').next().unwrap());
        connect_as_owner(deployment)
            .await
            .execute_unprepared(&format!("create role {name} login password 'app'"))
            .await
            .unwrap();
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

async fn connect_as_owner(deployment: &TestDeployment) -> Db {
    store::connect(&deployment.config(&[]).database).await.unwrap()
}

#[actix_web::test]
async fn api_and_worker_run_under_a_role_that_owns_nothing() {
    let deployment = TestDeployment::empty().await;
    let role = DatabaseRole::create(&deployment).await;
    let owner = connect_as_owner(&deployment).await;
    let [url, owner_url] = role.settings();
    let settings = [url, owner_url, ("NVISY_EMBEDDING_PROVIDER", "local"), ("NVISY_AUTH_ERASE_SECONDS", "0")];
    // The API migrates an empty database as the owner, and creates the embedding space and its index as the role.
    let mut app = TestApp::start_in(deployment, &settings).await;
    let indexes = app
        .rows("select pg_get_userbyid(relowner)::text as owner from pg_class where relname like 'embedding_hnsw_%'")
        .await;
    assert_eq!(indexes.len(), 1);
    assert_ne!(indexes[0].try_get::<String>("", "owner").unwrap(), role.name);

    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    // Erased by maintenance, which runs when a worker starts.
    let deleted = app.create_workspace(&bob, "Gone").await;
    assert_eq!(app.delete(&bob, &format!("/api/v1/workspaces/{deleted}")).await.status, 204);
    app.post(&bob, "/api/v1/account/deletion", &json!({ "password": PASSWORD })).await.expect(202);
    app.start_worker().await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let accepted =
        app.upload(&ada, &workspace, vec![part("blades.txt", "Divers scrape barnacles from the rotor.")]).await;
    let file = accepted.expect(202)["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.finished_file(&ada, &workspace, &file).await["state"], "ready");
    // As maintenance does.
    let space = app.rows("select id from embedding_space").await[0].try_get("", "id").map(SpaceId).unwrap();
    store::space_index::rebuild(&app.db, space).await.unwrap();
    let search = format!("/api/v1/workspaces/{workspace}/search");
    let found = app.post(&ada, &search, &json!({ "query": "barnacles" })).await.expect(200);
    assert_eq!(found["hits"][0]["file"]["id"], file.as_str());
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}/files/{file}")).await.status, 204);
    for (condition, sql) in [
        ("the account is erased", format!("select from account where id = '{}'", bob.id)),
        ("the workspace is erased", format!("select from workspace where id = '{deleted}'")),
        ("no job is left", "select from job".to_owned()),
    ] {
        wait_until(condition, async || app.rows(&sql).await.is_empty().then_some(())).await;
    }

    assert_changes_are_denied(&app.db, &role.name).await;
    assert!(verify_activity(app.config(), None).await.unwrap().intact);
    let doctor = run("nvisy-api", &["doctor"], &app.deployment, &settings).await;
    let report = text(&doctor.stdout);
    assert!(doctor.status.success(), "{report}");
    let line = report.lines().find(|line| line.starts_with("database role ")).unwrap();
    assert!(line.contains(" ok ") && line.contains(&role.name), "{line}");
    app.stop_then(async |_| role.drop(&owner).await).await;
}

async fn assert_changes_are_denied(db: &Db, role: &str) {
    for (statement, reason) in [
        ("update activity set action = 'file.deleted'", "permission denied for table activity"),
        ("delete from activity", "permission denied for table activity"),
        ("truncate activity", "permission denied for table activity"),
        ("alter table activity disable trigger user", "must be owner of table activity"),
        ("drop trigger activity_append_only on activity", "must be owner of relation activity"),
        ("drop table activity", "must be owner of table activity"),
        ("set session_replication_role = replica", "permission denied to set parameter"),
        ("update activity_chain set seq = seq - 1", "append-only"),
        ("update activity_chain set mac = sha256('another')", "append-only"),
        ("update activity_chain set chain = gen_random_uuid(), seq = seq + 1", "permission denied for table"),
        ("delete from activity_chain", "permission denied for table activity_chain"),
        ("truncate activity_chain", "permission denied for table activity_chain"),
        ("alter table activity_chain disable trigger user", "must be owner of table activity_chain"),
        ("truncate account cascade", "permission denied for table"),
        ("delete from seaql_migrations", "permission denied for table seaql_migrations"),
        ("create table mine (x int)", "permission denied for schema"),
        ("select create_space_index(gen_random_uuid(), 3)", "there is no such embedding space"),
    ] {
        let error = db.execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{role}: {statement}: {error}");
    }
    // It is a member of no other role.
    let other_roles = "select from pg_roles where pg_has_role(rolname, 'member') and rolname <> current_user";
    assert!(db.query_all_raw(store::statement(other_roles)).await.unwrap().is_empty());
}

#[actix_web::test]
async fn unprivileged_role_requires_a_migrated_schema() {
    let deployment = TestDeployment::empty().await;
    let role = DatabaseRole::create(&deployment).await;
    let owner = connect_as_owner(&deployment).await;
    let url = role.settings()[0];
    nvisy_api::cli::keys(deployment.keys().folder(), false).unwrap();
    for name in ["nvisy-api", "nvisy-worker"] {
        assert_single_error(
            &run(name, &[], &deployment, &[url]).await,
            &["may not create the schema", "NVISY_MIGRATION_DATABASE_URL"],
        );
    }
    assert_single_error(
        &run("nvisy-migrate", &["grant", "missing_role"], &deployment, &[]).await,
        &["there is no role `missing_role`"],
    );
    assert_single_error(
        &run("nvisy-migrate", &["grant", "postgres"], &deployment, &[]).await,
        &["`postgres` owns the schema"],
    );
    for arguments in [&["up"][..], &["grant", &role.name]] {
        let output = run("nvisy-migrate", arguments, &deployment, &[]).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    // `grant` revokes excess privileges.
    owner.execute_unprepared(&format!("grant update, truncate on activity to {}", role.name)).await.unwrap();
    let output = run("nvisy-migrate", &["grant", &role.name], &deployment, &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));

    let unreachable = ("NVISY_MIGRATION_DATABASE_URL", "postgres://owner:hunter2@127.0.0.1:9/nvisy");
    let output = run("nvisy-api", &[], &deployment, &[url, unreachable]).await;
    assert_single_error(&output, &["PostgreSQL cannot be reached: NVISY_MIGRATION_DATABASE_URL"]);
    assert!(!text(&output.stderr).contains("hunter2"));

    let app = TestApp::start_in(deployment, &[url]).await;
    let ada = app.create_account("ada").await;
    app.create_workspace(&ada, "Tidal energy").await;
    assert_changes_are_denied(&app.db, &role.name).await;
    app.stop_then(async |_| role.drop(&owner).await).await;
}
