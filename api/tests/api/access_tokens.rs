//! Access tokens: signature, claims and header.

use std::fs;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jwt_simple::prelude::*;
use proptest::{
    prelude::{Strategy, any, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, TestResponse, send};

async fn with_token(app: &TestApp, token: &str) -> TestResponse {
    send(app.request(Method::GET, "/api/v1/account").bearer_auth(token)).await
}

/// The key pair of the API, to sign tokens that the API would not issue.
fn pair(app: &TestApp) -> Ed25519KeyPair {
    let pem = fs::read_to_string(app.deployment.keys().folder().join("private.pem")).unwrap();
    let pair = Ed25519KeyPair::from_pem(&pem).unwrap();
    let id = pair.public_key().jwk_thumbprint();
    pair.with_key_id(&id)
}

/// The claims of a token besides the registered ones.
#[derive(Clone, Serialize, Deserialize)]
struct Session {
    sid: String,
}

/// The session id in an account's access token.
fn session_id(account: &TestAccount) -> String {
    let payload = account.token.split('.').nth(1).unwrap();
    let payload: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    payload["sid"].as_str().unwrap().to_owned()
}

fn claims(account: &TestAccount) -> JWTClaims<Session> {
    Claims::with_custom_claims(Session { sid: session_id(account) }, Duration::from_secs(60))
        .with_issuer("nvisy")
        .with_audience("nvisy-api")
        .with_subject(&account.id)
}

fn encode(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

#[actix_web::test]
async fn expired_token_is_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let mut claims = claims(&ada);
    with_token(&app, &pair(&app).sign(claims.clone()).unwrap()).await.expect(200);
    claims.expires_at = Some(Clock::now_since_epoch() - Duration::from_secs(2));
    with_token(&app, &pair(&app).sign(claims.clone()).unwrap()).await.problem(401, "unauthenticated");
    claims.expires_at = None;
    with_token(&app, &pair(&app).sign(claims).unwrap()).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn clock_skew_of_a_minute_is_tolerated() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let from = |seconds| {
        let mut claims = claims(&ada);
        let time = Some(Clock::now_since_epoch() + Duration::from_secs(seconds));
        (claims.issued_at, claims.invalid_before) = (time, time);
        claims.expires_at = time.map(|time| time + Duration::from_secs(60));
        pair(&app).sign(claims).unwrap()
    };
    with_token(&app, &from(50)).await.expect(200);
    with_token(&app, &from(90)).await.problem(401, "unauthenticated");
    let mut undated = claims(&ada);
    undated.issued_at = None;
    with_token(&app, &pair(&app).sign(undated).unwrap()).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn token_must_name_a_session_of_its_account() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;
    let mut others = claims(&ada);
    others.custom.sid = session_id(&bob);
    with_token(&app, &pair(&app).sign(others).unwrap()).await.problem(401, "unauthenticated");
    let without = Claims::create(Duration::from_secs(60)).with_issuer("nvisy").with_audience("nvisy-api");
    let without = without.with_subject(&ada.id);
    with_token(&app, &pair(&app).sign(without).unwrap()).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn token_of_another_deployment_is_rejected() {
    let app = TestApp::start().await;
    let other = TestApp::start_with(&[("NVISY_AUTH_ISSUER", "other")]).await;
    let ada = app.create_account("ada").await;
    let eve = other.create_account("ada").await;
    with_token(&app, &eve.token).await.problem(401, "unauthenticated");
    with_token(&other, &ada.token).await.problem(401, "unauthenticated");
    // Also with the same keys.
    let named_alike = claims(&eve).with_issuer("other");
    with_token(&app, &pair(&app).sign(named_alike).unwrap()).await.problem(401, "unauthenticated");
    app.stop().await;
    other.stop().await;
}

#[actix_web::test]
async fn foreign_signature_issuer_audience_and_key_id_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bob = app.create_account("bob").await;

    let foreign = Ed25519KeyPair::generate().with_key_id(&pair(&app).public_key().jwk_thumbprint());
    with_token(&app, &foreign.sign(claims(&ada)).unwrap()).await.problem(401, "unauthenticated");

    let elsewhere = claims(&ada).with_issuer("elsewhere");
    with_token(&app, &pair(&app).sign(elsewhere).unwrap()).await.problem(401, "unauthenticated");

    let other_audience = claims(&ada).with_audience("elsewhere");
    with_token(&app, &pair(&app).sign(other_audience).unwrap()).await.problem(401, "unauthenticated");

    let other_key = pair(&app).with_key_id("other");
    with_token(&app, &other_key.sign(claims(&ada)).unwrap()).await.problem(401, "unauthenticated");

    // The claims of one account with the signature of another.
    let ada_parts: Vec<_> = ada.token.split('.').collect();
    let bob_parts: Vec<_> = bob.token.split('.').collect();
    let mixed = [ada_parts[0], bob_parts[1], ada_parts[2]].join(".");
    with_token(&app, &mixed).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn other_algorithms_are_rejected() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let id = pair(&app).public_key().jwk_thumbprint();
    let payload = encode(&json!({
        "iss": "nvisy", "aud": "nvisy-api", "sub": ada.id, "sid": session_id(&ada), "iat": 1, "exp": 9_999_999_999_u64
    }));

    for name in ["none", "None", "NONE", ""] {
        let none = format!("{}.{payload}.", encode(&json!({ "alg": name, "typ": "JWT", "kid": id })));
        with_token(&app, &none).await.problem(401, "unauthenticated");
    }

    // The public key as an HMAC secret, which a verifier that trusts the header would accept.
    let public = fs::read(app.deployment.keys().folder().join("public.pem")).unwrap();
    let hmac = HS256Key::from_bytes(&public).with_key_id(&id).authenticate(claims(&ada)).unwrap();
    with_token(&app, &hmac).await.problem(401, "unauthenticated");
    app.stop().await;
}

#[actix_web::test]
async fn malformed_authorization_header_is_rejected() {
    let app = TestApp::start().await;
    for header in ["", "Bearer", "Bearer ", "Bearer x.y.z", "Basic YTpi", "Bearer \u{e4}"] {
        let request = app.request(Method::GET, "/api/v1/account").header("authorization", header.as_bytes());
        let response = send(request).await;
        assert_eq!(response.header("www-authenticate"), "Bearer");
        response.problem(401, "unauthenticated");
    }
    app.stop().await;
}

/// Random bytes, and almost valid tokens.
#[actix_web::test]
async fn random_authorization_headers_get_the_same_response() {
    let app = TestApp::start().await;
    let ada = app.create_account("ada").await;
    let bearer = |token: Vec<u8>| [b"Bearer ".to_vec(), token].concat();
    let headers = prop_oneof![
        any::<Vec<u8>>(),
        any::<Vec<u8>>().prop_map(bearer),
        "nvisy_[0-9a-f]{70,74}".prop_map(|token| bearer(token.into_bytes())),
        "[A-Za-z0-9_-]{0,200}[.][A-Za-z0-9_-]{0,200}[.][A-Za-z0-9_-]{86}".prop_map(|token| bearer(token.into_bytes())),
    ];
    let mut runner = TestRunner::deterministic();
    let mut sent = 0;
    while sent < 300 {
        let header = headers.new_tree(&mut runner).unwrap().current();
        let Ok(header) = HeaderValue::from_bytes(&header) else { continue };
        let request = app.request(Method::GET, "/api/v1/account").header("authorization", &header);
        let response = send(request).await;
        assert_eq!(response.status, 401, "{header:?}");
        response.problem(401, "unauthenticated");
        sent += 1;
    }
    with_token(&app, &ada.token).await.expect(200);
    app.stop().await;
}
