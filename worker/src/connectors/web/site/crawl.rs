//! A listing of a site: address by address, nearest first, until none is left or a limit is reached.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    outbound::OutboundFailure,
};
use reqwest::{StatusCode, Url};

use super::{
    super::http::{compressed, of_status, uncompressed},
    address,
    frontier::{Entry, Frontier, Kind},
    robots::Robots,
    scope::Scope,
    server::{Site, redirect},
    sitemap::{self, Sitemap},
    visit::{Kept, Visit, rejected},
};
use crate::connectors::{CallFailure, Memory, ObjectFailure, Page, source::Listing};

/// Calls of a page of the listing.
const PAGE_CALLS: u32 = 16;
/// Bytes of content after which a page of the listing ends.
const PAGE_BYTES: usize = 16 << 20;
/// Time after which a page of the listing ends.
const PAGE_TIME: Duration = Duration::from_secs(10);
/// Failed calls in a row after which the site is not available, rather than a page of it.
const MAX_FAILURES: u32 = 10;
/// Redirects from one address.
const MAX_REDIRECTS: usize = 10;
/// Sitemaps within each other.
const MAX_SITEMAP_DEPTH: u8 = 3;

/// A listing of a site.
pub(super) struct Crawl {
    site: Arc<Site>,
    scope: Scope,
    memory: Option<Arc<dyn Memory>>,
    frontier: Frontier,
    /// The rules of servers, by origin; `None`: the server cannot be read.
    robots: HashMap<String, Option<Robots>>,
    allowed_calls: u32,
}

/// The cost of an address.
#[derive(Clone, Copy, Default)]
struct Cost {
    calls: u32,
    bytes: usize,
}

impl Crawl {
    pub(super) fn new(
        site: Arc<Site>,
        scope: Scope,
        memory: Option<Arc<dyn Memory>>,
        checkpoint: Option<&serde_json::Value>,
    ) -> Self {
        let resumed = checkpoint.and_then(Frontier::resume);
        let frontier = resumed.unwrap_or_else(|| Frontier::new(scope.starts(), scope.stream.max_pages));
        Self { site, scope, memory, frontier, robots: HashMap::new(), allowed_calls: PAGE_CALLS }
    }

    /// Reads an address. An error leaves everything as it was.
    async fn read(&mut self, entry: &Entry, page: &mut Page) -> Result<Cost, CallFailure> {
        let origin = entry.url.origin().ascii_serialization();
        if !self.robots.contains_key(&origin) {
            self.read_robots(&origin, entry, page).await?;
            self.frontier.put_back(entry.clone());
            return Ok(Cost { calls: 1, bytes: 0 });
        }
        let robots = self.robots.get(&origin).cloned().flatten();
        let Some(robots) = robots else { return Ok(Cost::default()) };
        if !self.site.settings.ignore_robots && !robots.allows(&entry.url) {
            if entry.kind == Kind::Start {
                self.fail(entry, rejected("robots.txt does not allow reading it"), page);
            }
            return Ok(Cost::default());
        }
        match entry.kind {
            Kind::Page | Kind::Start => self.read_page(entry, page).await,
            Kind::Sitemap(_) | Kind::UsualSitemap => self.read_sitemap(entry, page).await,
        }
    }

    /// Reads the rules of a server, and adds its sitemaps if it is that of a start.
    async fn read_robots(&mut self, origin: &str, entry: &Entry, page: &mut Page) -> Result<(), CallFailure> {
        let is_start = self.scope.starts().iter().any(|start| start.origin() == entry.url.origin());
        let robots = match self.site.robots(&entry.url).await {
            Ok(robots) => Some(robots),
            // A server at which nothing begins: its pages are left out.
            Err(CallFailure::Unavailable(reason) | CallFailure::Blocked(reason)) if !is_start => {
                self.frontier.is_incomplete = true;
                let mut failed = entry.clone();
                failed.url = entry.url.join("/robots.txt").unwrap_or_else(|_| entry.url.clone());
                self.fail(&failed, unreadable(&reason), page);
                None
            }
            Err(failure) => return Err(failure),
        };
        if let Some(robots) = robots.as_ref().filter(|_| entry.kind == Kind::Start && self.site.settings.use_sitemaps) {
            let named = robots.sitemaps.iter().filter_map(|address| entry.url.join(address).ok());
            let named: Vec<_> = named.chain(self.site.settings.sitemaps.iter().cloned()).collect();
            if named.is_empty() {
                self.add_sitemap(entry.url.join("/sitemap.xml").ok(), Kind::UsualSitemap);
            }
            for url in named {
                self.add_sitemap(Some(url), Kind::Sitemap(0));
            }
        }
        self.robots.insert(origin.to_owned(), robots);
        Ok(())
    }

    fn add_sitemap(&mut self, url: Option<Url>, kind: Kind) {
        if let Some(url) = url.and_then(|url| self.scope.normalize(&url)) {
            self.frontier.add(Entry { url, depth: 0, kind, via: Vec::new() }, true);
        }
    }

    async fn read_page(&mut self, entry: &Entry, page: &mut Page) -> Result<Cost, CallFailure> {
        let id = entry.url.to_string();
        let known = match &self.memory {
            Some(memory) => memory.of(vec![id.clone()]).await?.remove(&id),
            None => None,
        };
        let is_known = known.is_some();
        let kept: Option<Kept> = known.and_then(|kept| serde_json::from_value(kept).ok());
        let known_links = kept.as_ref().map(|kept| kept.links.clone()).unwrap_or_default();
        let visit = match self.site.visit(&entry.url, &self.scope, kept).await {
            Ok(visit) => visit,
            Err(failure) => {
                self.failed(entry, failure, page)?;
                // The pages behind it are still known.
                self.add_links(entry, known_links);
                return Ok(Cost { calls: 1, bytes: 0 });
            }
        };
        self.frontier.failures = 0;
        self.frontier.has_read = true;
        let mut cost = Cost { calls: 1, bytes: 0 };
        match visit {
            Visit::Read { object, links, canonical, bytes } => {
                cost.bytes = bytes;
                self.add_links(entry, links);
                match (canonical, object) {
                    (Some(canonical), _) => self.move_to(entry, canonical, page),
                    (None, Some(object)) if self.scope.takes(&entry.url) => page.objects.push(*object),
                    _ => {}
                }
            }
            Visit::Moved(target) => {
                page.deleted.extend(Some(id).filter(|_| is_known && entry.kind == Kind::Page));
                self.redirected(entry, &target, page);
            }
            Visit::Gone(_) if is_known && entry.kind == Kind::Page => page.deleted.push(id),
            Visit::Gone(status) => {
                self.fail(entry, missing(status), page);
                self.add_links(entry, known_links);
            }
            Visit::Failed(failure) => {
                self.fail(entry, failure, page);
                self.add_links(entry, known_links);
            }
        }
        Ok(cost)
    }

    fn add_links(&mut self, entry: &Entry, links: Vec<Url>) {
        if entry.depth >= self.scope.stream.max_depth {
            return;
        }
        for url in links {
            self.frontier.add(Entry { url, depth: entry.depth + 1, kind: Kind::Page, via: Vec::new() }, false);
        }
    }

    /// Reads the address that a page is at, in place of its own.
    fn move_to(&mut self, entry: &Entry, url: Url, page: &mut Page) {
        let mut via = entry.via.clone();
        via.push(address::hash(&entry.url));
        if via.contains(&address::hash(&url)) {
            self.fail(entry, rejected("it redirects in a circle"), page);
        } else if via.len() > MAX_REDIRECTS {
            self.fail(entry, rejected(format!("it redirects more than {MAX_REDIRECTS} times")), page);
        } else {
            self.frontier.add(Entry { url, depth: entry.depth, kind: entry.kind, via }, true);
        }
    }

    /// A redirect within the site is read there; each address on the way is checked as any other.
    fn redirected(&mut self, entry: &Entry, target: &Url, page: &mut Page) {
        let url = self.scope.normalize(target).filter(|url| self.scope.is_of_site(url));
        if let Some(url) = url.filter(|url| !self.scope.skips(url)) {
            return self.move_to(entry, url, page);
        }
        if let Err(OutboundFailure::Blocked(reason)) = self.site.client.check(target) {
            let failure = Failure::new(FailureCode::AddressRefused, format!("it redirects elsewhere: {reason}"));
            self.fail(entry, failure, page);
        } else if entry.kind == Kind::Start {
            let host = target.host_str().unwrap_or_default();
            let reason = format!("it redirects to `{host}`, which is not a host of the site: add it to `hosts`");
            self.fail(entry, rejected(reason), page);
        }
    }

    /// A failed call concerns its page, unless it is a start, or many fail.
    fn failed(&mut self, entry: &Entry, failure: CallFailure, page: &mut Page) -> Result<(), CallFailure> {
        let is_first = entry.kind == Kind::Start && !self.frontier.has_read;
        let failure = match failure {
            CallFailure::Unavailable(_) if is_first || self.frontier.failures >= MAX_FAILURES => return Err(failure),
            CallFailure::Unavailable(reason) => {
                self.frontier.failures += 1;
                unreadable(&reason)
            }
            CallFailure::Blocked(_) if entry.kind == Kind::Start => return Err(failure),
            CallFailure::Blocked(reason) => {
                let is_closed = self.site.client.check(&entry.url).is_err() || reason.contains("public internet");
                let code = if is_closed { FailureCode::AddressRefused } else { FailureCode::SourceMissing };
                Failure::new(code, format!("the server does not give it: {reason}"))
            }
            CallFailure::Item(failure) => failure,
            busy @ CallFailure::Busy { .. } => return Err(busy),
        };
        self.fail(entry, failure, page);
        Ok(())
    }

    /// Reports an address. Behind a start there may be pages that nothing else leads to: they are not deleted.
    fn fail(&mut self, entry: &Entry, failure: Failure, page: &mut Page) {
        self.frontier.is_incomplete |= entry.kind == Kind::Start;
        let failure = match CallFailure::Item(failure).redacted(&self.site.connection) {
            CallFailure::Item(failure) => failure,
            other => rejected(other.to_string()),
        };
        page.failures.push(ObjectFailure {
            external_id: entry.url.to_string(),
            name: address::path_name(&entry.url),
            failure,
        });
    }

    async fn read_sitemap(&mut self, entry: &Entry, page: &mut Page) -> Result<Cost, CallFailure> {
        // Bytes of a compressed file are not compressed again.
        let request = self.site.request(&entry.url);
        let is_packed = entry.url.path().ends_with(".gz");
        let request = if is_packed { uncompressed(request) } else { compressed(request) };
        let mut cost = Cost { calls: 1, bytes: 0 };
        let read = async {
            let response = self.site.send(request).await?;
            match response.status().as_u16() {
                200 => Ok(Ok(self.site.client.read(response, sitemap::MAX_BYTES).await?)),
                300..=399 => Ok(Err(redirect(&response))),
                _ => Err(of_status(response.status(), response.headers(), b"")),
            }
        };
        let body = match read.await {
            Ok(Ok(body)) => body,
            Ok(Err(Some(target))) if entry.via.len() < MAX_REDIRECTS => {
                let mut via = entry.via.clone();
                via.push(address::hash(&entry.url));
                if let Some(url) = self.scope.normalize(&target) {
                    self.frontier.add(Entry { url, via, ..entry.clone() }, true);
                }
                return Ok(cost);
            }
            Err(CallFailure::Item(_) | CallFailure::Blocked(_)) | Ok(Err(_)) if entry.kind == Kind::UsualSitemap => {
                return Ok(cost);
            }
            Ok(Err(_)) => {
                self.frontier.is_incomplete = true;
                self.fail(entry, rejected("the sitemap redirects to no address, or too often"), page);
                return Ok(cost);
            }
            Err(failure) => {
                self.failed(entry, failure, page)?;
                self.frontier.is_incomplete = true;
                return Ok(cost);
            }
        };
        cost.bytes = body.len();
        match (Sitemap::parse(&body), entry.kind) {
            (Ok(found), kind) => self.add_addresses(entry, found, kind, page),
            // Some servers answer every address with a page.
            (Err(_), Kind::UsualSitemap) => {}
            (Err(reason), _) => {
                self.frontier.is_incomplete = true;
                self.fail(entry, rejected(format!("the sitemap cannot be read: {reason}")), page);
            }
        }
        Ok(cost)
    }

    fn add_addresses(&mut self, entry: &Entry, found: Sitemap, kind: Kind, page: &mut Page) {
        let depth = if let Kind::Sitemap(depth) = kind { depth } else { 0 };
        if !found.sitemaps.is_empty() && depth >= MAX_SITEMAP_DEPTH {
            self.frontier.is_incomplete = true;
            self.fail(entry, rejected("too many sitemaps are within each other"), page);
            return;
        }
        for address in found.sitemaps {
            // One that another sitemap names is of the site itself.
            let url = entry.url.join(&address).ok();
            let is_allowed = |url: &Url| url.origin() == entry.url.origin() || self.scope.is_of_site(url);
            let url = url.filter(is_allowed);
            self.add_sitemap(url, Kind::Sitemap(depth + 1));
        }
        for address in found.pages {
            if let Some(url) = entry.url.join(&address).ok().and_then(|url| self.scope.followed(&url)) {
                self.frontier.add(Entry { url, depth: 0, kind: Kind::Page, via: Vec::new() }, false);
            }
        }
    }

    /// The end of the listing.
    fn last(&self, page: &mut Page) {
        page.complete = !self.frontier.is_capped && !self.frontier.is_incomplete;
        if self.frontier.is_capped
            && let Some(start) = self.scope.starts().first()
        {
            let reason = format!(
                "the site has more than {} addresses: further ones were not read, and deleted pages not looked for; raise `maxPages`, or \
                 leave out parts of the site with `skip`",
                self.scope.stream.max_pages
            );
            page.failures.push(ObjectFailure {
                external_id: format!("{start}#maxPages"),
                name: "maxPages".to_owned(),
                failure: rejected(reason),
            });
        }
    }
}

fn unreadable(reason: &str) -> Failure {
    Failure::new(FailureCode::SourceMissing, format!("it cannot be read: {reason}"))
}

fn missing(status: StatusCode) -> Failure {
    Failure::new(FailureCode::SourceMissing, format!("there is no such page: {status}"))
}

impl Listing for Crawl {
    fn max_calls(&self) -> u32 {
        PAGE_CALLS
    }

    fn allow_calls(&mut self, calls: u32) {
        self.allowed_calls = calls;
    }

    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut page = Page::default();
        let (began, mut spent) = (Instant::now(), Cost::default());
        while spent.calls < self.allowed_calls && spent.bytes < PAGE_BYTES && began.elapsed() < PAGE_TIME {
            let Some(entry) = self.frontier.take() else { break };
            match self.read(&entry, &mut page).await {
                Ok(cost) => {
                    spent = Cost { calls: spent.calls + cost.calls, bytes: spent.bytes + cost.bytes };
                }
                Err(failure) if spent.calls == 0 => return Err(failure),
                Err(_) => {
                    // The pages by now count; the next call meets the failure again.
                    self.frontier.put_back(entry);
                    break;
                }
            }
        }
        if self.frontier.is_empty() {
            self.last(&mut page);
        } else {
            page.checkpoint = Some(self.frontier.checkpoint());
        }
        Ok(page)
    }
}
