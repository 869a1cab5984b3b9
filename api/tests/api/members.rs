//! Who belongs to a workspace, and who may change that.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, send};

impl TestApp {
    async fn change_role(&self, by: &Person, workspace: &str, of: &Person, role: &str) -> Answer {
        let path = format!("/api/v1/workspaces/{workspace}/members/{}", of.id);
        send(self.request(Method::PATCH, &path).bearer_auth(&by.token).json(&json!({ "role": role }))).await
    }

    async fn remove(&self, by: &Person, workspace: &str, of: &Person) -> Answer {
        let path = format!("/api/v1/workspaces/{workspace}/members/{}", of.id);
        send(self.request(Method::DELETE, &path).bearer_auth(&by.token)).await
    }

    async fn leave(&self, person: &Person, workspace: &str) -> Answer {
        let path = format!("/api/v1/workspaces/{workspace}/leave");
        send(self.request(Method::POST, &path).bearer_auth(&person.token)).await
    }

    async fn role_of(&self, by: &Person, workspace: &str, of: &Person) -> String {
        let member = self.get(by, &format!("/api/v1/workspaces/{workspace}/members/{}", of.id)).await.expect(200);
        member["role"].as_str().unwrap().to_owned()
    }

    /// How many owners a workspace has.
    async fn owners(&self, workspace: &str) -> usize {
        self.rows(&format!("select from member where workspace_id = '{workspace}' and role = 'owner'")).await.len()
    }
}

async fn people<const N: usize>(app: &TestApp, names: [&str; N]) -> [Person; N] {
    let mut people = Vec::new();
    for name in names {
        people.push(app.person(name).await);
    }
    people.try_into().ok().unwrap()
}

#[actix_web::test]
async fn members_are_listed_read_changed_and_removed() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = people(&app, ["ada", "bob", "eve"]).await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &bob, "guest").await;
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
    // At once: the token is as good as it was, the workspace is not there.
    app.get(&bob, &format!("/api/v1/workspaces/{workspace}")).await.problem(404, "not_found");
    app.remove(&ada, &workspace, &bob).await.problem(404, "not_found");
    app.stop().await;
}

#[actix_web::test]
async fn role_changes_are_limited_by_the_callers_role() {
    let app = TestApp::start().await;
    let [ada, bob, grace, joan] = people(&app, ["ada", "bob", "grace", "joan"]).await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &bob, "admin").await;
    app.enrol(&workspace, &grace, "admin").await;
    app.enrol(&workspace, &joan, "member").await;

    app.change_role(&bob, &workspace, &joan, "owner").await.problem(403, "forbidden");
    app.change_role(&bob, &workspace, &bob, "owner").await.problem(403, "forbidden");
    app.change_role(&bob, &workspace, &ada, "guest").await.problem(403, "forbidden");
    app.remove(&bob, &workspace, &ada).await.problem(403, "forbidden");
    app.change_role(&joan, &workspace, &joan, "admin").await.problem(403, "forbidden");
    assert_eq!(app.owners(&workspace).await, 1);

    // Up to their own they may.
    app.change_role(&bob, &workspace, &joan, "admin").await.expect(200);
    app.change_role(&bob, &workspace, &grace, "member").await.expect(200);
    assert_eq!(app.remove(&bob, &workspace, &joan).await.status, 204);
    // And may not any more once it is taken from them.
    app.change_role(&ada, &workspace, &bob, "guest").await.expect(200);
    app.change_role(&bob, &workspace, &grace, "guest").await.problem(403, "forbidden");
    app.stop().await;
}

#[actix_web::test]
async fn last_owner_cannot_leave_be_demoted_or_removed() {
    let app = TestApp::start().await;
    let [ada, bob] = people(&app, ["ada", "bob"]).await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &bob, "admin").await;
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
    let owners = people(&app, ["a1", "a2", "a3", "a4"]).await;
    for round in 0..6 {
        let workspace = app.workspace(&owners[0], "Tidal energy").await;
        for owner in &owners[1..] {
            app.enrol(&workspace, owner, "owner").await;
        }
        let answers = join_all(owners.iter().enumerate().map(|(n, owner)| {
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
        let refused: Vec<_> = answers.iter().filter(|answer| !answer.status.is_success()).collect();
        assert_eq!(refused.len(), 1, "{answers:?}");
        assert!(refused[0].text.contains("last_owner"), "{refused:?}");
        assert_eq!(app.owners(&workspace).await, 1);
    }
    // Two who demote each other: whoever comes second is not an owner any more, or demotes nobody.
    let [ada, bob] = [&owners[0], &owners[1]];
    for _ in 0..6 {
        let workspace = app.workspace(ada, "Tidal energy").await;
        app.enrol(&workspace, bob, "owner").await;
        let (one, other) = futures::join!(
            app.change_role(ada, &workspace, bob, "guest"),
            app.change_role(bob, &workspace, ada, "guest")
        );
        assert!(one.status.is_success() != other.status.is_success(), "{one:?} {other:?}");
        assert_eq!(app.owners(&workspace).await, 1);
    }
    app.stop().await;
}

#[actix_web::test]
async fn workspace_is_transferred_to_a_member() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = people(&app, ["ada", "bob", "eve"]).await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &bob, "member").await;
    let path = format!("/api/v1/workspaces/{workspace}/transfer");
    let to = |person: &Person| json!({ "accountId": person.id });
    let problem = app.post(&ada, &path, &to(&ada)).await.problem(422, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "accountId");
    app.post(&ada, &path, &to(&eve)).await.problem(404, "not_found");
    app.post(&bob, &path, &to(&bob)).await.problem(403, "forbidden");
    assert_eq!(app.post(&ada, &path, &to(&bob)).await.expect(200)["role"], "admin");
    assert_eq!(app.role_of(&ada, &workspace, &bob).await, "owner");
    assert_eq!(app.owners(&workspace).await, 1);
    app.post(&ada, &path, &to(&ada)).await.problem(403, "forbidden");

    let log = app.get(&bob, &format!("/api/v1/workspaces/{workspace}/activities")).await.expect(200);
    let types: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["member.role_changed", "member.role_changed", "workspace.transferred", "workspace.created"]);
    assert_eq!(log["items"][1]["details"], json!({ "from": "member", "to": "owner" }));
    app.stop().await;
}
