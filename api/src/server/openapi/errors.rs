//! The errors of each operation: those that follow from its shape, and those that its handler declares here.
//!
//! The tests of the API compare every response with this list: a problem that an operation does not declare fails them
//! (`api/tests/api/support/declared.rs`).

use std::collections::BTreeMap;

use nvisy_shared::domain::role::{Permission, Role};
use serde_json::{Value, json};

use super::operations::{Operation, each_operation};
use crate::{
    auth::{bearer, member::PERMISSION_EXTENSION},
    http::{etag, idempotency},
    problem::{Code, MEDIA_TYPE, Problem},
};

/// The errors of handlers and services, by operation.
const DECLARED: &[(&str, &[Code])] = &[
    ("signUp", &[Code::SignUpRefused, Code::EmailTaken]),
    ("confirmSignUp", &[Code::LinkRefused]),
    (
        "login",
        &[
            Code::WrongCredentials,
            Code::SecondFactorNeeded,
            Code::WrongCode,
            Code::AccountSuspended,
            Code::TooManyCodes,
        ],
    ),
    ("refresh", &[Code::RefreshTokenRefused, Code::AccountSuspended]),
    ("forgotPassword", &[Code::MailNotConfigured]),
    ("resetPassword", &[Code::LinkRefused]),
    ("confirmEmail", &[Code::LinkRefused]),
    ("verifyEmail", &[Code::MailNotConfigured]),
    ("changeEmail", &[Code::MailNotConfigured, Code::WrongPassword]),
    ("changePassword", &[Code::WrongPassword]),
    ("deleteAccount", &[Code::WrongPassword, Code::LastOwner]),
    ("readAvatar", &[Code::NotFound]),
    ("removeAvatar", &[Code::NotFound]),
    ("logout", &[Code::NotFound]),
    (
        "createToken",
        &[
            Code::WrongPassword,
            Code::SecondFactorNeeded,
            Code::WrongCode,
            Code::TooManyCodes,
            Code::TooManyTokens,
            Code::NotFound,
        ],
    ),
    ("enrolSecondFactor", &[Code::WrongPassword, Code::SecondFactorActive]),
    ("confirmSecondFactor", &[Code::WrongPassword, Code::NoEnrolment, Code::WrongCode, Code::TooManyCodes]),
    ("renewRecoveryCodes", &[Code::WrongPassword, Code::NoSecondFactor, Code::WrongCode, Code::TooManyCodes]),
    ("disableSecondFactor", &[Code::WrongPassword, Code::NoSecondFactor, Code::WrongCode, Code::TooManyCodes]),
    ("createWorkspace", &[Code::SlugTaken, Code::QuotaExceeded]),
    ("listWorkspaces", &[Code::ScopeMissing]),
    ("updateWorkspace", &[Code::SlugTaken]),
    ("changeMember", &[Code::LastOwner]),
    ("removeMember", &[Code::LastOwner]),
    ("leaveWorkspace", &[Code::LastOwner]),
    ("createInvite", &[Code::AlreadyInvited]),
    ("acceptInvite", &[Code::NotFound, Code::AlreadyMember, Code::EmailNotVerified]),
    ("declineInvite", &[Code::NotFound]),
    ("uploadFiles", &[Code::QuotaExceeded, Code::StorageFull]),
    ("listFiles", &[Code::InvalidFilter]),
    ("readFileText", &[Code::NotExtracted]),
    ("createPipeline", &[Code::NameTaken, Code::QuotaExceeded]),
    ("updatePipeline", &[Code::NameTaken, Code::PipelineNotRunnable, Code::InUse]),
    ("deletePipeline", &[Code::BuiltinPipeline, Code::InUse]),
    ("startRun", &[Code::PipelineNotEnabled, Code::SyncRunning, Code::QuotaExceeded]),
    ("startInlineRun", &[Code::PipelineNotRunnable, Code::QuotaExceeded, Code::StorageFull]),
    ("previewPipeline", &[Code::QuotaExceeded]),
    ("cancelRun", &[Code::RunEnded]),
    ("retryRun", &[Code::SyncRunning, Code::QuotaExceeded]),
    ("retryItem", &[Code::NotFailed, Code::SyncRunning, Code::QuotaExceeded]),
    ("forkRun", &[Code::PipelineNotEnabled, Code::PipelineNotRunnable, Code::QuotaExceeded]),
    ("createCollection", &[Code::NameTaken, Code::QuotaExceeded]),
    (
        "updateCollection",
        &[Code::NameTaken, Code::DefaultCollection, Code::InUse, Code::HasVectors, Code::SecondSpaceExists],
    ),
    ("createSecondSpace", &[Code::SecondSpaceExists]),
    ("deleteCollection", &[Code::DefaultCollection, Code::InUse]),
    ("updateChunk", &[Code::QuotaExceeded]),
    ("createConnection", &[Code::NameTaken]),
    ("updateConnection", &[Code::NameTaken, Code::InUse]),
    ("deleteConnection", &[Code::InUse]),
    ("receiveNotification", &[Code::NotFound, Code::SignatureRefused, Code::MalformedJson, Code::PayloadTooLarge]),
    ("streamEvents", &[Code::EventsDeleted]),
    ("createSnapshot", &[Code::NameTaken, Code::HistoryNotKept, Code::QuotaExceeded]),
    ("createQuerySet", &[Code::NameTaken, Code::QuotaExceeded]),
    ("importQueries", &[Code::QuotaExceeded]),
    ("judgeHit", &[Code::QuotaExceeded]),
    ("startEvaluation", &[Code::InvalidFilter, Code::SecondSpaceNotReady, Code::NoReranker, Code::QuotaExceeded]),
    ("compareEvaluations", &[Code::NotComparable]),
    (
        "search",
        &[
            Code::InvalidFilter,
            Code::InvalidCursor,
            Code::HistoryNotKept,
            Code::SpaceNotServed,
            Code::NoReranker,
            Code::ClientClosedRequest,
        ],
    ),
    ("searchBatch", &[Code::ClientClosedRequest]),
    (
        "searchSimilar",
        &[Code::InvalidFilter, Code::InvalidCursor, Code::NotEmbedded, Code::HistoryNotKept, Code::ClientClosedRequest],
    ),
    ("compareSpaces", &[Code::SpaceNotServed, Code::ClientClosedRequest]),
];

/// Codes whose responses can have `Retry-After`.
pub const RETRYABLE: [Code; 4] =
    [Code::IdempotencyKeyInUse, Code::TooManyRequests, Code::TooManyCodes, Code::Unavailable];

/// Replaces the error responses of every operation, and adds an example of each code.
pub fn declare(document: &mut Value) {
    let mut used = Vec::new();
    each_operation(document, |mut operation| {
        let mut codes = implied(&operation);
        let declared = DECLARED.iter().find(|(id, _)| *id == operation.id());
        codes.extend(declared.into_iter().flat_map(|(_, codes)| codes.iter()));
        used.extend(codes.iter().copied());
        let is_versioned = operation.is_versioned();
        let responses = operation.responses();
        // Health checks have their own 503.
        responses.retain(|status, _| !is_versioned || !status.starts_with(['4', '5']));
        for (status, codes) in by_status(codes) {
            responses.insert(status, response(&codes));
        }
    });
    let used = Code::ALL.iter().filter(|code| used.contains(code));
    let examples = used.map(|code| (code.name().to_owned(), example(*code))).collect();
    document["components"]["examples"] = Value::Object(examples);
}

/// The errors of all operations of this shape: those of middleware and extractors.
fn implied(operation: &Operation<'_>) -> Vec<Code> {
    if !operation.is_versioned() {
        return Vec::new();
    }
    let mut codes = vec![Code::TooManyRequests, Code::Internal, Code::Unavailable, Code::TimedOut];
    if operation.accepts(bearer::SESSION) {
        codes.extend([Code::Unauthenticated, Code::AccountSuspended]);
        if !operation.accepts(bearer::TOKEN) {
            codes.push(Code::SessionNeeded);
        }
    }
    if let Some(permission) = permission(operation) {
        codes.push(Code::ScopeMissing);
        if permission.lowest_role() > Role::Guest {
            codes.push(Code::Forbidden);
        }
    }
    if operation.has_parameter_in("path") {
        codes.push(Code::NotFound);
    }
    if operation.has_parameter_in("query") {
        codes.push(Code::InvalidQuery);
    }
    if operation.has_parameter("cursor") {
        codes.push(Code::InvalidCursor);
    }
    if operation.has_parameter_in("header") {
        codes.push(Code::InvalidHeader);
    }
    if operation.has_parameter(idempotency::HEADER) {
        codes.extend([Code::IdempotencyKeyInUse, Code::IdempotencyKeyReused]);
    }
    if operation.has_parameter(etag::EXPECTED) {
        codes.push(Code::PreconditionFailed);
    }
    if let Some(media_type) = operation.body_type() {
        codes.extend([Code::BadRequest, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
        match media_type {
            "application/json" => codes.extend([Code::MalformedJson, Code::InvalidBody]),
            "multipart/form-data" => codes.push(Code::InvalidBody),
            _ => {}
        }
    }
    codes
}

/// The permission that the operation requires.
pub fn permission(operation: &Operation<'_>) -> Option<Permission> {
    let name = operation.parameters().find_map(|parameter| parameter.get(PERMISSION_EXTENSION)?.as_str());
    name.and_then(|name| Permission::ALL.iter().copied().find(|permission| permission.name() == name))
}

fn by_status(codes: Vec<Code>) -> BTreeMap<String, Vec<Code>> {
    let mut by_status: BTreeMap<String, Vec<Code>> = BTreeMap::new();
    // In the order of the table.
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        by_status.entry(code.status().as_str().to_owned()).or_default().push(*code);
    }
    by_status
}

fn response(codes: &[Code]) -> Value {
    let titles: Vec<_> = codes.iter().map(|code| format!("`{}`: {}.", code.name(), code.title())).collect();
    let example = |code: &Code| {
        let name = code.name().to_owned();
        let reference = json!({ "$ref": format!("#/components/examples/{name}") });
        (name, reference)
    };
    let examples: serde_json::Map<String, Value> = codes.iter().map(example).collect();
    json!({
        "description": titles.join("\n\n"),
        "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples } },
    })
}

fn example(code: Code) -> Value {
    let problem = Problem::new(code);
    let problem = if RETRYABLE.contains(&code) { problem.retry_in(1) } else { problem };
    json!({ "summary": code.title(), "value": problem.to_json() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::openapi::OpenApiDocument;

    #[actix_web::test]
    async fn every_declared_operation_exists_and_every_code_belongs_to_an_operation() {
        let mut document = OpenApiDocument::collect_json().await;
        let (mut ids, mut used) = (Vec::new(), Vec::new());
        each_operation(&mut document, |mut operation| {
            ids.push(operation.id().to_owned());
            for response in operation.responses().values() {
                let examples = response["content"][MEDIA_TYPE]["examples"].as_object();
                used.extend(examples.into_iter().flatten().map(|(name, _)| name.clone()));
            }
        });
        for (id, codes) in DECLARED {
            assert!(ids.iter().any(|known| known == id), "{id} is no operation");
            assert!(!codes.is_empty(), "{id} declares no code");
        }
        for code in Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed) {
            assert!(used.iter().any(|name| name == code.name()), "no operation declares {code:?}");
        }
    }
}
