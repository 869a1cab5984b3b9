//! The API reference page at `/api/scalar`: our own HTML and the bundled script, so that it works without the internet.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, HeaderValue},
    web::{Bytes, Data},
};

use super::static_body::StaticBody;

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

/// Component: the page and its script.
#[derive(Debug)]
pub struct ReferencePage {
    page: StaticBody,
    script: StaticBody,
}

impl ReferencePage {
    pub fn new() -> Self {
        let script = Bytes::from_static(SCRIPT);
        Self {
            page: StaticBody::new("text/html; charset=utf-8", "no-cache", PAGE.into()),
            script: StaticBody::from_gzip("text/javascript; charset=utf-8", "public, max-age=86400", script),
        }
    }
}

/// `GET /api/scalar`
pub async fn page(reference: Data<ReferencePage>, request: HttpRequest) -> HttpResponse {
    let mut response = reference.page.respond(&request);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// `GET /api/scalar/scalar.js`
pub async fn script(reference: Data<ReferencePage>, request: HttpRequest) -> HttpResponse {
    reference.script.respond(&request)
}
