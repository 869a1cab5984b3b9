//! Bodies that are in memory, handed over in pieces.
//!
//! A connection takes what it is given into a buffer of its own, whole. In pieces it takes the next one when the client
//! has read what was there, so that clients which read nothing cost little.

use std::convert::Infallible;

use actix_web::{body::SizedStream, web::Bytes};
use futures::{Stream, stream};

const PIECE: usize = 16 * 1024;

/// The same bytes, none of them copied before they are due.
pub fn pieces(bytes: Bytes) -> SizedStream<impl Stream<Item = Result<Bytes, Infallible>>> {
    let length = bytes.len();
    let starts = (0..length).step_by(PIECE);
    let pieces = starts.map(move |start| Ok(bytes.slice(start..length.min(start + PIECE))));
    SizedStream::new(length as u64, stream::iter(pieces))
}
