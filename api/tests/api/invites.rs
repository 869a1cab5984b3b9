//! Asking people into a workspace, and what strangers learn from trying.

use futures::future::join_all;
use nvisy_api::command::suspend;
use nvisy_shared::domain::account::AccountState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp, send};

const NOBODYS: &str = "nvisy_invite_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl TestApp {
    async fn invite(&self, by: &Person, workspace: &str, body: &Value) -> Answer {
        self.post(by, &format!("/api/v1/workspaces/{workspace}/invites"), body).await
    }

    async fn accept(&self, person: &Person, code: &Value) -> Answer {
        self.post(person, "/api/v1/invites/accept", &json!({ "code": code })).await
    }

    async fn decline(&self, person: &Person, code: &Value) -> Answer {
        self.post(person, "/api/v1/invites/decline", &json!({ "code": code })).await
    }

    async fn standing(&self, by: &Person, workspace: &str) -> Vec<Value> {
        let list = self.get(by, &format!("/api/v1/workspaces/{workspace}/invites")).await.expect(200);
        list["items"].as_array().unwrap().clone()
    }
}

#[actix_web::test]
async fn invite_code_is_accepted_once() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = [app.person("ada").await, app.person("bob").await, app.person("eve").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let answer = app.invite(&ada, &workspace, &json!({ "role": "member" })).await;
    assert_eq!(answer.header("location"), format!("/api/v1/workspaces/{workspace}/invites"));
    let invite = answer.expect(201);
    assert_eq!(invite["invitedBy"], ada.id);
    let listed = app.standing(&ada, &workspace).await;
    assert_eq!((listed.len(), listed[0].get("code")), (1, None));
    // The code is nowhere in the database.
    let code = invite["code"].as_str().unwrap();
    let stored = app.rows("select (select string_agg(i::text, ' ') from invite i) || coalesce((select string_agg(body::text, ' ') from idempotency), '') as all").await;
    assert!(!stored[0].try_get::<String>("", "all").unwrap().contains(&code[13..]));

    let joined = app.accept(&bob, &invite["code"]).await.expect(200);
    assert_eq!((joined["id"].as_str(), joined["role"].as_str()), (Some(workspace.as_str()), Some("member")));
    app.get(&bob, &format!("/api/v1/workspaces/{workspace}")).await.expect(200);
    assert!(app.standing(&ada, &workspace).await.is_empty());

    for (person, code) in
        [(&eve, &invite["code"]), (&bob, &invite["code"]), (&eve, &json!(NOBODYS)), (&eve, &json!("x"))]
    {
        app.accept(person, code).await.problem(404, "not_found");
        app.decline(person, code).await.problem(404, "not_found");
    }
    app.stop().await;
}

#[actix_web::test]
async fn invite_to_an_email_is_accepted_only_by_that_account() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = [app.person("ada").await, app.person("bob").await, app.person("eve").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let invite =
        app.invite(&ada, &workspace, &json!({ "role": "guest", "email": " BOB@Example.org" })).await.expect(201);
    assert_eq!(invite["email"], "bob@example.org");
    app.invite(&ada, &workspace, &json!({ "role": "admin", "email": "bob@example.org" }))
        .await
        .problem(409, "already_invited");

    // Somebody else with the code learns as much as with a code of nothing.
    let mut known = app.accept(&eve, &invite["code"]).await.problem(404, "not_found");
    let mut unknown = app.accept(&eve, &json!(NOBODYS)).await.problem(404, "not_found");
    known["requestId"].take();
    unknown["requestId"].take();
    assert_eq!(known, unknown);
    app.decline(&eve, &invite["code"]).await.problem(404, "not_found");
    app.accept(&bob, &invite["code"]).await.expect(200);

    // Somebody who is a member already uses up no invite.
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
    let [ada, bob] = [app.person("ada").await, app.person("bob").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let make = async || app.invite(&ada, &workspace, &json!({ "role": "guest", "email": bob.email })).await.expect(201);

    let declined = make().await;
    assert_eq!(app.decline(&bob, &declined["code"]).await.status, 204);
    app.accept(&bob, &declined["code"]).await.problem(404, "not_found");

    let cancelled = make().await;
    let path = format!("/api/v1/workspaces/{workspace}/invites/{}", cancelled["id"].as_str().unwrap());
    let cancel = || app.request(Method::DELETE, &path).bearer_auth(&ada.token);
    assert_eq!(send(cancel()).await.status, 204);
    send(cancel()).await.problem(404, "not_found");
    app.accept(&bob, &cancelled["code"]).await.problem(404, "not_found");

    let expired = make().await;
    app.sql("update invite set expires_at = now() - interval '1 second'").await;
    app.accept(&bob, &expired["code"]).await.problem(404, "not_found");
    assert!(app.standing(&ada, &workspace).await.is_empty());
    // It does not stand in the way of the next.
    let next = make().await;
    app.accept(&bob, &next["code"]).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn invite_role_is_limited_by_the_inviters_role() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.person("ada").await, app.person("bob").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &bob, "admin").await;
    app.invite(&bob, &workspace, &json!({ "role": "owner" })).await.problem(403, "forbidden");
    let own = format!("/api/v1/workspaces/{workspace}/members/{}", bob.id);
    let raise = app.request(Method::PATCH, &own).bearer_auth(&bob.token).json(&json!({ "role": "owner" }));
    send(raise).await.problem(403, "forbidden");
    let refused = format!("select from activity where action = 'member.refused' and object_id = '{}'", bob.id);
    assert_eq!(app.rows(&refused).await.len(), 2);
    let high = app.invite(&ada, &workspace, &json!({ "role": "owner" })).await.expect(201);
    let path = format!("/api/v1/workspaces/{workspace}/invites/{}", high["id"].as_str().unwrap());
    send(app.request(Method::DELETE, &path).bearer_auth(&bob.token)).await.problem(403, "forbidden");

    // What somebody may not make any more, they have not made.
    let [admin, guest] = ["admin", "guest"].map(|role| json!({ "role": role }));
    app.invite(&bob, &workspace, &admin).await.expect(201);
    app.invite(&bob, &workspace, &guest).await.expect(201);
    app.sql(&format!("update member set role = 'owner' where account_id = '{}'", bob.id)).await;
    let bobs = app.invite(&bob, &workspace, &json!({ "role": "owner" })).await.expect(201);
    let demote = |role: &str| {
        let path = format!("/api/v1/workspaces/{workspace}/members/{}", bob.id);
        send(app.request(Method::PATCH, &path).bearer_auth(&ada.token).json(&json!({ "role": role })))
    };
    demote("admin").await.expect(200);
    assert_eq!(app.standing(&ada, &workspace).await.len(), 3);
    let eve = app.person("eve").await;
    app.accept(&eve, &bobs["code"]).await.problem(404, "not_found");
    demote("member").await.expect(200);
    let left = app.standing(&ada, &workspace).await;
    assert_eq!((left.len(), &left[0]["id"]), (1, &high["id"]));
    // The log says what became of each.
    let cancelled =
        "select from activity where action = 'invite.cancelled' and details::json ->> 'reason' = 'role_changed'";
    assert_eq!(app.rows(cancelled).await.len(), 3);
    app.stop().await;
}

#[actix_web::test]
async fn invite_by_a_suspended_account_is_rejected() {
    let app = TestApp::start().await;
    let [ada, bob, eve] = [app.person("ada").await, app.person("bob").await, app.person("eve").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    app.enrol(&workspace, &eve, "admin").await;
    let made = async |by: &Person, email: Option<&str>| {
        let body = json!({ "role": "member", "email": email });
        app.invite(by, &workspace, &body).await.expect(201)["code"].take()
    };
    let [open, by_address, unwanted] =
        [made(&eve, None).await, made(&eve, Some(&bob.email)).await, made(&eve, None).await];
    let others = made(&ada, None).await;
    suspend(app.config(), &eve.id, AccountState::Suspended).await.unwrap();

    let without_request_id = |mut problem: Value| {
        problem["requestId"].take();
        problem
    };
    let unknown = without_request_id(app.accept(&bob, &json!(NOBODYS)).await.problem(404, "not_found"));
    for code in [&open, &by_address, &unwanted] {
        let problem = app.accept(&bob, code).await.problem(404, "not_found");
        assert_eq!(without_request_id(problem), unknown);
    }
    assert_eq!(app.standing(&ada, &workspace).await.len(), 4);
    assert_eq!(app.decline(&bob, &unwanted).await.status, 204);
    let carl = app.person("carl").await;
    app.accept(&carl, &others).await.expect(200);

    suspend(app.config(), &eve.id, AccountState::Active).await.unwrap();
    app.accept(&bob, &by_address).await.expect(200);
    app.accept(&app.person("dora").await, &open).await.expect(200);
    app.accept(&app.person("emil").await, &unwanted).await.problem(404, "not_found");
    app.stop().await;
}

#[actix_web::test]
async fn workspace_deletion_cancels_and_records_its_invites() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.person("ada").await, app.person("bob").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let other = app.workspace(&ada, "Wind").await;
    let elsewhere = app.invite(&ada, &other, &json!({ "role": "guest" })).await.expect(201);
    let expired = app.invite(&ada, &workspace, &json!({ "role": "guest" })).await.expect(201);
    let expire = format!(
        "update invite set expires_at = now() - interval '1 second' where id = '{}'",
        expired["id"].as_str().unwrap()
    );
    app.sql(&expire).await;
    let mut standing = Vec::new();
    for role in ["admin", "guest"] {
        standing.push(app.invite(&ada, &workspace, &json!({ "role": role })).await.expect(201));
    }
    assert_eq!(app.delete(&ada, &format!("/api/v1/workspaces/{workspace}")).await.status, 204);

    app.accept(&bob, &standing[0]["code"]).await.problem(404, "not_found");
    let entries = app
        .rows(&format!(
            "select action, object_id::text as object, account_id::text as account, details from activity
             where chain = '{workspace}' and action in ('workspace.deleted', 'invite.cancelled') order by seq"
        ))
        .await;
    let text = |n: usize, name: &str| entries[n].try_get::<String>("", name).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!((text(0, "action").as_str(), text(0, "object")), ("workspace.deleted", workspace));
    for (n, (invite, role)) in standing.iter().zip(["admin", "guest"]).enumerate() {
        assert_eq!(
            (text(n + 1, "object").as_str(), text(n + 1, "account")),
            (invite["id"].as_str().unwrap(), ada.id.clone())
        );
        let details: Value = serde_json::from_str(&text(n + 1, "details")).unwrap();
        assert_eq!(details, json!({ "role": role, "reason": "workspace_deleted" }));
    }
    // Those to another are good.
    app.accept(&bob, &elsewhere["code"]).await.expect(200);
    assert!(nvisy_api::command::verify_activity(app.config(), None).await.unwrap().intact);
    app.stop().await;
}

#[actix_web::test]
async fn concurrent_accepts_admit_one_account() {
    let app = TestApp::start().await;
    let ada = app.person("ada").await;
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let mut people = Vec::new();
    for n in 0..6 {
        people.push(app.person(&format!("p{n}")).await);
    }
    for _ in 0..3 {
        let invite = app.invite(&ada, &workspace, &json!({ "role": "guest" })).await.expect(201);
        let answers = join_all(people.iter().map(|person| app.accept(person, &invite["code"]))).await;
        let accepted = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(accepted, 1, "{answers:?}");
        assert!(answers.iter().all(|answer| [200, 404].contains(&answer.status.as_u16())), "{answers:?}");
        app.sql("delete from member where role = 'guest'").await;
    }
    app.stop().await;
}

#[actix_web::test]
async fn repeated_request_creates_one_invite_and_replays_its_code() {
    let app = TestApp::start().await;
    let [ada, bob] = [app.person("ada").await, app.person("bob").await];
    let workspace = app.workspace(&ada, "Tidal energy").await;
    let make = async || {
        let request = app.request(Method::POST, &format!("/api/v1/workspaces/{workspace}/invites"));
        let request = request.bearer_auth(&ada.token).header("idempotency-key", "k1");
        send(request.json(&json!({ "role": "guest" }))).await
    };
    let first = make().await.expect(201);
    let again = make().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), first);
    assert_eq!(app.standing(&ada, &workspace).await.len(), 1);
    app.accept(&bob, &first["code"]).await.expect(200);
    app.stop().await;
}
