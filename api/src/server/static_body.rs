//! Bodies that stay the same while the process runs: compressed once, with an `ETag`, sent in chunks.

use std::{
    io::{self, Read},
    sync::OnceLock,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        AcceptEncoding, CACHE_CONTROL, ContentEncoding, ETag, Encoding, EntityTag, Header as _, IfNoneMatch, VARY,
    },
    web::Bytes,
};
use flate2::{Compression, bufread::GzDecoder, read::GzEncoder};
use sha2::{Digest, Sha256};

use crate::http::chunked_body::chunked_body;

/// Bytes of the hash in an `ETag`.
const TAG_BYTES: usize = 16;

/// A body with its compressed form.
#[derive(Debug)]
pub struct StaticBody {
    content_type: &'static str,
    cache_control: &'static str,
    gzip: Bytes,
    /// Decompressed for the first client that does not accept gzip.
    identity: OnceLock<Bytes>,
    tag: String,
}

impl StaticBody {
    /// Compresses the body.
    pub fn new(content_type: &'static str, cache_control: &'static str, body: Vec<u8>) -> Self {
        let mut gzip = Vec::new();
        GzEncoder::new(body.as_slice(), Compression::best()).read_to_end(&mut gzip).expect("memory is readable");
        let compressed = Self::from_gzip(content_type, cache_control, gzip.into());
        Self { identity: OnceLock::from(Bytes::from(body)), ..compressed }
    }

    /// A body that is compressed already.
    pub fn from_gzip(content_type: &'static str, cache_control: &'static str, gzip: Bytes) -> Self {
        let hash: [u8; 32] = Sha256::digest(&gzip).into();
        let tag = hex::encode(&hash[..TAG_BYTES]);
        Self { content_type, cache_control, gzip, identity: OnceLock::new(), tag }
    }

    /// The body in the encoding that the client prefers, or 304 if the client has it.
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let is_gzip = accepts_gzip(request);
        // The two encodings are different bytes, so they have different strong tags.
        let tag = EntityTag::new_strong(if is_gzip { format!("{}-gzip", self.tag) } else { self.tag.clone() });
        let is_current = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|cached| cached.weak_eq(&tag)),
            Ok(IfNoneMatch::Any) => request.headers().contains_key("if-none-match"),
            Err(_) => false,
        };
        let mut response = if is_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(ETag(tag))
            .insert_header((CACHE_CONTROL, self.cache_control))
            .insert_header((VARY, "accept-encoding"));
        if is_current {
            return response.finish();
        }
        response.content_type(self.content_type);
        if is_gzip {
            response.insert_header(ContentEncoding::Gzip).body(chunked_body(self.gzip.clone()))
        } else {
            response.body(chunked_body(self.identity().clone()))
        }
    }

    fn identity(&self) -> &Bytes {
        self.identity.get_or_init(|| decompress(&self.gzip).expect("the body was compressed with gzip").into())
    }
}

fn decompress(gzip: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut body)?;
    Ok(body)
}

/// Without the header, a client gets the plain body.
fn accepts_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    AcceptEncoding::parse(request).is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}
