//! HTTPS with a certificate of one's own, over both versions of HTTP.

use std::fs;

use nvisy_api::command;
use nvisy_shared::{probe, testing::TestPlace};
use reqwest::{Certificate, Version};

use crate::support::app::TestApp;

#[actix_web::test]
async fn https_serves_http_1_and_http_2() {
    let place = TestPlace::new().await;
    command::keys(place.keys().folder(), false).unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str| place.keys().path(name).display().to_string();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let settings = [("NVISY_HTTP_TLS_CERTIFICATE_FILE", chain.as_str()), ("NVISY_HTTP_TLS_KEY_FILE", key.as_str())];
    let app = TestApp::start_at(place, &settings).await;

    let trusted = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let url = format!("https://{}/health", app.address);
    for (version, only_1) in [(Version::HTTP_2, false), (Version::HTTP_11, true)] {
        let client = TestApp::builder().tls_certs_only([trusted.clone()]);
        let client = if only_1 { client.http1_only() } else { client };
        let answer = client.build().unwrap().get(&url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.status(), 200);
        // Nothing else is spoken here, so browsers may insist on it.
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
    }
    let suspicious = TestApp::stranger().get(&url).send().await;
    assert!(suspicious.is_err(), "nobody vouches for this certificate");
    let plain = TestApp::stranger().get(format!("http://{}/health", app.address)).send().await;
    assert!(plain.is_err(), "plain HTTP is not spoken beside");
    assert!(probe::is_healthy(app.address, true).await.unwrap());
    let address = app.address.to_string();
    let health = [&settings[..], &[("NVISY_HTTP_ADDRESS", address.as_str())]].concat();
    let output = crate::startup::run("nvisy-api", &["health"], &app.place, &health).await;
    assert!(output.status.success(), "{}", crate::startup::text(&output.stderr));
    app.stop().await;
}
