//! Calls of a site: credentials for its own server only, a pace, and `robots.txt`.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::connection::web::{WebCredentials, WebsiteSettings},
    outbound::{GuardedClient, OutboundFailure},
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
    connectors::{CallFailure, OpenConnection},
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
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    delay: Duration,
    next: Instant,
}

impl Site {
    pub(super) fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        let settings: WebsiteSettings = connection.settings()?;
        let credentials: Option<WebCredentials> = connection.credentials()?;
        let delay = Duration::from_millis(settings.delay_milliseconds.into());
        Ok(Self {
            client: cx.outbound.clone(),
            connection: connection.clone(),
            authorization: credentials.as_ref().and_then(authorization),
            pace: Mutex::new(Pace { delay, next: Instant::now() }),
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

    /// Sends a request when the pace allows it. Redirects are not followed.
    pub(super) async fn send(&self, request: reqwest::Request) -> Result<Response, OutboundFailure> {
        let at = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let at = pace.next.max(Instant::now());
            pace.next = at + pace.delay;
            at
        };
        tokio::time::sleep_until(at.into()).await;
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
                    self.slow_down(robots.delay);
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

    fn slow_down(&self, delay: Option<Duration>) {
        if let Some(delay) = delay.filter(|_| !self.settings.ignore_robots) {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.delay = pace.delay.max(delay);
        }
    }
}

/// The address that a response redirects to.
pub(super) fn redirect(response: &Response) -> Option<Url> {
    response.url().join(&text(response.headers(), LOCATION)?).ok()
}
