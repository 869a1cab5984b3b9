//! Headers that may appear once: of two, a proxy and this API might each believe another one.

use actix_web::http::header::{HeaderMap, HeaderValue};

use crate::problem::{Code, Problem};

/// The header of this name, if there is one; 400 if there are several.
pub fn single_header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Problem::new(Code::InvalidHeader).detail(format!("{name} appears more than once"))),
    }
}
