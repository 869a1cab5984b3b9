//! Every documented operation, called without access: without a token, and with another account's ids.

use std::collections::BTreeSet;

use nvisy_shared::domain::role::Permission;
use serde_json::json;

use crate::support::{TestApp, send};

/// The authorization that an operation requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    None,
    /// An account, by a session or an API token.
    Account,
    /// A session; API tokens are rejected.
    Session,
    /// A permission in the workspace of the path, by a session or an API token that also has it.
    Permission(Permission),
}

use Requirement::{Account, None as Public, Permission as Within, Session};

/// The requirement of every operation, from which the access tests derive what they expect. It duplicates the argument
/// types in the code on purpose. A documented operation that is missing here fails the tests.
const TABLE: [(&str, Requirement); 146] = [
    ("signUp", Public),
    ("confirmSignUp", Public),
    ("forgotPassword", Public),
    ("resetPassword", Public),
    ("confirmEmail", Public),
    ("login", Public),
    ("refresh", Public),
    // The path and the signature authorize.
    ("receiveNotification", Public),
    ("health", Public),
    ("live", Public),
    ("ready", Public),
    ("readAccount", Account),
    ("readAvatar", Account),
    ("listWorkspaces", Account),
    ("listNodeTypes", Account),
    ("listEmbeddingModels", Account),
    ("listProviders", Account),
    ("updateAccount", Session),
    ("changePassword", Session),
    ("changeEmail", Session),
    ("verifyEmail", Session),
    ("deleteAccount", Session),
    ("replaceAvatar", Session),
    ("removeAvatar", Session),
    ("logout", Session),
    ("listSessions", Session),
    ("revokeSession", Session),
    ("revokeSessions", Session),
    ("readSecondFactor", Session),
    ("enrolSecondFactor", Session),
    ("confirmSecondFactor", Session),
    ("disableSecondFactor", Session),
    ("renewRecoveryCodes", Session),
    ("listAccountActivities", Session),
    ("exportAccountActivities", Session),
    ("createToken", Session),
    ("listTokens", Session),
    ("revokeToken", Session),
    ("createWorkspace", Session),
    ("acceptInvite", Session),
    ("declineInvite", Session),
    ("readWorkspace", Within(Permission::ReadWorkspace)),
    ("leaveWorkspace", Within(Permission::LeaveWorkspace)),
    ("updateWorkspace", Within(Permission::UpdateWorkspace)),
    ("renewSigningSecret", Within(Permission::UpdateWorkspace)),
    ("deleteWorkspace", Within(Permission::DeleteWorkspace)),
    ("transferWorkspace", Within(Permission::TransferWorkspace)),
    ("readUsage", Within(Permission::ReadUsage)),
    ("listMembers", Within(Permission::ReadMembers)),
    ("readMember", Within(Permission::ReadMembers)),
    ("changeMember", Within(Permission::ManageMembers)),
    ("removeMember", Within(Permission::ManageMembers)),
    ("createInvite", Within(Permission::ManageInvites)),
    ("listInvites", Within(Permission::ManageInvites)),
    ("cancelInvite", Within(Permission::ManageInvites)),
    ("uploadFiles", Within(Permission::WriteFiles)),
    ("updateFile", Within(Permission::WriteFiles)),
    ("deleteFile", Within(Permission::WriteFiles)),
    ("listFiles", Within(Permission::ReadFiles)),
    ("readFile", Within(Permission::ReadFiles)),
    ("listFileVersions", Within(Permission::ReadFiles)),
    ("readFileContent", Within(Permission::ReadFiles)),
    ("readFileText", Within(Permission::ReadFiles)),
    ("createCollection", Within(Permission::WriteCollections)),
    ("updateCollection", Within(Permission::WriteCollections)),
    ("deleteCollection", Within(Permission::WriteCollections)),
    ("createSecondSpace", Within(Permission::WriteCollections)),
    ("updateSecondSpace", Within(Permission::WriteCollections)),
    ("exchangeSpaces", Within(Permission::WriteCollections)),
    ("deleteSecondSpace", Within(Permission::WriteCollections)),
    ("compareSpaces", Within(Permission::WriteCollections)),
    ("readSecondSpace", Within(Permission::ReadCollections)),
    ("estimateSecondSpace", Within(Permission::ReadCollections)),
    ("listSpaces", Within(Permission::ReadCollections)),
    ("listCollections", Within(Permission::ReadCollections)),
    ("readCollection", Within(Permission::ReadCollections)),
    ("updateChunk", Within(Permission::WriteCollections)),
    ("listChunks", Within(Permission::ReadFiles)),
    ("exportChunks", Within(Permission::ReadFiles)),
    ("readChunk", Within(Permission::ReadFiles)),
    ("createConnection", Within(Permission::WriteConnections)),
    ("updateConnection", Within(Permission::WriteConnections)),
    ("deleteConnection", Within(Permission::WriteConnections)),
    ("renewNotifications", Within(Permission::WriteConnections)),
    ("endNotifications", Within(Permission::WriteConnections)),
    ("checkConnection", Within(Permission::WriteConnections)),
    ("discoverConnection", Within(Permission::WriteConnections)),
    ("browseConnection", Within(Permission::WriteConnections)),
    ("listConnectionUsers", Within(Permission::ReadConnections)),
    ("listConnections", Within(Permission::ReadConnections)),
    ("readConnection", Within(Permission::ReadConnections)),
    ("listModelUsage", Within(Permission::ReadConnections)),
    ("createPipeline", Within(Permission::WritePipelines)),
    ("updatePipeline", Within(Permission::WritePipelines)),
    ("deletePipeline", Within(Permission::WritePipelines)),
    ("listPipelines", Within(Permission::ReadPipelines)),
    ("validatePipeline", Within(Permission::ReadPipelines)),
    ("readPipeline", Within(Permission::ReadPipelines)),
    ("exportPipeline", Within(Permission::ReadPipelines)),
    ("readPipelinePlan", Within(Permission::ReadPipelines)),
    ("diffPipelineVersions", Within(Permission::ReadPipelines)),
    ("listPipelineVersions", Within(Permission::ReadPipelines)),
    ("readPipelineVersion", Within(Permission::ReadPipelines)),
    ("startRun", Within(Permission::WritePipelines)),
    ("startInlineRun", Within(Permission::WritePipelines)),
    ("previewPipeline", Within(Permission::WritePipelines)),
    ("cancelRun", Within(Permission::WritePipelines)),
    ("retryRun", Within(Permission::WritePipelines)),
    ("forkRun", Within(Permission::WritePipelines)),
    ("retryItems", Within(Permission::WritePipelines)),
    ("retryItem", Within(Permission::WritePipelines)),
    ("listRuns", Within(Permission::ReadPipelines)),
    ("readRun", Within(Permission::ReadPipelines)),
    ("readPipelineStaleness", Within(Permission::ReadPipelines)),
    ("listFailedObjects", Within(Permission::ReadPipelines)),
    ("listRunItems", Within(Permission::ReadPipelines)),
    ("readRunItem", Within(Permission::ReadPipelines)),
    ("listRunItemLog", Within(Permission::ReadPipelines)),
    ("listRunArtifacts", Within(Permission::ReadPipelines)),
    ("readRunArtifact", Within(Permission::ReadFiles)),
    ("streamEvents", Within(Permission::ReadFiles)),
    ("search", Within(Permission::Search)),
    ("searchBatch", Within(Permission::Search)),
    ("searchSimilar", Within(Permission::Search)),
    ("createSnapshot", Within(Permission::WriteCollections)),
    ("deleteSnapshot", Within(Permission::WriteCollections)),
    ("listSnapshots", Within(Permission::ReadCollections)),
    ("readSnapshot", Within(Permission::ReadCollections)),
    ("readSynonyms", Within(Permission::ReadWorkspace)),
    ("replaceSynonyms", Within(Permission::UpdateWorkspace)),
    ("deleteSynonyms", Within(Permission::UpdateWorkspace)),
    ("createQuerySet", Within(Permission::WriteEvaluations)),
    ("deleteQuerySet", Within(Permission::WriteEvaluations)),
    ("importQueries", Within(Permission::WriteEvaluations)),
    ("judgeHit", Within(Permission::WriteEvaluations)),
    ("startEvaluation", Within(Permission::WriteEvaluations)),
    ("deleteEvaluation", Within(Permission::WriteEvaluations)),
    ("listQuerySets", Within(Permission::ReadEvaluations)),
    ("readQuerySet", Within(Permission::ReadEvaluations)),
    ("listQueries", Within(Permission::ReadEvaluations)),
    ("listEvaluations", Within(Permission::ReadEvaluations)),
    ("readEvaluation", Within(Permission::ReadEvaluations)),
    ("listEvaluatedQueries", Within(Permission::ReadEvaluations)),
    ("compareEvaluations", Within(Permission::ReadEvaluations)),
    ("listActivities", Within(Permission::ReadActivities)),
    ("exportActivities", Within(Permission::ReadActivities)),
];

pub fn requirement(operation: &str) -> Requirement {
    let found = TABLE.iter().find(|(id, _)| *id == operation);
    found.unwrap_or_else(|| panic!("{operation} is documented: add its requirement to `TABLE`")).1
}

/// The permission that an operation within a workspace requires.
pub fn required_permission(operation: &str) -> Permission {
    match requirement(operation) {
        Within(permission) => permission,
        other => panic!("{operation} is within a workspace, but `TABLE` has {other:?}"),
    }
}

#[actix_web::test]
async fn table_and_openapi_document_agree_on_every_operation() {
    let app = TestApp::start().await;
    let operations = app.openapi().await.operations();
    for operation in &operations {
        let requirement = requirement(&operation.id);
        let expected: &[&str] = match requirement {
            Public => &[],
            Session => &["bearer"],
            Account | Within(_) => &["bearer", "apiToken"],
        };
        assert_eq!(operation.security(), expected, "{}", operation.id);
        assert_eq!(matches!(requirement, Within(_)), operation.is_in_workspace(), "{}", operation.id);
    }
    let documented: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let listed: BTreeSet<&str> = TABLE.iter().map(|(id, _)| *id).collect();
    assert_eq!(listed, documented, "the table has operations that are not documented");
    assert_eq!(listed.len(), TABLE.len(), "the table has an operation twice");
    app.stop().await;
}

#[actix_web::test]
async fn every_operation_rejects_requests_without_a_valid_token() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    for operation in app.openapi().await.operations() {
        if requirement(&operation.id) != Public {
            let path = operation.path_with_unknown_ids(&workspace);
            for token in [None, Some("x.y.z")] {
                let request = app.request(operation.method.clone(), &path);
                let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
                send(request).await.problem(401, "unauthenticated");
            }
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn other_accounts_workspaces_and_credentials_are_not_found() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    let token = app.create_api_token(&ada, &json!({})).await.expect(201);
    let sessions = app.get(&ada, "/api/v1/account/sessions").await.expect(200);
    let other = app.create_account("other").await;
    for operation in app.openapi().await.operations().iter().filter(|operation| operation.path.contains('{')) {
        let path = operation.path_with_unknown_ids(&workspace);
        let own = operation
            .path
            .replace("{token}", token["token"]["id"].as_str().unwrap())
            .replace("{session}", sessions["items"][0]["id"].as_str().unwrap())
            .replace("{code}", "unknown");
        let path = if operation.path.contains("{ws}") { path } else { own };
        assert!(!path.contains('{'), "{}: add an id of the owner for {path}", operation.id);
        // Without a body or with a malformed one: access is checked before the body is read.
        for body in [None, Some("{")] {
            let request = app.request(operation.method.clone(), &path);
            let request = request.bearer_auth(&other.token).header("content-type", "application/json");
            let request = body.into_iter().fold(request, |request, body| request.body(body));
            send(request).await.problem(404, "not_found");
        }
    }
    // Nothing was deleted.
    assert_eq!(app.get(&ada, "/api/v1/account/tokens").await.expect(200)["items"][0]["id"], token["token"]["id"]);
    app.stop().await;
}
