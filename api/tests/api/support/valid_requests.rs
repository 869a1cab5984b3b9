//! A request that succeeds for every operation within a workspace. A documented operation without one here fails the tests.

use nvisy_shared::pipeline::builtin;
use reqwest::{Method, RequestBuilder, multipart::Form};
use serde_json::{Value, json};

use super::{Operation, TestAccount, TestApp, part};

/// A workspace with a member, a file, an invite, a collection, a snapshot, synonyms, an enabled pipeline, and a run with a failed
/// item.
pub struct WorkspaceFixture {
    pub member: TestAccount,
    pub workspace: String,
    pub file: String,
    pub invite: String,
    pub pipeline: String,
    pub run: String,
    pub item: String,
    pub artifact: String,
    pub collection: String,
    pub connection: String,
    /// A connection that computes embeddings.
    pub embedding_connection: String,
    /// A collection with a second space.
    pub moving_collection: String,
    pub snapshot: String,
    pub query_set: String,
    /// An evaluation that is done.
    pub evaluation: String,
}

impl WorkspaceFixture {
    pub async fn new(app: &TestApp, owner: &TestAccount, member: &TestAccount) -> Self {
        let workspace = app.create_workspace(owner, "Tidal energy").await;
        app.add_member(&workspace, member, "member").await;
        let accepted = app.upload(owner, &workspace, vec![part("a.txt", "tide")]).await.expect(202);
        let path = format!("/api/v1/workspaces/{workspace}/invites");
        let invite = app.post(owner, &path, &json!({ "role": "guest" })).await.expect(201);
        let pipeline = json!({ "name": "Reports", "definition": builtin::definition(None, 0) });
        let path = format!("/api/v1/workspaces/{workspace}/pipelines");
        let pipeline = app.post(owner, &path, &pipeline).await.expect(201);
        let path = format!("/api/v1/workspaces/{workspace}/collections");
        let collection = app.post(owner, &path, &json!({ "name": "reports" })).await.expect(201);
        let moving = app.post(owner, &path, &json!({ "name": "moving" })).await.expect(201);
        let path = format!("/api/v1/workspaces/{workspace}/connections");
        let settings = json!({ "model": "m", "dimensions": 3, "baseUrl": "http://127.0.0.1:9/v1" });
        let embedding = json!({ "name": "vectors", "provider": "openai-embeddings", "settings": settings });
        let embedding = app.post(owner, &path, &embedding).await.expect(201);
        let settings = json!({ "model": "m", "baseUrl": "http://127.0.0.1:9/v1" });
        let connection = json!({ "name": "model", "provider": "openai", "settings": settings });
        let connection = app.post(owner, &path, &connection).await.expect(201);
        let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
        let (file, invite) = (id(&accepted["items"][0]), id(&invite));
        let (pipeline, collection, connection) = (id(&pipeline), id(&collection), id(&connection));
        let path = format!("/api/v1/workspaces/{workspace}/pipelines/{pipeline}");
        app.patch(owner, &path, &json!({ "state": "enabled" })).await.expect(200);
        let runs = format!("/api/v1/workspaces/{workspace}/runs");
        let run = id(&app.get(owner, &runs).await.expect(200)["items"][0]);
        let item = id(&app.get(owner, &format!("{runs}/{run}/items")).await.expect(200)["items"][0]);
        let artifact = fail_with_artifact(app, &item).await;
        add_vector(app, &file).await;
        let (embedding_connection, moving_collection) = (id(&embedding), id(&moving));
        let path = format!("/api/v1/workspaces/{workspace}/collections/moving/second-space");
        app.post(owner, &path, &json!({ "connection": embedding_connection })).await.expect(201);
        let path = format!("/api/v1/workspaces/{workspace}/snapshots");
        let snapshot = id(&app.post(owner, &path, &json!({ "name": "before" })).await.expect(201));
        let synonyms = json!({ "sets": [{ "from": ["tide"], "to": ["flow"] }] });
        app.put(owner, &format!("/api/v1/workspaces/{workspace}/synonyms"), &synonyms).await.expect(200);
        let (query_set, evaluation) = add_evaluation(app, owner, &workspace, &file).await;
        Self {
            member: member.clone(),
            workspace,
            file,
            invite,
            pipeline,
            run,
            item,
            artifact,
            collection,
            connection,
            embedding_connection,
            moving_collection,
            snapshot,
            query_set,
            evaluation,
        }
    }

    /// The value of a path parameter, which is in braces.
    pub fn id(&self, parameter: &str) -> Option<&str> {
        Some(match parameter {
            "{ws}" => &self.workspace,
            // A file with a passage, which has the same id.
            "{file}" | "{chunk}" => &self.file,
            "{account}" => &self.member.id,
            "{invite}" => &self.invite,
            "{pipeline}" => &self.pipeline,
            "{run}" => &self.run,
            "{item}" => &self.item,
            "{artifact}" => &self.artifact,
            "{collection}" => &self.collection,
            "{connection}" => &self.connection,
            "{snapshot}" => &self.snapshot,
            "{set}" => &self.query_set,
            "{evaluation}" | "{other}" => &self.evaluation,
            "{version}" => "1",
            _ => return None,
        })
    }
}

/// Fails an item as a worker would have, with an output; returns the id of that.
async fn fail_with_artifact(app: &TestApp, item: &str) -> String {
    let artifact = nvisy_shared::id::new().to_string();
    let outputs = json!([[0, 0, 0, { "artifact": artifact, "elements": 1, "key": "00".repeat(32) }]]);
    app.sql(&format!(
        "insert into artifact (workspace_id, id, file_id, version_id, key, node_type, flow, elements)
             select workspace_id, '{artifact}', file_id, version_id, sha256('a'), 'source.files', 'records', 1
             from run_item where id = '{item}';
         insert into artifact_part (workspace_id, artifact_id, first, elements, data)
             select workspace_id, id, 0, 1, convert_to('[{{\"tide\": 1}}]', 'UTF8') from artifact where id = '{artifact}';
         update run_item set state = 'failed', failure_code = 'corrupt', failure_detail = 'broken', failure_node = 'read',
             failure_attempt = 1, progress = jsonb_set(progress, '{{outputs}}', '{outputs}') where id = '{item}'"
    ))
    .await;
    artifact
}

/// Adds a judged query, and an evaluation that ends as a worker would have ended it.
async fn add_evaluation(app: &TestApp, owner: &TestAccount, workspace: &str, file: &str) -> (String, String) {
    let path = format!("/api/v1/workspaces/{workspace}/query-sets");
    let set = app.post(owner, &path, &json!({ "name": "Questions" })).await.expect(201);
    let path = format!("{path}/{}", set["id"].as_str().unwrap());
    app.put(owner, &format!("{path}/judgements"), &json!({ "query": "tide", "file": file, "grade": 2 }))
        .await
        .expect(200);
    let evaluation = app.post(owner, &format!("{path}/evaluations"), &json!({})).await.expect(202);
    let metrics = json!({ "mean": null, "measured": 0, "skipped": 0, "unresolved": 0 });
    let evaluation = evaluation["id"].as_str().unwrap().to_owned();
    app.sql(&format!(
        "update evaluation set state = 'done', ended_at = now(), metrics = '{metrics}' where id = '{evaluation}'"
    ))
    .await;
    (set["id"].as_str().unwrap().to_owned(), evaluation)
}

/// Operations on a second space that exists.
const EXISTING_SECOND_SPACE: [&str; 5] =
    ["readSecondSpace", "updateSecondSpace", "exchangeSpaces", "compareSpaces", "deleteSecondSpace"];

/// Gives a file a passage with a vector in the collection `default`, as a worker would have.
async fn add_vector(app: &TestApp, file: &str) {
    app.sql(&format!(
        "insert into target (workspace_id, id, collection_id, node, file_id, version_id, live, chunk_count, vector_count)
             select f.workspace_id, f.id, k.id, 'index', f.id, v.id, true, 1, 1
             from file f
             join file_version v on v.workspace_id = f.workspace_id and v.file_id = f.id
             join collection k on k.workspace_id = f.workspace_id and k.name = 'default'
             where f.id = '{file}';
         insert into chunk (workspace_id, id, target_id, file_id, version_id, ordinal, text, start_byte, end_byte, tokens)
             select workspace_id, id, id, file_id, version_id, 0, 'tide', 0, 4, 1 from target where id = '{file}';
         update collection set space_id = (select id from embedding_space order by id limit 1)
             where id = (select collection_id from target where id = '{file}');
         insert into embedding (workspace_id, space_id, target_id, chunk_id, input_hash, vector)
             select c.workspace_id, s.id, c.id, c.id, c.id, array_fill(1::real, array[s.dimensions])::vector::halfvec
             from chunk c join embedding_space s on s.id = (select id from embedding_space order by id limit 1)
             where c.id = '{file}'"
    ))
    .await;
}

#[derive(Clone, Debug)]
pub enum Body {
    None,
    Json(Value),
    Upload,
}

impl Operation {
    /// A body with which the operation succeeds.
    pub fn valid_body(&self, fixture: &WorkspaceFixture) -> Body {
        match (self.id.as_str(), &self.method) {
            ("uploadFiles", _) => Body::Upload,
            ("updateFile", _) => Body::Json(json!({ "tags": ["manual"] })),
            ("search", _) => {
                Body::Json(json!({ "query": "tide", "mode": "text", "collections": [fixture.collection] }))
            }
            ("searchBatch", _) => Body::Json(json!({ "searches": [{ "query": "tide", "mode": "text" }] })),
            ("searchSimilar", _) => Body::Json(json!({ "file": fixture.file })),
            ("createCollection", _) => Body::Json(json!({ "name": "contracts" })),
            ("updateCollection", _) => Body::Json(json!({ "name": "contracts" })),
            ("updateChunk", _) => Body::Json(json!({ "disabled": true })),
            ("createSecondSpace" | "estimateSecondSpace", _) => {
                Body::Json(json!({ "connection": fixture.embedding_connection }))
            }
            ("compareSpaces", _) => Body::Json(json!({ "limit": 10 })),
            ("updateSecondSpace", _) => Body::Json(json!({ "state": "paused" })),
            ("createSnapshot", _) => Body::Json(json!({ "name": "after" })),
            ("replaceSynonyms", _) => Body::Json(json!({ "sets": [{ "words": ["ebb", "low tide"] }] })),
            ("createQuerySet", _) => Body::Json(json!({ "name": "Other questions" })),
            ("importQueries", _) => Body::Json(json!({ "jsonl": r#"{"query":"ebb"}"# })),
            ("judgeHit", _) => Body::Json(json!({ "query": "tide", "file": fixture.file, "grade": 3 })),
            ("startEvaluation", _) => Body::Json(json!({ "settings": { "mode": "text" } })),
            ("createConnection", _) => Body::Json(json!({
                "name": "other", "provider": "openai", "settings": { "model": "m" }, "credentials": { "apiKey": "hunter2" },
            })),
            ("updateConnection", _) => Body::Json(json!({ "enabled": false })),
            ("checkConnection" | "discoverConnection" | "browseConnection", _) => {
                Body::Json(json!({ "waitSeconds": 0 }))
            }
            ("createPipeline", _) => {
                Body::Json(json!({ "name": "Contracts", "definition": builtin::definition(Some(64), 0) }))
            }
            ("startRun" | "previewPipeline", _) => Body::Json(json!({ "files": [fixture.file] })),
            ("startInlineRun", _) => {
                Body::Json(json!({ "definition": builtin::definition(Some(64), 0), "files": [fixture.file] }))
            }
            ("retryRun" | "retryItems" | "forkRun", _) => Body::Json(json!({})),
            ("cancelRun" | "retryItem" | "renewSigningSecret" | "renewNotifications" | "exchangeSpaces", _) => {
                Body::None
            }
            ("validatePipeline", _) => Body::Json(json!({ "definition": {} })),
            ("updatePipeline", _) => Body::Json(json!({ "name": "Contracts" })),
            ("updateWorkspace", _) => Body::Json(json!({ "name": "Wind" })),
            ("changeMember", _) => Body::Json(json!({ "role": "guest" })),
            ("transferWorkspace", _) => Body::Json(json!({ "accountId": fixture.member.id })),
            ("createInvite", _) => Body::Json(json!({ "role": "guest", "email": "new@example.org" })),
            ("leaveWorkspace", _) | (_, &Method::GET | &Method::DELETE) => Body::None,
            (id, _) => panic!("{id} is documented: add a body for it to `valid_body`"),
        }
    }

    /// The value of a path parameter for this operation: what it reads, changes or deletes is there.
    pub fn id_in<'a>(&self, fixture: &'a WorkspaceFixture, parameter: &str) -> Option<&'a str> {
        if parameter == "{collection}" && EXISTING_SECOND_SPACE.contains(&self.id.as_str()) {
            return Some(&fixture.moving_collection);
        }
        fixture.id(parameter)
    }

    /// The path with the ids of the fixture.
    pub fn path_in(&self, fixture: &WorkspaceFixture) -> String {
        self.path_with(|parameter| match self.id_in(fixture, parameter) {
            Some(id) => id.to_owned(),
            None => panic!("{} has the parameter {parameter}: add it to `WorkspaceFixture`", self.id),
        })
    }

    pub fn request(&self, app: &TestApp, caller: &TestAccount, path: &str, body: Body) -> RequestBuilder {
        let request = app.request(self.method.clone(), path).bearer_auth(&caller.token);
        match body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Upload => request.multipart(Form::new().part("file", part("b.txt", "ebb"))),
        }
    }
}
