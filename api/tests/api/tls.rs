//! HTTPS with a configured certificate, over HTTP/1.1 and HTTP/2.

use std::fs;

use nvisy_api::cli;
use nvisy_shared::{probe, testing::TestDeployment};
use reqwest::{Certificate, Version};

use crate::support::{TestApp, run, text};

#[actix_web::test]
async fn https_serves_http_1_and_http_2() {
    let deployment = TestDeployment::new().await;
    cli::keys(deployment.keys().folder(), false).unwrap();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str| deployment.keys().path(name).display().to_string();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    fs::write(&chain, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let settings = [("NVISY_HTTP_TLS_CERTIFICATE_FILE", chain.as_str()), ("NVISY_HTTP_TLS_KEY_FILE", key.as_str())];
    let app = TestApp::start_in(deployment, &settings).await;

    let trusted = Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();
    let url = format!("https://{}/health", app.address);
    for (version, only_1) in [(Version::HTTP_2, false), (Version::HTTP_11, true)] {
        let client = TestApp::client_builder().tls_certs_only([trusted.clone()]);
        let client = if only_1 { client.http1_only() } else { client };
        let response = client.build().unwrap().get(&url).send().await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.status(), 200);
        // The server has no plain HTTP, so browsers may require HTTPS.
        assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
    }
    let untrusting = TestApp::new_client().get(&url).send().await;
    assert!(untrusting.is_err(), "a client accepted an untrusted certificate");
    let plain = TestApp::new_client().get(format!("http://{}/health", app.address)).send().await;
    assert!(plain.is_err(), "plain HTTP was served");
    assert!(probe::is_healthy(app.address, true).await.unwrap());
    let address = app.address.to_string();
    let health = [&settings[..], &[("NVISY_HTTP_ADDRESS", address.as_str())]].concat();
    let output = run("nvisy-api", &["health"], &app.deployment, &health).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    app.stop().await;
}
