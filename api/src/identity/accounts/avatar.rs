//! The picture of an account.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    dev::Payload,
    error::PayloadError,
    http::header::{self, CacheControl, CacheDirective, ETag, EntityTag, Header as _, IfNoneMatch},
    web::{self, Data},
};
use apistos::{
    api_operation,
    paths::{MediaType, RequestBody, Response, Responses},
    reference_or::ReferenceOr,
};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, future::LocalBoxFuture};
use nvisy_shared::{
    domain::activity::Action,
    entity,
    store::{self, avatar::MAX_BYTES},
};
use sha2::{Digest, Sha256};

use crate::{
    auth::account::{CurrentAccount, SignedIn},
    http::{
        api_component::{api_component, not_modified, sent_header},
        client_info::ClientInfo,
        gate::Gate,
        stall_guard::{is_too_slow, too_slow},
        status_json::NoContent,
    },
    problem::{Code, Problem},
    state::State,
};

const MEDIA_TYPES: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];

/// Extractor: a picture of a known format. Its first bytes decide, not the declared content type.
pub struct Image {
    media_type: &'static str,
    bytes: Bytes,
}

#[api_operation(operation_id = "readAvatar", tag = "accounts", summary = "Read the account's picture")]
pub async fn read(state: Data<State>, account: CurrentAccount) -> Result<Picture, Problem> {
    let avatar = store::avatar::find(&state.platform.db, account.id).await?;
    avatar.map(Picture).ok_or_else(Problem::not_found)
}

#[api_operation(
    operation_id = "replaceAvatar",
    tag = "accounts",
    summary = "Replace the account's picture",
    description = "PNG, JPEG or WebP, at most 1 MiB."
)]
pub async fn replace(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    image: Image,
) -> Result<NoContent, Problem> {
    let sha256 = Sha256::digest(&image.bytes);
    let changes = account.changes(&state.platform, &client);
    changes
        .run(async |change| {
            store::avatar::upsert(change.tx(), account.id, image.media_type, &image.bytes, &sha256).await?;
            change.audit(Action::AccountPictured, account.id);
            Ok(NoContent)
        })
        .await
}

#[api_operation(operation_id = "removeAvatar", tag = "accounts", summary = "Remove the account's picture")]
pub async fn remove(state: Data<State>, account: SignedIn, client: ClientInfo) -> Result<NoContent, Problem> {
    let changes = account.changes(&state.platform, &client);
    changes
        .run(async |change| {
            if !store::avatar::delete(change.tx(), account.id).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::AccountPictured, account.id);
            Ok(NoContent)
        })
        .await
}

fn body_problem(error: &PayloadError) -> Problem {
    if is_too_slow(error) {
        too_slow()
    } else {
        Problem::new(Code::BadRequest).detail("the body ended before it was complete")
    }
}

fn sniff(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(MEDIA_TYPES[0]),
        [0xff, 0xd8, 0xff, ..] => Some(MEDIA_TYPES[1]),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(MEDIA_TYPES[2]),
        _ => None,
    }
}

impl FromRequest for Image {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let body = web::Payload::from_request(request, payload);
        Box::pin(async move {
            gate.passed().await;
            let mut body = body.await.map_err(|error| Problem::internal(error.to_string()))?;
            let mut bytes = BytesMut::new();
            while let Some(part) = body.next().await {
                let part = part.map_err(|error| body_problem(&error))?;
                if bytes.len() + part.len() > MAX_BYTES {
                    let detail = format!("a picture can have at most {MAX_BYTES} bytes");
                    return Err(Problem::new(Code::PayloadTooLarge).detail(detail));
                }
                bytes.extend_from_slice(&part);
            }
            let media_type = sniff(&bytes).ok_or_else(|| {
                Problem::new(Code::UnsupportedMediaType).detail("the body is not a PNG, JPEG or WebP picture")
            })?;
            Ok(Self { media_type, bytes: bytes.freeze() })
        })
    }
}

api_component!(Image {
    fn request_body() -> Option<RequestBody> {
        Some(RequestBody { content: binary(), required: Some(true), ..RequestBody::default() })
    }
});

/// A stored picture as a response.
pub struct Picture(entity::avatar::Model);

impl Responder for Picture {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let tag = EntityTag::new_strong(hex::encode(&self.0.sha256));
        let is_current = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|cached| cached.weak_eq(&tag)),
            Ok(IfNoneMatch::Any) => true,
            Err(_) => false,
        };
        let mut response = if is_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(ETag(tag))
            .insert_header(CacheControl(vec![CacheDirective::Private, CacheDirective::NoCache]));
        if is_current {
            return response.finish();
        }
        response.insert_header((header::CONTENT_TYPE, self.0.media_type)).body(self.0.bytes)
    }
}

api_component!(Picture {
    fn responses(_: Option<String>) -> Option<Responses> {
        let headers = BTreeMap::from([("ETag".to_owned(), sent_header("The tag of the picture."))]);
        let response = Response { headers, content: binary(), ..Response::default() };
        let responses = [("200", ReferenceOr::Object(response)), ("304", not_modified())];
        let responses = responses.map(|(status, response)| (status.to_owned(), response)).into();
        Some(Responses { responses, ..Responses::default() })
    }
});

fn binary() -> BTreeMap<String, MediaType> {
    let schema = serde_json::from_value(serde_json::json!({ "type": "string", "format": "binary" })).ok();
    let media = MediaType { schema: schema.map(ReferenceOr::Object), ..MediaType::default() };
    MEDIA_TYPES.map(|name| (name.to_owned(), media.clone())).into()
}

#[cfg(test)]
mod tests {
    use super::sniff;

    #[test]
    fn format_is_detected_by_the_first_bytes() {
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(sniff(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(sniff(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some("image/webp"));
        for other in [&b""[..], b"<svg xmlns=", b"GIF89a", b"RIFF\x01\x02\x03\x04WAVE", b"\x89PNG", b"%PDF-1.7"] {
            assert_eq!(sniff(other), None);
        }
    }
}
