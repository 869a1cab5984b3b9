//! Calls of a site: credentials for its own server only, a pace that all workers share, and `robots.txt`.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nvisy_shared::{
    domain::connection::web::{WebCredentials, WebsiteSettings},
    outbound::{GuardedClient, OutboundFailure},
    store::Db,
};
use reqwest::{
    Method, Response, Url,
    header::{HeaderValue, LOCATION},
};

use super::{
    super::http::{authorization, authorized, of_status, open, read_prefix, request, text, uncompressed},
    robots::{self, Robots},
};
use crate::{
    connectors::{CallFailure, OpenConnection, gate},
    context::Context,
};

/// Redirects of `robots.txt`, as the RFC asks for.
const MAX_REDIRECTS: usize = 5;

/// A site, for the calls of one job.
#[derive(Debug)]
pub(super) struct Site {
    /// The client that checks addresses.
    pub(super) client: GuardedClient,
    /// The connection, whose secrets no text contains.
    pub(super) connection: OpenConnection,
    /// The settings of the connection.
    pub(super) settings: WebsiteSettings,
    authorization: Option<HeaderValue>,
    db: Db,
    /// The waits that servers ask for, by server.
    asked_delays: Mutex<HashMap<String, Duration>>,
}

/// Host and port of an address.
fn server_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

impl Site {
    pub(super) fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        let settings: WebsiteSettings = connection.settings()?;
        let credentials: Option<WebCredentials> = connection.credentials()?;
        Ok(Self {
            client: cx.outbound.clone(),
            connection: connection.clone(),
            authorization: credentials.as_ref().and_then(authorization),
            db: cx.db.clone(),
            asked_delays: Mutex::default(),
            settings,
        })
    }

    /// The longest wait for a response.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.settings.timeout_seconds.into())
    }

    /// A request for an address, with the credentials if it is of the server that they are for.
    pub(super) fn request(&self, url: &Url) -> reqwest::Request {
        let is_own = self.settings.start_urls.first().is_some_and(|start| start.origin() == url.origin());
        authorized(request(Method::GET, url.clone()), self.authorization.as_ref().filter(|_| is_own))
    }

    /// Sends a request when the pace of its server allows it. Redirects are not followed.
    pub(super) async fn send(&self, request: reqwest::Request) -> Result<Response, OutboundFailure> {
        let (server, delay) = (server_of(request.url()), self.delay(request.url()));
        gate::wait_for_server(&self.db, self.connection.workspace, &server, delay).await;
        open(&self.client, request, self.timeout()).await
    }

    /// The rules of the server of an address. A server without the file has none; one that fails cannot be read now.
    pub(super) async fn robots(&self, url: &Url) -> Result<Robots, CallFailure> {
        let mut at = url.join("/robots.txt").map_err(|_| CallFailure::Blocked("it has no robots.txt".to_owned()))?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(uncompressed(self.request(&at))).await?;
            match response.status().as_u16() {
                200..=299 => {
                    let body = read_prefix(response, robots::MAX_BYTES).await?;
                    let robots = Robots::parse(&String::from_utf8_lossy(&body));
                    self.slow_down(url, robots.delay);
                    return Ok(robots);
                }
                300..=399 => match redirect(&response) {
                    Some(target) => at = target,
                    None => break,
                },
                400..=499 if response.status().as_u16() != 429 => break,
                500..=599 if self.settings.ignore_robots => break,
                _ => return Err(of_status(response.status(), response.headers(), b"")),
            }
        }
        Ok(Robots::default())
    }

    /// Keeps the wait that a server asks for, unless the site is the user's own.
    pub(super) fn slow_down(&self, url: &Url, delay: Option<Duration>) {
        if let Some(delay) = delay.filter(|_| !self.settings.ignore_robots) {
            let mut delays = self.asked_delays.lock().unwrap_or_else(PoisonError::into_inner);
            delays.insert(server_of(url), delay);
        }
    }

    /// The wait that the server of an address asks for.
    pub(super) fn asked_delay(&self, url: &Url) -> Option<Duration> {
        self.asked_delays.lock().unwrap_or_else(PoisonError::into_inner).get(&server_of(url)).copied()
    }

    /// The time between two calls of the server of an address.
    fn delay(&self, url: &Url) -> Duration {
        let own = Duration::from_millis(self.settings.delay_milliseconds.into());
        self.asked_delay(url).map_or(own, |asked| asked.max(own))
    }
}

/// The address that a response redirects to.
pub(super) fn redirect(response: &Response) -> Option<Url> {
    response.url().join(&text(response.headers(), LOCATION)?).ok()
}
