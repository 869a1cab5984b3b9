//! The errors of requests: code, status, title. No other module of this crate chooses an error status.

use actix_web::http::StatusCode;

macro_rules! table {
    ($($code:ident $name:literal $status:literal $title:literal;)+) => {
        /// The machine-readable code of an error. Codes are never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "`wrong_code` is about a code of the second factor")]
        pub enum Code {
            $($code,)+
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code in responses.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }

            pub fn status(self) -> StatusCode {
                let status = match self {
                    $(Self::$code => $status,)+
                };
                StatusCode::from_u16(status).expect("the table holds valid statuses")
            }

            /// A sentence for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title,)+
                }
            }
        }
    };
}

table! {
    BadRequest            "bad_request"             400 "The request is malformed";
    InvalidCursor         "invalid_cursor"          400 "The cursor does not belong to this list";
    InvalidFilter         "invalid_filter"          400 "The filter names a field or an operator that does not exist";
    InvalidHeader         "invalid_header"          400 "A header has an invalid value";
    InvalidQuery          "invalid_query"           400 "The query string is invalid";
    MalformedJson         "malformed_json"          400 "The body is not JSON";
    Unauthenticated       "unauthenticated"         401 "The request needs a valid access token";
    LinkRefused           "link_refused"            401 "The link was used or replaced, or has expired";
    SecondFactorNeeded    "second_factor_needed"    401 "The request also needs a code of the second factor";
    WrongCode             "wrong_code"              401 "The code is wrong or already used";
    WrongCredentials      "wrong_credentials"       401 "No account has this e-mail address and password";
    RefreshTokenRefused   "refresh_token_refused"   401 "The refresh token is invalid or no longer valid";
    AccountSuspended      "account_suspended"       403 "The account is suspended";
    EmailNotVerified      "email_not_verified"      403 "The account's e-mail address is not verified";
    Forbidden             "forbidden"               403 "The caller's role in the workspace does not allow the operation";
    ScopeMissing          "scope_missing"           403 "The API token lacks the permission";
    SignUpRefused         "sign_up_refused"         403 "Sign-up needs the code of an invite to this address";
    SignatureRefused      "signature_refused"       403 "The signature of the body is missing, wrong or too old";
    SessionNeeded         "session_needed"          403 "The operation needs a session, not an API token";
    WrongPassword         "wrong_password"          403 "The password is wrong";
    NotFound              "not_found"               404 "The resource does not exist";
    MethodNotAllowed      "method_not_allowed"      405 "The resource does not support the method";
    RequestTimeout        "request_timeout"         408 "The body did not arrive in time";
    AlreadyInvited        "already_invited"         409 "The address already has an invite to the workspace";
    AlreadyMember         "already_member"          409 "The account is already a member of the workspace";
    EmailTaken            "email_taken"             409 "An account already has this e-mail address";
    LastOwner             "last_owner"              409 "A workspace with other members would be left without an owner";
    BuiltinPipeline       "builtin_pipeline"        409 "The workspace's built-in pipeline cannot be deleted";
    PipelineNotRunnable   "pipeline_not_runnable"   409 "The pipeline refers to collections, pipelines or connections that do not exist or do not fit";
    PipelineNotEnabled    "pipeline_not_enabled"    409 "The pipeline is not enabled";
    RunEnded              "run_ended"               409 "The run has ended";
    SyncRunning           "sync_running"            409 "A sync of the pipeline goes on";
    NotFailed             "not_failed"              409 "The item has not failed";
    NameTaken             "name_taken"              409 "The workspace has another pipeline, collection, connection, query set or snapshot of this name";
    HasVectors            "has_vectors"             409 "The collection has vectors: give it a second space with the other model";
    SecondSpaceExists     "second_space_exists"     409 "The collection has a second space";
    SecondSpaceNotReady   "second_space_not_ready"  409 "The second space of a collection is missing or not complete";
    DefaultCollection     "default_collection"      409 "The collection `default` cannot be deleted or renamed";
    InUse                 "in_use"                  409 "An enabled pipeline names the resource";
    NotComparable         "not_comparable"          409 "The evaluations are not done, or of different query sets";
    NotEmbedded           "not_embedded"            409 "The file or passage has no vectors of the collections' model";
    HistoryNotKept        "history_not_kept"        409 "A collection has not kept its passages of the time";
    NotExtracted          "not_extracted"           409 "The file has no text yet";
    IdempotencyKeyInUse   "idempotency_key_in_use"  409 "A request with this idempotency key is still running";
    QuotaExceeded         "quota_exceeded"          409 "A quota is exceeded";
    SpaceNotServed        "space_not_served"        409 "The server does not compute vectors of a collection's embedding space";
    NoReranker            "no_reranker"             409 "The server has no reranking model, or the connection is disabled";
    SlugTaken             "slug_taken"              409 "Another workspace has this slug";
    NoEnrolment           "no_enrolment"            409 "The account has no enrolment to confirm";
    NoSecondFactor        "no_second_factor"        409 "The account has no second factor";
    SecondFactorActive    "second_factor_active"    409 "The account already has a second factor";
    TooManyTokens         "too_many_tokens"         409 "The account has the maximum number of API tokens";
    EventsDeleted         "events_deleted"          410 "The events after this one have been deleted";
    PreconditionFailed    "precondition_failed"     412 "The resource has changed since the client read it";
    PayloadTooLarge       "payload_too_large"       413 "The body is too large";
    UnsupportedMediaType  "unsupported_media_type"  415 "The body has the wrong content type";
    IdempotencyKeyReused  "idempotency_key_reused"  422 "The idempotency key was used for a different request";
    InvalidBody           "invalid_body"            422 "The body has invalid fields";
    TooManyRequests       "too_many_requests"       429 "The client has sent too many requests";
    TooManyCodes          "too_many_codes"          429 "The account has had too many wrong codes";
    ClientClosedRequest   "client_closed_request"   499 "The client closed the connection before the response";
    Internal              "internal"                500 "The server failed to handle the request";
    MailNotConfigured     "mail_not_configured"     501 "The operation needs mail, which the server does not send";
    Unavailable           "unavailable"             503 "The service is temporarily unavailable";
    TimedOut              "timed_out"               504 "The response took too long";
    StorageFull           "storage_full"            507 "The storage for files is full";
}

impl Code {
    /// The code of an error of the framework, which has only a status.
    pub fn of_status(status: StatusCode) -> Self {
        let general = if status.is_server_error() { Self::Internal } else { Self::BadRequest };
        [general].iter().chain(Self::ALL).copied().find(|code| code.status() == status).unwrap_or(general)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_an_error_status() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
        }
    }

    #[test]
    fn unknown_status_maps_to_the_general_code_of_its_class() {
        assert_eq!(Code::of_status(StatusCode::PAYLOAD_TOO_LARGE), Code::PayloadTooLarge);
        assert_eq!(Code::of_status(StatusCode::BAD_REQUEST), Code::BadRequest);
        assert_eq!(Code::of_status(StatusCode::EXPECTATION_FAILED), Code::BadRequest);
        assert_eq!(Code::of_status(StatusCode::BAD_GATEWAY), Code::Internal);
    }
}
