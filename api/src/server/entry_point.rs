//! The response at `/`, for a caller who knows only the address. Like the OpenAPI document, it is no operation of it.

use actix_web::{HttpResponse, http::header::CACHE_CONTROL};
use serde_json::json;

use super::{openapi, reference_page};

/// `GET /`
pub async fn links() -> HttpResponse {
    // The version is that of the API. A public page does not reveal the build.
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-cache")).json(json!({
        "name": openapi::TITLE,
        "version": openapi::VERSION,
        "api": "/api/v1",
        "reference": reference_page::PATH,
        "openapi": openapi::PATH,
        "health": "/health",
    }))
}
