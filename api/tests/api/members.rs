//! The members of a workspace, and who can change them.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, send};

impl TestApp {
    async fn change_role(&self, by: &TestAccount, workspace: &str, of: &TestAccount, role: &str) -> TestResponse {
        let path = format!("/api/v1/workspaces/{workspace}/members/{}", of.id);
        self.patch(by, &path, &json!({ "role": role })).await
    }

    async fn remove(&self, by: &TestAccount, workspace: &str, of: &TestAccount) -> TestResponse {
        let path = format!("/api/v1/workspaces/{workspace}/members/{}", of.id);
        send(self.request(Method::DELETE, &path).bearer_auth(&by.token)).await
    }

    async fn leave(&self, account: &TestAccount, workspace: &str) -> TestResponse {
        let path = format!("/api/v1/workspaces/{workspace}/leave");
        send(self.request(Method::POST, &path).bearer_auth(&account.token)).await
    }

    async fn role_of(&self, by: &TestAccount, workspace: &str, of: &TestAccount) -> String {
        let member = self.get(by, &format!("/api/v1/workspaces/{workspace}/members/{}", of.id)).await.expect(200);
        member["role"].as_str().unwrap().to_owned()
    }

    async fn owner_count(&self, workspace: &str) -> usize {
        self.rows(&format!("select from member where workspace_id = '{workspace}' and role = 'owner'")).await.len()
    }
}

async fn create_accounts<const N: usize>(app: &TestApp, names: [&str; N]) -> [TestAccount; N] {
    let mut accounts = Vec::new();
    for name in names {
        accounts.push(app.create_account(name).await);
    }
    accounts.try_into().ok().unwrap()
}

#[actix_web::test]
async fn members_are_listed_read_changed_and_removed() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = create_accounts(&app, ["ada", "bob", "eve"]).await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "guest").await;
    let path = format!("/api/v1/workspaces/{workspace}/members");

    let mut seen: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&ada, &format!("{path}?limit=1{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let names: Vec<_> = seen.iter().map(|member| (member["displayName"].as_str(), member["role"].as_str())).collect();
    assert_eq!(names, [(Some("ada"), Some("owner")), (Some("bob"), Some("guest"))]);
    assert_eq!(app.get(&ada, &format!("{path}/{}", bob.id)).await.expect(200), seen[1]);
    app.get(&ada, &format!("{path}/{}", eve.id)).await.problem(404, "not_found");

    assert_eq!(app.change_role(&ada, &workspace, &bob, "member").await.expect(200)["role"], "member");
    assert_eq!(app.role_of(&bob, &workspace, &ada).await, "owner");
    app.change_role(&ada, &workspace, &eve, "member").await.problem(404, "not_found");
    app.change_role(&ada, &workspace, &bob, "king").await.problem(422, "invalid_body");

    assert_eq!(app.remove(&ada, &workspace, &bob).await.status, 204);
    // The removal takes effect at the next request.
    app.get(&bob, &format!("/api/v1/workspaces/{workspace}")).await.problem(404, "not_found");
    app.remove(&ada, &workspace, &bob).await.problem(404, "not_found");
    app.stop().await;
}

#[actix_web::test]
async fn role_changes_are_limited_by_the_callers_role() {
    let app = TestApp::start().await;
    let [ada, bob, grace, joan] = create_accounts(&app, ["ada", "bob", "grace", "joan"]).await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "admin").await;
    app.add_member(&workspace, &grace, "admin").await;
    app.add_member(&workspace, &joan, "member").await;

    app.change_role(&bob, &workspace, &joan, "owner").await.problem(403, "forbidden");
    app.change_role(&bob, &workspace, &bob, "owner").await.problem(403, "forbidden");
    app.change_role(&bob, &workspace, &ada, "guest").await.problem(403, "forbidden");
    app.remove(&bob, &workspace, &ada).await.problem(403, "forbidden");
    app.change_role(&joan, &workspace, &joan, "admin").await.problem(403, "forbidden");
    assert_eq!(app.owner_count(&workspace).await, 1);

    // Roles up to their own are allowed.
    app.change_role(&bob, &workspace, &joan, "admin").await.expect(200);
    app.change_role(&bob, &workspace, &grace, "member").await.expect(200);
    assert_eq!(app.remove(&bob, &workspace, &joan).await.status, 204);
    // A demotion takes effect at the next request.
    app.change_role(&ada, &workspace, &bob, "guest").await.expect(200);
    app.change_role(&bob, &workspace, &grace, "guest").await.problem(403, "forbidden");
    app.stop().await;
}

#[actix_web::test]
async fn last_owner_cannot_leave_be_demoted_or_removed() {
    let app = TestApp::start().await;
    let [ada, bob] = create_accounts(&app, ["ada", "bob"]).await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "admin").await;
    app.leave(&ada, &workspace).await.problem(409, "last_owner");
    app.change_role(&ada, &workspace, &ada, "admin").await.problem(409, "last_owner");
    app.remove(&ada, &workspace, &ada).await.problem(409, "last_owner");
    app.change_role(&ada, &workspace, &bob, "owner").await.expect(200);
    assert_eq!(app.leave(&ada, &workspace).await.status, 204);
    app.leave(&ada, &workspace).await.problem(404, "not_found");
    app.leave(&bob, &workspace).await.problem(409, "last_owner");
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_leaves_keep_one_owner() {
    let app = TestApp::start().await;
    let owners = create_accounts(&app, ["a1", "a2", "a3", "a4"]).await;
    for round in 0..6 {
        let workspace = app.create_workspace(&owners[0], "Tidal energy").await;
        for owner in &owners[1..] {
            app.add_member(&workspace, owner, "owner").await;
        }
        let responses = join_all(owners.iter().enumerate().map(|(n, owner)| {
            let (app, workspace) = (&app, &workspace);
            async move {
                match (round + n) % 3 {
                    0 => app.leave(owner, workspace).await,
                    1 => app.change_role(owner, workspace, owner, "member").await,
                    _ => app.remove(owner, workspace, owner).await,
                }
            }
        }))
        .await;
        let rejected: Vec<_> = responses.iter().filter(|response| !response.status.is_success()).collect();
        assert_eq!(rejected.len(), 1, "{responses:?}");
        assert!(rejected[0].text.contains("last_owner"), "{rejected:?}");
        assert_eq!(app.owner_count(&workspace).await, 1);
    }
    // Of two owners who demote each other at the same time, one remains owner.
    let [ada, bob] = [&owners[0], &owners[1]];
    for _ in 0..6 {
        let workspace = app.create_workspace(ada, "Tidal energy").await;
        app.add_member(&workspace, bob, "owner").await;
        let (one, other) = futures::join!(
            app.change_role(ada, &workspace, bob, "guest"),
            app.change_role(bob, &workspace, ada, "guest")
        );
        assert!(one.status.is_success() != other.status.is_success(), "{one:?} {other:?}");
        assert_eq!(app.owner_count(&workspace).await, 1);
    }
    app.stop().await;
}

#[actix_web::test]
async fn workspace_is_transferred_to_a_member() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = create_accounts(&app, ["ada", "bob", "eve"]).await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "member").await;
    let path = format!("/api/v1/workspaces/{workspace}/transfer");
    let to = |account: &TestAccount| json!({ "accountId": account.id });
    let problem = app.post(&ada, &path, &to(&ada)).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "accountId");
    app.post(&ada, &path, &to(&eve)).await.problem(404, "not_found");
    app.post(&bob, &path, &to(&bob)).await.problem(403, "forbidden");
    assert_eq!(app.post(&ada, &path, &to(&bob)).await.expect(200)["role"], "admin");
    assert_eq!(app.role_of(&ada, &workspace, &bob).await, "owner");
    assert_eq!(app.owner_count(&workspace).await, 1);
    app.post(&ada, &path, &to(&ada)).await.problem(403, "forbidden");

    let log = app.get(&bob, &format!("/api/v1/workspaces/{workspace}/activities")).await.expect(200);
    let types: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["member.role_changed", "member.role_changed", "workspace.transferred", "workspace.created"]);
    assert_eq!(log["items"][1]["details"], json!({ "from": "member", "to": "owner" }));
    app.stop().await;
}
