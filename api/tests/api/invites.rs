//! Invites to a workspace, and what invalid codes do not reveal.

use futures::future::join_all;
use nvisy_api::cli::suspend;
use nvisy_shared::domain::account::AccountState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, send};

const UNKNOWN_CODE: &str = "nvisy_invite_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl TestApp {
    async fn invite(&self, by: &TestAccount, workspace: &str, body: &Value) -> TestResponse {
        self.post(by, &format!("/api/v1/workspaces/{workspace}/invites"), body).await
    }

    async fn accept(&self, account: &TestAccount, code: &Value) -> TestResponse {
        self.post(account, "/api/v1/invites/accept", &json!({ "code": code })).await
    }

    async fn decline(&self, account: &TestAccount, code: &Value) -> TestResponse {
        self.post(account, "/api/v1/invites/decline", &json!({ "code": code })).await
    }

    async fn open_invites(&self, by: &TestAccount, workspace: &str) -> Vec<Value> {
        let list = self.get(by, &format!("/api/v1/workspaces/{workspace}/invites")).await.expect(200);
        list["items"].as_array().unwrap().clone()
    }
}

#[actix_web::test]
async fn invite_code_is_accepted_once() {
    let app = TestApp::start().await;
    let [ada, bob, eve] =
        [app.create_account("ada").await, app.create_account("bob").await, app.create_account("eve").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let response = app.invite(&ada, &workspace, &json!({ "role": "member" })).await;
    assert_eq!(response.header("location"), format!("/api/v1/workspaces/{workspace}/invites"));
    let invite = response.expect(201);
    assert_eq!(invite["invitedBy"], ada.id);
    let listed = app.open_invites(&ada, &workspace).await;
    assert_eq!((listed.len(), listed[0].get("code")), (1, None));
    // The code is not stored in the database.
    let code = invite["code"].as_str().unwrap();
    let stored = app.rows("select (select string_agg(i::text, ' ') from invite i) || coalesce((select string_agg(body::text, ' ') from idempotency), '') as all").await;
    assert!(!stored[0].try_get::<String>("", "all").unwrap().contains(&code[13..]));

    let joined = app.accept(&bob, &invite["code"]).await.expect(200);
    assert_eq!((joined["id"].as_str(), joined["role"].as_str()), (Some(workspace.as_str()), Some("member")));
    app.get(&bob, &format!("/api/v1/workspaces/{workspace}")).await.expect(200);
    assert!(app.open_invites(&ada, &workspace).await.is_empty());

    for (account, code) in
        [(&eve, &invite["code"]), (&bob, &invite["code"]), (&eve, &json!(UNKNOWN_CODE)), (&eve, &json!("x"))]
    {
        app.accept(account, code).await.problem(404, "not_found");
        app.decline(account, code).await.problem(404, "not_found");
    }
    app.stop().await;
}

#[actix_web::test]
async fn invite_to_an_email_is_accepted_only_by_that_account() {
    let app = TestApp::start().await;
    let [ada, bob, eve] =
        [app.create_account("ada").await, app.create_account("bob").await, app.create_account("eve").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let invite =
        app.invite(&ada, &workspace, &json!({ "role": "guest", "email": " BOB@Example.org" })).await.expect(201);
    assert_eq!(invite["email"], "bob@example.org");
    app.invite(&ada, &workspace, &json!({ "role": "admin", "email": "bob@example.org" }))
        .await
        .problem(409, "already_invited");

    // For another account the code is indistinguishable from an unknown one.
    let known = app.accept(&eve, &invite["code"]).await.anonymous_problem(404, "not_found");
    let unknown = app.accept(&eve, &json!(UNKNOWN_CODE)).await.anonymous_problem(404, "not_found");
    assert_eq!(known, unknown);
    app.decline(&eve, &invite["code"]).await.problem(404, "not_found");
    app.accept(&bob, &invite["code"]).await.expect(200);

    // A member does not use up an invite.
    let open = app.invite(&ada, &workspace, &json!({ "role": "admin" })).await.expect(201);
    app.accept(&bob, &open["code"]).await.problem(409, "already_member");
    app.accept(&eve, &open["code"]).await.expect(200);
    for body in [
        json!({ "role": "guest", "email": "nobody" }),
        json!({ "role": "guest", "expiresInDays": 31 }),
        json!({ "role": "king" }),
    ] {
        app.invite(&ada, &workspace, &body).await.problem(422, "invalid_body");
    }
    app.stop().await;
}

#[actix_web::test]
async fn declined_cancelled_and_expired_invites_are_rejected() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let create =
        async || app.invite(&ada, &workspace, &json!({ "role": "guest", "email": bob.email })).await.expect(201);

    let declined = create().await;
    assert_eq!(app.decline(&bob, &declined["code"]).await.status, 204);
    app.accept(&bob, &declined["code"]).await.problem(404, "not_found");

    let cancelled = create().await;
    let path = format!("/api/v1/workspaces/{workspace}/invites/{}", cancelled["id"].as_str().unwrap());
    let cancel = || app.request(Method::DELETE, &path).bearer_auth(&ada.token);
    assert_eq!(send(cancel()).await.status, 204);
    send(cancel()).await.problem(404, "not_found");
    app.accept(&bob, &cancelled["code"]).await.problem(404, "not_found");

    let expired = create().await;
    app.sql("update invite set expires_at = now() - interval '1 second'").await;
    app.accept(&bob, &expired["code"]).await.problem(404, "not_found");
    assert!(app.open_invites(&ada, &workspace).await.is_empty());
    // An expired invite does not prevent another one.
    let next = create().await;
    app.accept(&bob, &next["code"]).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn invite_role_is_limited_by_the_inviters_role() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &bob, "admin").await;
    app.invite(&bob, &workspace, &json!({ "role": "owner" })).await.problem(403, "forbidden");
    let own = format!("/api/v1/workspaces/{workspace}/members/{}", bob.id);
    app.patch(&bob, &own, &json!({ "role": "owner" })).await.problem(403, "forbidden");
    let rejected = format!("select from activity where action = 'member.refused' and object_id = '{}'", bob.id);
    assert_eq!(app.rows(&rejected).await.len(), 2);
    let high = app.invite(&ada, &workspace, &json!({ "role": "owner" })).await.expect(201);
    let path = format!("/api/v1/workspaces/{workspace}/invites/{}", high["id"].as_str().unwrap());
    send(app.request(Method::DELETE, &path).bearer_auth(&bob.token)).await.problem(403, "forbidden");

    // Invites that a demoted member could no longer create are cancelled.
    let [admin, guest] = ["admin", "guest"].map(|role| json!({ "role": role }));
    app.invite(&bob, &workspace, &admin).await.expect(201);
    app.invite(&bob, &workspace, &guest).await.expect(201);
    app.sql(&format!("update member set role = 'owner' where account_id = '{}'", bob.id)).await;
    let bobs = app.invite(&bob, &workspace, &json!({ "role": "owner" })).await.expect(201);
    let demote = async |role: &str| {
        let path = format!("/api/v1/workspaces/{workspace}/members/{}", bob.id);
        app.patch(&ada, &path, &json!({ "role": role })).await
    };
    demote("admin").await.expect(200);
    assert_eq!(app.open_invites(&ada, &workspace).await.len(), 3);
    let eve = app.create_account("eve").await;
    app.accept(&eve, &bobs["code"]).await.problem(404, "not_found");
    demote("member").await.expect(200);
    let left = app.open_invites(&ada, &workspace).await;
    assert_eq!((left.len(), &left[0]["id"]), (1, &high["id"]));
    // The log records each cancellation.
    let cancelled =
        "select from activity where action = 'invite.cancelled' and details::json ->> 'reason' = 'role_changed'";
    assert_eq!(app.rows(cancelled).await.len(), 3);
    app.stop().await;
}

#[actix_web::test]
async fn invite_by_a_suspended_account_is_rejected() {
    let app = TestApp::start().await;
    let [ada, bob, eve] =
        [app.create_account("ada").await, app.create_account("bob").await, app.create_account("eve").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    app.add_member(&workspace, &eve, "admin").await;
    let create = async |by: &TestAccount, email: Option<&str>| {
        let body = json!({ "role": "member", "email": email });
        app.invite(by, &workspace, &body).await.expect(201)["code"].take()
    };
    let [open, by_email, declined] =
        [create(&eve, None).await, create(&eve, Some(&bob.email)).await, create(&eve, None).await];
    let adas = create(&ada, None).await;
    suspend(app.config(), &eve.id, AccountState::Suspended).await.unwrap();

    let unknown = app.accept(&bob, &json!(UNKNOWN_CODE)).await.anonymous_problem(404, "not_found");
    for code in [&open, &by_email, &declined] {
        assert_eq!(app.accept(&bob, code).await.anonymous_problem(404, "not_found"), unknown);
    }
    assert_eq!(app.open_invites(&ada, &workspace).await.len(), 4);
    assert_eq!(app.decline(&bob, &declined).await.status, 204);
    let carl = app.create_account("carl").await;
    app.accept(&carl, &adas).await.expect(200);

    suspend(app.config(), &eve.id, AccountState::Active).await.unwrap();
    app.accept(&bob, &by_email).await.expect(200);
    app.accept(&app.create_account("dora").await, &open).await.expect(200);
    app.accept(&app.create_account("emil").await, &declined).await.problem(404, "not_found");
    app.stop().await;
}

#[actix_web::test]
async fn workspace_deletion_cancels_and_records_its_invites() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let other = app.create_workspace(&ada, "Wind").await;
    let other_invite = app.invite(&ada, &other, &json!({ "role": "guest" })).await.expect(201);
    let expired = app.invite(&ada, &workspace, &json!({ "role": "guest" })).await.expect(201);
    let expire = format!(
        "update invite set expires_at = now() - interval '1 second' where id = '{}'",
        expired["id"].as_str().unwrap()
    );
    app.sql(&expire).await;
    let mut invites = Vec::new();
    for role in ["admin", "guest"] {
        invites.push(app.invite(&ada, &workspace, &json!({ "role": role })).await.expect(201));
    }
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}")).await.status, 204);

    app.accept(&bob, &invites[0]["code"]).await.problem(404, "not_found");
    let entries = app
        .rows(&format!(
            "select action, object_id::text as object, account_id::text as account, details from activity
             where chain = '{workspace}' and action in ('workspace.deleted', 'invite.cancelled') order by seq"
        ))
        .await;
    let text = |n: usize, name: &str| entries[n].try_get::<String>("", name).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!((text(0, "action").as_str(), text(0, "object")), ("workspace.deleted", workspace));
    for (n, (invite, role)) in invites.iter().zip(["admin", "guest"]).enumerate() {
        assert_eq!(
            (text(n + 1, "object").as_str(), text(n + 1, "account")),
            (invite["id"].as_str().unwrap(), ada.id.clone())
        );
        let details: Value = serde_json::from_str(&text(n + 1, "details")).unwrap();
        assert_eq!(details, json!({ "role": role, "reason": "workspace_deleted" }));
    }
    // Invites to another workspace remain valid.
    app.accept(&bob, &other_invite["code"]).await.expect(200);
    assert!(nvisy_api::cli::verify_activity(app.config(), None).await.unwrap().intact);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_accepts_admit_one_account() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let mut accounts = Vec::new();
    for n in 0..6 {
        accounts.push(app.create_account(&format!("p{n}")).await);
    }
    for _ in 0..3 {
        let invite = app.invite(&ada, &workspace, &json!({ "role": "guest" })).await.expect(201);
        let responses = join_all(accounts.iter().map(|account| app.accept(account, &invite["code"]))).await;
        let accepted = responses.iter().filter(|response| response.status == 200).count();
        assert_eq!(accepted, 1, "{responses:?}");
        assert!(responses.iter().all(|response| [200, 404].contains(&response.status.as_u16())), "{responses:?}");
        app.sql("delete from member where role = 'guest'").await;
    }
    app.stop().await;
}

#[actix_web::test]
async fn repeated_request_creates_one_invite_and_replays_its_code() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.create_account("ada").await, app.create_account("bob").await];
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let create = async || {
        let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/invites"));
        let request = request.bearer_auth(&ada.token).header("idempotency-key", "k1");
        send(request.json(&json!({ "role": "guest" }))).await
    };
    let first = create().await.expect(201);
    let again = create().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), first);
    assert_eq!(app.open_invites(&ada, &workspace).await.len(), 1);
    app.accept(&bob, &first["code"]).await.expect(200);
    app.stop().await;
}
