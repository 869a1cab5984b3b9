//! Websites that are searched and kept in step, and sites that fail, trap or lead elsewhere.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{
    QuickWorker, TestApp,
    synced::{LOOPBACK, Synced, counts},
    web_server::{WebResponse, WebServer},
};

/// Settings of a site without a pause between calls.
fn settings(server: &WebServer) -> Value {
    json!({ "startUrls": [format!("{}/", server.url)], "delayMilliseconds": 0 })
}

async fn synced(server: &WebServer, source: Value) -> Synced {
    Synced::start("website", settings(server), Value::Null, source).await
}

/// The addresses of the files, without that of the server.
async fn paths(synced: &Synced, server: &WebServer) -> Vec<String> {
    synced.ids().await.iter().map(|id| id.trim_start_matches(&server.url).to_owned()).collect()
}

/// Codes of failed objects by their path.
async fn failures(synced: &Synced, server: &WebServer, run: &Value) -> Vec<(String, String)> {
    let failed = synced.failed_objects(run).await;
    let text = |failed: &Value, field: &str| failed[field].as_str().unwrap().to_owned();
    let path = |failed: &Value| text(failed, "externalId").trim_start_matches(&server.url).to_owned();
    failed.iter().map(|failed| (path(failed), text(failed, "code"))).collect()
}

#[actix_web::test]
async fn site_is_searched_and_kept_in_step() {
    let server = WebServer::start().await;
    let robots = format!("User-agent: *\nDisallow: /private\nSitemap: {}/sitemap.xml\n", server.url);
    server.set("/robots.txt", WebResponse::new(200, "text/plain", robots));
    let map = format!("<urlset><url><loc>{}/orphan.html</loc></url></urlset>", server.url);
    server.set("/sitemap.xml", WebResponse::new(200, "application/xml", map));
    server.page(
        "/",
        "<p>The harbour.</p><a href='docs/ebb.html#top'>1</a><a href='/docs/ebb.html?utm_source=x'>2</a><a href='notes.txt'>3</a>\
         <a href='/private/x'>4</a><a href='https://elsewhere.example.org/'>5</a><a href='docs/'>6</a>",
    );
    server.page("/docs/", "<p>All chapters.</p><a href='flood.html'>next</a><a href='../copy.html'>copy</a>");
    server.page("/docs/ebb.html", "<p>Barnacles close at ebb.</p><a href='/'>home</a>");
    server.page("/docs/flood.html", "<p>Limpets graze at flood.</p>");
    server.page("/copy.html", "<link rel='canonical' href='/docs/ebb.html'><p>Barnacles close at ebb.</p>");
    server.page("/orphan.html", "<p>Kelp is an alga.</p>");
    server.set("/notes.txt", WebResponse::new(200, "text/plain", "Gauges are read at noon."));
    let synced = synced(&server, json!({})).await;
    let (app, ada) = (&synced.app, &synced.ada);
    let connection = synced.path(&format!("connections/{}", synced.connection));

    let check = synced.check().await;
    assert_eq!(check["state"], "ok", "{check}");
    let names: Vec<_> = check["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    assert_eq!(names, ["address", "robots", "read", "sitemap"]);
    let streams = app.post(ada, &format!("{connection}/discover"), &json!({})).await.expect(200);
    let settings: Vec<_> = streams["items"].as_array().unwrap().iter().map(|item| item["settings"].clone()).collect();
    assert_eq!(settings, [json!({}), json!({ "path": "docs/" })], "{streams}");
    let body = json!({ "stream": { "path": "docs/" }, "limit": 10 });
    let objects = app.post(ada, &format!("{connection}/browse"), &body).await.expect(200);
    let mut listed: Vec<_> =
        objects["items"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, ["docs/ebb.html", "docs/flood.html", "docs/index.html"], "{objects}");

    server.take_requests();
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [6, 6, 0, 0, 0, 0]), "{run}");
    let expected = ["/", "/docs/", "/docs/ebb.html", "/docs/flood.html", "/notes.txt", "/orphan.html"];
    assert_eq!(paths(&synced, &server).await, expected);
    let files = synced.files().await;
    assert_eq!((&files[2]["name"], &files[2]["state"]), (&json!("ebb.html"), &json!("ready")));
    assert_eq!(files[2]["metadata"]["sourceUrl"], format!("{}/docs/ebb.html", server.url));
    assert_eq!(synced.find("kelp").await, ["orphan.html"]);
    assert_eq!(synced.find("gauges").await, ["notes.txt"]);
    let requests = server.take_requests();
    assert!(requests.iter().all(|(request, _)| !request.target.starts_with("/private")), "{requests:?}");
    let ebb = requests.iter().filter(|(request, _)| request.target.starts_with("/docs/ebb.html")).count();
    assert_eq!(ebb, 1, "each address is read once");

    // Nothing is sent again that did not change: neither pages, though their links lead on, nor other documents.
    let run = synced.sync().await;
    assert_eq!((counts(&run), &run["items"]), ([6, 0, 0, 6, 0, 0], &json!(0)), "{run}");
    for (request, status) in server.take_requests() {
        let is_new = ["/robots.txt", "/sitemap.xml", "/copy.html"].contains(&request.target.as_str());
        assert_eq!(status == 304, !is_new, "{} {status}", request.target);
    }

    server.page("/docs/ebb.html", "<p>Mussels close at ebb.</p>");
    server.page("/docs/", "<p>All chapters.</p><a href='new.html'>new</a>");
    server.page("/docs/new.html", "<p>Whelks are snails.</p>");
    server.remove("/notes.txt");
    let run = synced.sync().await;
    assert_eq!(counts(&run), [5, 1, 2, 2, 2, 0], "{run}");
    let expected = ["/", "/docs/", "/docs/ebb.html", "/docs/new.html", "/orphan.html"];
    assert_eq!(paths(&synced, &server).await, expected, "a page without a link and one that is gone are deleted");
    assert_eq!((synced.find("barnacles").await, synced.find("mussels").await), (vec![], vec!["ebb.html".to_owned()]));
    synced.app.stop().await;
}

#[actix_web::test]
async fn endless_calendar_ends_at_the_caps_with_a_reason() {
    let server = WebServer::start().await;
    server.respond(|request| {
        let day: u32 = request.target.strip_prefix("/day/").and_then(|day| day.parse().ok()).unwrap_or(0);
        let is_day = request.target == "/" || request.target.starts_with("/day/");
        is_day.then(|| WebResponse::html(&format!("<p>Day {day}.</p><a href='/day/{}'>next</a>", day + 1)))
    });
    let mut synced = synced(&server, json!({ "stream": { "maxPages": 40, "maxDepth": 100 } })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed_with_errors"), [41, 40, 0, 0, 0, 1]), "{run}");
    let failed = synced.failed_objects(&run).await;
    assert!(failed[0]["detail"].as_str().unwrap().contains("more than 40 addresses"), "{failed:?}");
    // The distance from the start ends it without a failure.
    synced.pipeline = synced.add_pipeline("near", json!({ "stream": { "maxDepth": 3 } })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)[0]), (&json!("completed"), 4), "{run}");
    synced.pipeline = synced.add_pipeline("skipped", json!({ "stream": { "skip": ["day/**"] } })).await;
    assert_eq!(counts(&synced.sync().await)[0], 1);
    synced.app.stop().await;
}

#[actix_web::test]
async fn page_that_cannot_be_read_fails_alone_and_keeps_the_pages_behind_it() {
    let server = WebServer::start().await;
    server.page(
        "/",
        "<a href=hub.html>1</a><a href=missing.html>2</a><a href=cut.html>3</a><a href='%FF/..%2Fodd.html'>4</a>\
        <a href=large.bin>5</a><a href=a/../../../up.html>6</a>",
    );
    server.page("/hub.html", "<p>The hub.</p><a href=behind.html>on</a>");
    server.page("/behind.html", "<p>Behind the hub.</p>");
    server.page("/up.html", "<p>Above the root is the root.</p>");
    server.page("/%FF/..%2Fodd.html", "<p>An odd name.</p>");
    server.set("/cut.html", WebResponse { missing: 5, ..WebResponse::html("<p>Cut short.</p>") });
    server.set("/large.bin", WebResponse::new(200, "application/octet-stream", vec![b'x'; 20_000]));
    let synced = synced(&server, json!({ "maxBytes": 10_000 })).await;
    let run = synced.sync().await;
    assert_eq!(run["state"], "completed_with_errors", "{run}");
    assert_eq!(paths(&synced, &server).await, ["/", "/%FF/..%2Fodd.html", "/behind.html", "/hub.html", "/up.html"]);
    let missing = |path: &str| (path.to_owned(), "source_missing".to_owned());
    let expected = [missing("/cut.html"), ("/large.bin".to_owned(), "too_large".to_owned()), missing("/missing.html")];
    assert_eq!(failures(&synced, &server, &run).await, expected);

    // The page behind it is still known, so nothing is deleted.
    server.set("/hub.html", WebResponse::status(500));
    server.page("/cut.html", "<p>Whole again.</p>");
    let run = synced.sync().await;
    assert_eq!(counts(&run)[4], 0, "{run}");
    assert_eq!(failures(&synced, &server, &run).await[0], missing("/hub.html"));
    assert_eq!(synced.find("again").await, ["cut.html"]);
    assert!(paths(&synced, &server).await.contains(&"/behind.html".to_owned()));
    server.page("/hub.html", "<p>The hub is back.</p><a href=behind.html>on</a>");
    synced.sync().await;
    assert_eq!(synced.find("back").await, ["hub.html"]);

    // A start that is gone is a mistake rather than the end of the site.
    let before = paths(&synced, &server).await;
    server.set("/", WebResponse::status(404));
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)[4]), (&json!("completed_with_errors"), 0), "{run}");
    assert_eq!(failures(&synced, &server, &run).await[0], missing("/"));
    assert_eq!(paths(&synced, &server).await, before);
    synced.app.stop().await;
}

#[actix_web::test]
async fn redirects_are_followed_within_the_site_and_reach_no_closed_address() {
    let server = WebServer::start().await;
    let foreign = WebServer::start().await;
    foreign.page("/", "<p>Another host.</p>");
    server
        .page("/", "<a href=old>1</a><a href=metadata>2</a><a href=circle>3</a><a href=out>4</a><a href=nowhere>5</a>");
    server.set("/old", WebResponse::redirect("/new.html"));
    server.page("/new.html", "<p>The new place.</p>");
    server.set("/metadata", WebResponse::redirect("http://169.254.169.254/latest/meta-data/"));
    server.set("/circle", WebResponse::redirect("/circle2"));
    server.set("/circle2", WebResponse::redirect("/circle"));
    server.set("/out", WebResponse::redirect(&foreign.url));
    server.set("/nowhere", WebResponse::status(302));
    let synced = synced(&server, json!({})).await;
    let run = synced.sync().await;
    assert_eq!(paths(&synced, &server).await, ["/", "/new.html"]);
    let codes = [("/circle2", "source_rejected"), ("/metadata", "address_refused"), ("/nowhere", "source_rejected")];
    assert_eq!(failures(&synced, &server, &run).await, codes.map(|(path, code)| (path.to_owned(), code.to_owned())));
    assert!(foreign.take_requests().is_empty(), "another host is not a part of the site");

    // A start that leads elsewhere says so, in the check and in the sync.
    server.set("/", WebResponse::redirect(&foreign.url));
    let check = synced.check().await;
    assert!(check.to_string().contains("not a host of the site"), "{check}");
    synced.app.stop().await;
}

#[actix_web::test]
async fn site_on_a_closed_address_is_not_called() {
    let server = WebServer::start().await;
    server.page("/", "<p>Secret.</p>");
    let app = TestApp::start_with_worker(&[("NVISY_OUTBOUND_ALLOWED_NETWORKS", "")]).await;
    // A name shows its address only when it is resolved.
    let named = server.url.replace("127.0.0.1", "localhost");
    let settings = json!({ "startUrls": [named], "delayMilliseconds": 0 });
    let synced = Synced::of(app, "website", settings, Value::Null, json!({})).await;
    let check = synced.check().await;
    assert_eq!((&check["state"], &check["steps"][0]["name"]), (&json!("failed"), &json!("address")), "{check}");
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("public internet"), "{reason}");
    for url in ["http://169.254.169.254/", "http://127.0.0.1/", "http://[::1]/"] {
        let body = json!({ "name": "closed", "provider": "website", "settings": { "startUrls": [url] } });
        synced.app.post(&synced.ada, &synced.path("connections"), &body).await.problem(422, "invalid_body");
    }
    assert!(server.take_requests().is_empty());
    let cancel = synced.path(&format!("runs/{run}/cancel"));
    synced.app.post(&synced.ada, &cancel, &json!({})).await.expect(200);
    synced.app.stop().await;
}

#[actix_web::test]
async fn credentials_are_sent_to_the_first_server_only_and_a_sync_waits_for_right_ones() {
    let (server, other) = (WebServer::start().await, WebServer::start().await);
    other.page("/", "<p>The other host of the site.</p>");
    let link = format!("<p>The intranet.</p><a href='{}/'>other</a>", other.url);
    server.respond(move |request| match request.header("authorization") {
        // ada:hunter2-right
        "Basic YWRhOmh1bnRlcjItcmlnaHQ=" if request.target == "/" => Some(WebResponse::html(&link)),
        _ if request.target == "/" => Some(WebResponse::status(401)),
        _ => None,
    });
    let settings = json!({
        "startUrls": [format!("{}/", server.url)], "hosts": ["127.0.0.1"], "delayMilliseconds": 0, "useSitemaps": false,
    });
    let wrong = json!({ "username": "ada", "password": "hunter2-wrong" });
    let synced = Synced::start("website", settings, wrong, json!({})).await;
    let check = synced.check().await;
    assert!(check["state"] == "failed" && check["steps"][2]["name"] == "read", "{check}");
    let run = synced.start_sync(json!({})).await;
    let reason = synced.waits_because(&run).await;
    assert!(reason.contains("401") && !reason.contains("hunter2-wrong"), "{reason}");
    synced.patch_connection(json!({ "credentials": { "username": "ada", "password": "hunter2-right" } })).await;
    let run = synced.ended(&run).await;
    assert_eq!((&run["state"], counts(&run)[1]), (&json!("completed"), 2), "{run}");
    let requests = other.take_requests();
    assert!(!requests.is_empty() && requests.iter().all(|(request, _)| request.header("authorization").is_empty()));
    synced.app.stop().await;
}

#[actix_web::test]
async fn rates_of_site_and_connection_are_kept() {
    let server = WebServer::start().await;
    let mut busy = 2;
    server.respond(move |request| {
        if request.target == "/b.html" && busy > 0 {
            busy -= 1;
            return Some(WebResponse::status(429).with("retry-after", "1"));
        }
        None
    });
    server.set("/robots.txt", WebResponse::new(200, "text/plain", "User-agent: nvisy\nCrawl-delay: 0.3\n"));
    server.page("/", "<a href=a.html>1</a><a href=b.html>2</a>");
    server.page("/a.html", "<p>Alpha.</p>");
    server.page("/b.html", "<p>Beta.</p>");
    let mut settings = settings(&server);
    settings["rateLimit"] = json!({ "calls": 100, "perSeconds": 1 });
    let app = TestApp::start_with_worker(&[LOOPBACK]).await;
    let synced = Synced::of(app, "website", settings, Value::Null, json!({})).await;
    let began = Instant::now();
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [3, 3, 0, 0, 0, 0]), "{run}");
    // The wait that the site asks for, and a delay before each of the calls that follow robots.txt.
    assert!(began.elapsed() > Duration::from_secs(1) + 4 * Duration::from_millis(300), "{:?}", began.elapsed());
    let requests = server.take_requests();
    let count = |path: &str| requests.iter().filter(|(request, _)| request.target == path).count();
    assert_eq!((count("/a.html"), count("/b.html")), (1, 3), "pages by then are not read again");
    synced.app.stop().await;
}

#[actix_web::test]
async fn pace_of_a_server_is_shared_by_all_jobs_and_workers() {
    const PACE: Duration = Duration::from_millis(150);
    let server = WebServer::start().await;
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let called = Arc::clone(&times);
    server.respond(move |request| {
        if request.target != "/robots.txt" {
            called.lock().unwrap().push(Instant::now());
        }
        None
    });
    server.set("/robots.txt", WebResponse::new(200, "text/plain", "User-agent: *\nCrawl-delay: 0.15\n"));
    // Documents are fetched by other jobs than those that list.
    let links: String = (0..10).map(|at| format!("<a href='{at}.txt'></a><a href='{at}.html'></a>")).collect();
    server.page("/", &format!("<p>The start.</p>{links}"));
    for at in 0..10 {
        server.page(&format!("/{at}.html"), &format!("<p>Page {at}.</p>"));
        server.set(&format!("/{at}.txt"), WebResponse::new(200, "text/plain", format!("Document {at}.")));
    }
    let mut synced = synced(&server, json!({})).await;
    let other = QuickWorker::start(&synced.app).await;
    let first = synced.start_sync(json!({})).await;
    synced.pipeline = synced.add_pipeline("again", json!({})).await;
    let second = synced.start_sync(json!({})).await;
    for run in [first, second] {
        let run = synced.ended(&run).await;
        assert_eq!((&run["state"], counts(&run)[0]), (&json!("completed"), 21), "{run}");
    }
    let times = times.lock().unwrap().clone();
    let took = times[times.len() - 1] - times[0];
    // Of two listings, each of which reads at least the pages. The first call may be slower than the last one.
    let calls = u32::try_from(times.len()).unwrap();
    assert!(calls > 40, "{calls} calls");
    assert!(took > PACE * (calls - 4), "{calls} calls in {took:?}");
    other.stop().await;
    synced.app.stop().await;
}

#[actix_web::test]
async fn pages_that_ask_not_to_be_indexed_are_left_out_unless_the_site_is_ones_own() {
    let server = WebServer::start().await;
    server.page("/", "<a href=hidden.html>1</a><a href=header.html>2</a><a href=blocked.html>3</a>");
    server.page("/hidden.html", "<meta name=robots content=noindex><a href=behind.html>4</a>");
    server.page("/behind.html", "<p>Behind.</p>");
    server.set("/header.html", WebResponse::html("<p>Header.</p>").with("x-robots-tag", "none"));
    server.page("/blocked.html", "<p>Blocked.</p>");
    server.set("/robots.txt", WebResponse::new(200, "text/plain", "User-agent: *\nDisallow: /blocked\n"));
    let synced = synced(&server, json!({})).await;
    synced.sync().await;
    assert_eq!(paths(&synced, &server).await, ["/", "/behind.html"]);
    let mut own = settings(&server);
    own["ignoreRobots"] = json!(true);
    synced.patch_connection(json!({ "settings": own })).await;
    assert_eq!(counts(&synced.sync().await)[0], 5);
    synced.app.stop().await;
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[actix_web::test]
async fn sitemaps_name_the_pages_and_a_broken_one_deletes_nothing() {
    let server = WebServer::start().await;
    server.set("/robots.txt", WebResponse::new(200, "text/plain", "Sitemap: /index.xml\n"));
    let url = &server.url;
    let index = format!(
        "<sitemapindex><sitemap><loc>{url}/one.xml.gz</loc></sitemap><sitemap><loc>{url}/two.txt</loc></sitemap>\
         <sitemap><loc>http://169.254.169.254/three.xml</loc></sitemap></sitemapindex>"
    );
    server.set("/index.xml", WebResponse::new(200, "application/xml", index));
    let first = |pages: &[&str]| {
        let pages: String = pages.iter().map(|page| format!("<url><loc>{url}{page}</loc></url>")).collect();
        WebResponse::new(200, "application/gzip", gzip(&format!("<urlset>{pages}</urlset>")))
    };
    server.set("/one.xml.gz", first(&["/a.html", "/a2.html"]));
    server
        .set("/two.txt", WebResponse::new(200, "text/plain", format!("{url}/b.html\nhttp://elsewhere.example.org/\n")));
    server.page("/", "<p>The start.</p><a href=c.html>not followed</a>");
    for page in ["/a.html", "/a2.html", "/b.html", "/c.html"] {
        server.page(page, &format!("<p>Page {page}.</p><a href=c.html>not followed</a>"));
    }
    let synced = synced(&server, json!({ "stream": { "maxDepth": 0 } })).await;
    let run = synced.sync().await;
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [4, 4, 0, 0, 0, 0]), "{run}");
    let all = ["/", "/a.html", "/a2.html", "/b.html"];
    assert_eq!(paths(&synced, &server).await, all);
    let broken = [WebResponse::status(500), WebResponse::new(200, "application/gzip", gzip("<p>Sign in.</p>"))];
    for response in broken {
        server.set("/one.xml.gz", response);
        let run = synced.sync().await;
        assert_eq!((&run["state"], counts(&run)[4]), (&json!("completed_with_errors"), 0), "{run}");
        assert_eq!(failures(&synced, &server, &run).await[0].0, "/one.xml.gz");
        assert_eq!(paths(&synced, &server).await, all);
    }
    server.set("/one.xml.gz", first(&["/a2.html"]));
    synced.sync().await;
    assert_eq!(paths(&synced, &server).await, ["/", "/a2.html", "/b.html"]);
    synced.app.stop().await;
}
