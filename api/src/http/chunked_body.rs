//! Bodies in memory, sent in chunks.
//!
//! A connection copies each chunk into a buffer of its own, and takes the next one when the client has read the last: a
//! client that reads nothing costs one chunk, not the whole body.

use std::convert::Infallible;

use actix_web::{body::SizedStream, web::Bytes};
use futures::{Stream, stream};

const CHUNK_BYTES: usize = 16 * 1024;

/// The same bytes; a chunk is copied only when the connection takes it.
pub fn chunked_body(bytes: Bytes) -> SizedStream<impl Stream<Item = Result<Bytes, Infallible>>> {
    let length = bytes.len();
    let starts = (0..length).step_by(CHUNK_BYTES);
    let chunks = starts.map(move |start| Ok(bytes.slice(start..length.min(start + CHUNK_BYTES))));
    SizedStream::new(length as u64, stream::iter(chunks))
}
