//! The source of a connection to a website.

use std::{collections::BTreeMap, sync::Arc};

use nvisy_shared::domain::{
    connection::{CheckStep, web::WebsiteSettings},
    failure::FailureCode,
};
use reqwest::Url;
use serde_json::{Value, json};

use super::{
    super::http::{compressed, content, of_status, text, uncompressed},
    address::path_name,
    crawl::Crawl,
    scope::Scope,
    server::Site,
    sitemap::{self, Sitemap},
    visit::{Locator, Visit},
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, OpenConnection,
        Source, Stream, target::step,
    },
    context::Context,
};

/// Streams that are discovered.
const MAX_STREAMS: usize = 100;
/// Redirects of the first page that a check follows.
const MAX_REDIRECTS: usize = 5;

/// A website.
struct Website(Arc<Site>);

/// Opens a website; makes no call.
pub(in crate::connectors) fn open(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(Website(Arc::new(Site::new(cx, connection)?))))
}

/// The first page of a site, where it is after redirects.
struct FirstPage {
    url: Url,
    links: Vec<Url>,
    robots: super::robots::Robots,
}

impl Website {
    fn settings(&self) -> &WebsiteSettings {
        &self.0.settings
    }

    async fn first_page(&self, stream: &Value, steps: &mut CheckResult) -> Result<FirstPage, CheckStep> {
        let failed = |name: &str, failure: CallFailure| step(name, Err(failure.to_string()));
        let scope = Scope::new(self.settings(), stream).map_err(|failure| failed("stream", failure))?;
        let start = scope.starts().first().cloned();
        let mut url = start.ok_or_else(|| step("address", Err("there is no address to begin with".to_owned())))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let resolved = self.0.client.check_resolved(&url).await;
        resolved.map_err(|failure| failed("address", failure.into()))?;
        steps.push(step("address", Ok(format!("{host} may be called"))));
        let robots = self.0.robots(&url).await.map_err(|failure| failed("robots", failure))?;
        if !self.settings().ignore_robots && !robots.allows(&url) {
            return Err(step("robots", Err(format!("robots.txt does not allow reading {url}"))));
        }
        steps.push(step("robots", Ok("robots.txt allows reading the first page".to_owned())));
        for _ in 0..=MAX_REDIRECTS {
            match self.0.visit(&url, &scope, None).await.map_err(|failure| failed("read", failure))? {
                Visit::Read { links, .. } => return Ok(FirstPage { url, links, robots }),
                Visit::Moved(target) if scope.is_of_site(&target) => url = target,
                Visit::Moved(target) => {
                    let host = target.host_str().unwrap_or_default();
                    let reason =
                        format!("it redirects to `{host}`, which is not a host of the site: add it to `hosts`");
                    return Err(step("read", Err(reason)));
                }
                Visit::Gone(status) => return Err(step("read", Err(format!("there is no such page: {status}")))),
                Visit::Failed(failure) => return Err(step("read", Err(failure.detail))),
            }
        }
        Err(step("read", Err(format!("it redirects more than {MAX_REDIRECTS} times"))))
    }

    /// The addresses of the first sitemap.
    async fn sitemap(&self, first: &FirstPage) -> Option<Sitemap> {
        let named = first.robots.sitemaps.first().and_then(|address| first.url.join(address).ok());
        let named = named.or_else(|| self.settings().sitemaps.first().cloned());
        let url = named.or_else(|| first.url.join("/sitemap.xml").ok()).filter(|_| self.settings().use_sitemaps)?;
        let response = self.0.send(compressed(self.0.request(&url))).await.ok()?;
        let is_found = response.status().is_success();
        let body = self.0.client.read(response, sitemap::MAX_BYTES).await.ok().filter(|_| is_found)?;
        Sitemap::parse(&body).ok()
    }
}

impl Source for Website {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let mut steps = Vec::new();
        let stream = stream.cloned().unwrap_or_else(|| json!({}));
        match self.first_page(&stream, &mut steps).await {
            Err(failed) => steps.push(failed),
            Ok(first) => {
                steps.push(step(
                    "read",
                    Ok(format!("the first page is read; {} links are followed", first.links.len())),
                ));
                if self.settings().use_sitemaps {
                    let found = match self.sitemap(&first).await {
                        None => "no sitemap is found".to_owned(),
                        Some(found) if found.sitemaps.is_empty() => format!("{} addresses", found.pages.len()),
                        Some(found) => format!("{} further sitemaps", found.sitemaps.len()),
                    };
                    steps.push(step("sitemap", Ok(found)));
                }
            }
        }
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        let first = self.first_page(&json!({}), &mut Vec::new()).await;
        let first = first.map_err(|failed| CallFailure::Unavailable(failed.detail))?;
        let scope = Scope::new(self.settings(), &json!({}))?;
        let listed = self.sitemap(&first).await.unwrap_or_default().pages;
        let listed = listed.iter().filter_map(|address| scope.followed(&first.url.join(address).ok()?));
        let mut folders: BTreeMap<String, usize> = BTreeMap::new();
        let is_allowed = |url: &Url| self.settings().ignore_robots || first.robots.allows(url);
        for url in listed.chain(first.links.iter().cloned()).filter(is_allowed) {
            if let Some((folder, _)) = url.path().trim_start_matches('/').split_once('/') {
                *folders.entry(format!("{folder}/")).or_default() += 1;
            }
        }
        let stream =
            |name: String, settings: Value| Stream { name, settings, cursor_fields: Vec::new(), incremental: false };
        let all = stream(first.url.host_str().unwrap_or_default().to_owned(), json!({}));
        let folders = folders.into_keys().map(|path| stream(path.clone(), json!({ "path": path })));
        Ok([all].into_iter().chain(folders).take(MAX_STREAMS).collect())
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let scope = Scope::new(self.settings(), &request.stream)?;
        Ok(Box::new(Crawl::new(Arc::clone(&self.0), scope, request.memory, request.checkpoint.as_ref())))
    }

    /// Without a condition: a page that changed since it was listed has another revision in the next listing, and validators of a
    /// compressed response are often others than those of this one.
    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let invalid = || CallFailure::item(FailureCode::InvalidName, "the page was listed without its address");
        let locator = object.locator.clone().and_then(|locator| serde_json::from_value(locator).ok());
        let Locator { url, delay } = locator.ok_or_else(invalid)?;
        self.0.slow_down(&url, delay);
        let response = self.0.send(uncompressed(self.0.request(&url))).await?;
        match response.status().as_u16() {
            200 => {}
            300..=399 => {
                let reason = format!("{} has moved since it was listed; the next sync reads it", path_name(&url));
                return Err(CallFailure::item(FailureCode::SourceChanged, reason));
            }
            401 | 403 => {
                let reason = format!("the server does not allow reading it: {}", response.status());
                return Err(CallFailure::item(FailureCode::SourceMissing, reason));
            }
            _ => return Err(of_status(response.status(), response.headers(), b"")),
        }
        let media_type = text(response.headers(), reqwest::header::CONTENT_TYPE);
        Ok(FetchedObject { content: content(&self.0.client, response).await?, media_type })
    }
}
