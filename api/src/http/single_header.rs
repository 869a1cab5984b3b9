//! Headers that stand once or not at all: of two, proxies and we might each believe another.

use actix_web::http::header::{HeaderMap, HeaderValue};

use crate::problem::{Code, Problem};

/// The only header of this name, if there is one.
pub fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Problem::new(Code::InvalidHeader).detail(format!("{name} stands there more than once"))),
    }
}
