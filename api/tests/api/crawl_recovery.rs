//! Workers are killed at random during crawls: the files equal the site in the end, each of them once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    support::{
        TestApp,
        synced::{LOOPBACK, Synced, counts},
        web_server::{WebResponse, WebServer},
    },
    sync_recovery::{LEASE, LOCAL, sync_under_fire},
};

const PAGES: usize = 300;
const FOLDERS: usize = 10;

/// A site: the texts of its pages by their paths, and which of them are linked.
struct Site {
    server: WebServer,
    texts: BTreeMap<String, String>,
    links: BTreeMap<String, Vec<String>>,
}

fn path(at: usize) -> String {
    // Every fourth is a document, which the jobs that read objects fetch.
    let extension = if at.is_multiple_of(4) { "txt" } else { "html" };
    format!("/dir{}/{at:03}.{extension}", at % FOLDERS)
}

fn text(at: usize, version: usize) -> String {
    format!("Gauge number{at} stood at level{version} in the morning. {}", "tide ".repeat(version * 3))
}

impl Site {
    async fn start() -> Self {
        let mut site = Self { server: WebServer::start().await, texts: BTreeMap::new(), links: BTreeMap::new() };
        for at in 0..PAGES {
            site.add(at, 1);
        }
        site.index();
        site
    }

    fn add(&mut self, at: usize, version: usize) {
        let folder = format!("/dir{}/", at % FOLDERS);
        self.links.entry(folder).or_default().push(path(at));
        self.change(at, version);
    }

    fn change(&mut self, at: usize, version: usize) {
        let (path, text) = (path(at), text(at, version));
        match path.ends_with("txt") {
            true => self.server.set(&path, WebResponse::new(200, "text/plain", text.clone())),
            false => self.server.page(&path, &format!("<p>{text}</p>")),
        }
        self.texts.insert(path, text);
    }

    /// Removes a page; a link may go on naming it.
    fn remove(&mut self, at: usize, is_linked: bool) {
        let path = path(at);
        self.server.remove(&path);
        self.texts.remove(&path);
        if !is_linked {
            self.links.values_mut().for_each(|links| links.retain(|link| *link != path));
        }
    }

    /// Sets the pages that lead to the others.
    fn index(&mut self) {
        let folders: Vec<_> = self.links.keys().cloned().collect();
        let pages = self.links.iter().map(|(folder, links)| (folder.clone(), links.clone()));
        for (path, links) in pages.chain([("/".to_owned(), folders)]).collect::<Vec<_>>() {
            let text = format!("Readings below {path} by number.");
            let links: String = links.iter().map(|link| format!("<a href='{link}'></a>")).collect();
            self.server.page(&path, &format!("<p>{text}</p>{links}"));
            self.texts.insert(path, text);
        }
    }

    /// Every page has one file with its text, once in the collection, and no other file is left.
    async fn assert_equals_files(&self, synced: &Synced) {
        let files = synced.files().await;
        let found: Vec<_> = files.iter().map(|file| file["externalId"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<_> = self.texts.keys().map(|path| format!("{}{path}", self.server.url)).collect();
        assert_eq!(found, expected);
        for (file, expected) in files.iter().zip(self.texts.values()) {
            assert_eq!(file["state"], "ready", "{file}");
            let chunks = synced.app.chunks(file["id"].as_str().unwrap()).await;
            let text = chunks.iter().map(|chunk| chunk.text.as_str()).collect::<String>();
            assert!(text.split_whitespace().eq(expected.split_whitespace()), "{text}: {file}");
        }
        assert_eq!(synced.app.count("chunk").await, i64::try_from(self.texts.len()).unwrap());
        assert_eq!(synced.app.count("dead_job").await, 0);
    }
}

#[actix_web::test]
async fn files_equal_the_site_after_workers_are_killed_in_two_crawls() {
    let mut site = Site::start().await;
    let app = TestApp::start_with(&[LOCAL, LEASE, LOOPBACK]).await;
    let settings = json!({ "startUrls": [format!("{}/", site.server.url)], "delayMilliseconds": 0 });
    let synced = Synced::of(app, "website", settings, Value::Null, json!({})).await;
    let run = sync_under_fire(&synced, 4).await;
    let all = i64::try_from(site.texts.len()).unwrap();
    assert_eq!((&run["state"], counts(&run)), (&json!("completed"), [all, all, 0, 0, 0, 0]), "{run}");
    site.assert_equals_files(&synced).await;

    // Of every fifth page: 15 change, 15 are gone and 15 not even linked any more, 15 stay; then 20 new ones.
    for (at, what) in (0..PAGES).step_by(5).zip([0, 1, 2, 3].into_iter().cycle()) {
        match what {
            0 => site.change(at, 2),
            1 => site.remove(at, true),
            2 => site.remove(at, false),
            _ => {}
        }
    }
    (PAGES..PAGES + 20).for_each(|at| site.add(at, 1));
    site.index();
    let run = sync_under_fire(&synced, 4).await;
    assert_eq!(run["state"], "completed", "{run}");
    let [_, new, changed, _, deleted, failed] = counts(&run);
    // The pages with the links change too, but for the first.
    let indexes = i64::try_from(FOLDERS).unwrap();
    assert_eq!((new, deleted, failed), (20, 30, 0), "{run}");
    assert!((15..=15 + indexes).contains(&changed), "{run}");
    site.assert_equals_files(&synced).await;
    synced.app.stop().await;
}
