//! Every way a request can fail: code, status, title. Nothing else in this crate chooses an error status.

use actix_web::http::StatusCode;

macro_rules! table {
    ($($code:ident $name:literal $status:literal $title:literal;)+) => {
        /// What went wrong, for machines. Codes are never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($code,)+
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code as clients see it.
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

            /// One sentence for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title,)+
                }
            }
        }
    };
}

table! {
    BadRequest            "bad_request"             400 "The request could not be understood";
    InvalidCursor         "invalid_cursor"          400 "The cursor is not one that this list gave out";
    InvalidFilter         "invalid_filter"          400 "The filter names a field or an operator that does not exist";
    InvalidHeader         "invalid_header"          400 "A header has a value that cannot be used";
    InvalidQuery          "invalid_query"           400 "The query string cannot be used";
    MalformedJson         "malformed_json"          400 "The body is not JSON";
    Unauthenticated       "unauthenticated"         401 "A valid access token is needed";
    LinkRefused           "link_refused"            401 "The link was used or replaced, or has expired";
    SecondFactorNeeded    "second_factor_needed"    401 "A code of the second factor is needed, too";
    WrongCode         "wrong_code"              401 "The code is wrong, or was used before";
    WrongCredentials      "wrong_credentials"       401 "No account has this e-mail address and password";
    RefreshTokenRefused   "refresh_token_refused"   401 "The refresh token cannot be used, or not any more";
    AccountSuspended      "account_suspended"       403 "The account is suspended";
    EmailNotVerified      "email_not_verified"      403 "The account's e-mail address has to be verified first";
    Forbidden             "forbidden"               403 "The role in this workspace does not allow it";
    ScopeMissing          "scope_missing"           403 "The API token does not have the permission";
    SignUpRefused         "sign_up_refused"         403 "Signing up here takes the code of an invite to this address";
    SessionNeeded         "session_needed"          403 "This takes somebody who is logged in, not an API token";
    WrongPassword         "wrong_password"          403 "This is not the account's password";
    NotFound              "not_found"               404 "There is nothing here";
    MethodNotAllowed      "method_not_allowed"      405 "The method is not allowed here";
    RequestTimeout        "request_timeout"         408 "The body did not arrive in time";
    AlreadyInvited        "already_invited"         409 "This address has an invite to the workspace already";
    AlreadyMember         "already_member"          409 "The account is a member of the workspace already";
    EmailTaken            "email_taken"             409 "An account has this e-mail address already";
    LastOwner             "last_owner"              409 "A workspace with other members would be left without an owner";
    NotExtracted          "not_extracted"           409 "The file has no text yet";
    IdempotencyKeyInUse   "idempotency_key_in_use"  409 "A request with this idempotency key is still running";
    QuotaExceeded         "quota_exceeded"          409 "The workspace has as much as it may";
    SpaceNotServed        "space_not_served"        409 "This server computes no vectors of the workspace's embedding space";
    SlugTaken             "slug_taken"              409 "Another workspace has this slug";
    NoEnrolment           "no_enrolment"            409 "There is no second factor to be confirmed";
    NoSecondFactor        "no_second_factor"        409 "The account has no second factor";
    SecondFactorActive    "second_factor_active"    409 "The account has a second factor already";
    TooManyTokens         "too_many_tokens"         409 "The account has as many API tokens as it may";
    EventsForgotten       "events_forgotten"        410 "Events after this one are not kept any more";
    PreconditionFailed    "precondition_failed"     412 "It has changed since it was read";
    PayloadTooLarge       "payload_too_large"       413 "The body is too large";
    UnsupportedMediaType  "unsupported_media_type"  415 "The body has the wrong content type";
    IdempotencyKeyReused  "idempotency_key_reused"  422 "The idempotency key was used for a different request";
    InvalidBody           "invalid_body"            422 "The body has fields that cannot be used";
    TooManyRequests       "too_many_requests"       429 "Too many requests in a short time";
    TooManyCodes          "too_many_codes"          429 "There were too many wrong codes";
    Internal              "internal"                500 "Something went wrong on our side";
    MailNotConfigured     "mail_not_configured"     501 "This server sends no mail, which the operation takes";
    Unavailable           "unavailable"             503 "The service cannot answer right now";
    TimedOut              "timed_out"               504 "The answer took too long";
    StorageFull           "storage_full"            507 "There is no room left for files";
}

impl Code {
    /// The code for a failure that the framework knows only by its status.
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
    fn a_status_the_table_does_not_know_keeps_its_class() {
        assert_eq!(Code::of_status(StatusCode::PAYLOAD_TOO_LARGE), Code::PayloadTooLarge);
        assert_eq!(Code::of_status(StatusCode::BAD_REQUEST), Code::BadRequest);
        assert_eq!(Code::of_status(StatusCode::EXPECTATION_FAILED), Code::BadRequest);
        assert_eq!(Code::of_status(StatusCode::BAD_GATEWAY), Code::Internal);
    }
}
