//! Bodies that a system signs, as Standard Webhooks has it: raw, because the signature is of their bytes.

use std::marker::PhantomData;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::HeaderMap,
    web::{Bytes, BytesMut},
};
use apistos::ApiComponent;
use futures::{StreamExt, future::LocalBoxFuture};
use nvisy_shared::{clock, crypt::webhook_signature::SigningSecret};
use serde::de::DeserializeOwned;

use super::{api_component::api_component, json_body::body_problem};
use crate::problem::{Code, Problem};

/// Largest body.
const LIMIT_BYTES: usize = 64 * 1024;
/// How far the time of a signature may be from now, in seconds.
const TOLERANCE_SECONDS: i64 = 300;

/// A signed body of the shape `T`, of which nothing is known until the signature is verified.
pub struct SignedBody<T> {
    request: HttpRequest,
    /// Id, time and signatures; `None`: a header is missing, or is none of this kind.
    signed: Option<(String, i64, String)>,
    bytes: Bytes,
    shape: PhantomData<T>,
}

impl<T: DeserializeOwned> SignedBody<T> {
    /// The body, if the secret has signed it within the last minutes.
    pub fn verify(&self, secret: &SigningSecret) -> Result<T, Problem> {
        let is_signed = self.signed.as_ref().is_some_and(|(id, time, signatures)| {
            let age = clock::now().timestamp().saturating_sub(*time);
            age.saturating_abs() <= TOLERANCE_SECONDS && secret.verifies(signatures, id, *time, &self.bytes)
        });
        if !is_signed {
            return Err(Problem::new(Code::SignatureRefused));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| Problem::new(Code::MalformedJson).detail(error.to_string()))
    }

    /// The request.
    pub const fn request(&self) -> &HttpRequest {
        &self.request
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

impl<T: 'static> FromRequest for SignedBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let headers = request.headers();
            let (id, signatures) = (header(headers, "webhook-id"), header(headers, "webhook-signature"));
            let time = header(headers, "webhook-timestamp").and_then(|time| time.parse().ok());
            // The path is checked first: only one that exists says what is wrong with a signature.
            let signed = id.zip(time).zip(signatures).map(|((id, time), signatures)| (id, time, signatures));
            let mut bytes = BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| body_problem(&error))?;
                if bytes.len() + chunk.len() > LIMIT_BYTES {
                    let detail = format!("the body can have at most {LIMIT_BYTES} bytes");
                    return Err(Problem::new(Code::PayloadTooLarge).detail(detail));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Self { request, signed, bytes: bytes.freeze(), shape: PhantomData })
        })
    }
}

api_component!({T: ApiComponent} SignedBody<T> as T);
