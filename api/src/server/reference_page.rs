//! The API reference page at `/api/scalar`: our own HTML and the bundled script, so that it works without the internet.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY},
    web::Bytes,
};

use crate::http::chunked_body::chunked_body;

/// The path of the page.
pub const PATH: &str = "/api/scalar";

/// Compressed before it was committed: see `assets/README.md`.
const SCRIPT: &[u8] = include_bytes!("../../assets/scalar.js.gz");

/// Features that need the servers of Scalar are disabled.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Nvisy API</title>
    <link rel="icon" href="data:,">
  </head>
  <body>
    <script id="api-reference" data-url="/api/openapi.json" data-configuration='{
      "withDefaultFonts": false,
      "telemetry": false,
      "agent": { "disabled": true },
      "mcp": { "disabled": true },
      "showDeveloperTools": "never",
      "hideClientButton": true,
      "authentication": { "preferredSecurityScheme": "bearer" }
    }'></script>
    <script src="/api/scalar/scalar.js"></script>
  </body>
</html>
"#;

/// The page may talk to this origin and to no other.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `GET /api/scalar`
pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(PAGE)
}

/// `GET /api/scalar/scalar.js`
pub async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((CONTENT_ENCODING, "gzip"))
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .body(chunked_body(Bytes::from_static(SCRIPT)))
}
