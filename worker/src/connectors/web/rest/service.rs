//! The source of a connection to a service: calls, checks, and single items.

use std::sync::Arc;

use nvisy_shared::{
    domain::{
        connection::{
            self,
            web::{RestAuth, RestSettings, RestStream, WebCredentials},
        },
        failure::FailureCode,
    },
    outbound::GuardedClient,
    secret::Secret,
};
use reqwest::{
    Method, Request, Url,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    super::http::{self, body_failure, compressed, of_status, request, with_header},
    item,
    listing::ItemListing,
    paging,
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, Listing,
        OpenConnection, Source, Stream, target::step,
    },
    context::Context,
};

/// Largest response that is read.
const MAX_RESPONSE_BYTES: usize = 32 << 20;

/// A service, for the calls of one job.
pub(super) struct Service {
    client: GuardedClient,
    pub(super) connection: OpenConnection,
    pub(super) settings: RestSettings,
    authorization: Option<(HeaderName, HeaderValue)>,
    parameter: Option<(String, Secret<String>)>,
}

/// A response.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
}

struct RestSource(Arc<Service>);

/// Opens a service; makes no call.
pub(in crate::connectors) fn open(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(RestSource(Arc::new(Service::new(cx, connection)?))))
}

impl Service {
    fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        let settings: RestSettings = connection.settings()?;
        let credentials: Option<WebCredentials> = connection.credentials()?;
        let token = credentials.as_ref().and_then(|credentials| credentials.token.as_ref());
        let lacks = |what: &str| CallFailure::Blocked(format!("`auth` needs {what} in the credentials"));
        let (mut authorization, mut parameter) = (None, None);
        match &settings.auth {
            RestAuth::None => {}
            RestAuth::Bearer | RestAuth::Basic => {
                let is_basic = settings.auth == RestAuth::Basic;
                let fitting = credentials.as_ref().filter(|credentials| credentials.token.is_none() == is_basic);
                let what = if is_basic { "`username` and `password`" } else { "`token`" };
                let value = fitting.and_then(http::authorization).ok_or_else(|| lacks(what))?;
                authorization = Some((reqwest::header::AUTHORIZATION, value));
            }
            RestAuth::Header { name } => {
                let token = token.ok_or_else(|| lacks("`token`"))?;
                let name = HeaderName::from_bytes(name.as_bytes()).ok();
                authorization = name.zip(http::secret(token.expose()));
            }
            RestAuth::Query { name } => {
                let token = token.ok_or_else(|| lacks("`token`"))?;
                parameter = Some((name.clone(), token.clone()));
            }
        }
        let (client, connection) = (cx.outbound.clone(), connection.clone());
        Ok(Self { client, connection, settings, authorization, parameter })
    }

    /// The address of a path below that of the connection.
    pub(super) fn address(&self, path: &str) -> Url {
        let mut url = self.settings.base_url.clone();
        if path.trim_matches('/').is_empty() {
            return url;
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.trim_start_matches('/').split('/').filter(|part| *part != "."));
        }
        url
    }

    /// Whether an address is one of the service, so that the credentials may be sent there.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.settings.base_url.origin()
    }

    /// The address of a next page without the secret, which some services repeat in it: a checkpoint has no secret.
    pub(super) fn without_secret(&self, url: Url) -> Url {
        match &self.parameter {
            Some((name, _)) => paging::without_parameter(url, name),
            None => url,
        }
    }

    fn request(&self, mut url: Url) -> Request {
        if let Some((name, token)) = &self.parameter {
            url.query_pairs_mut().append_pair(name, token.expose());
        }
        let mut sent =
            with_header(request(Method::GET, url), ACCEPT, Some(HeaderValue::from_static("application/json")));
        for (name, value) in &self.settings.headers {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                sent = with_header(sent, name, HeaderValue::from_str(value).ok());
            }
        }
        let sent = compressed(sent);
        match &self.authorization {
            Some((name, value)) => with_header(sent, name.clone(), Some(value.clone())),
            None => sent,
        }
    }

    /// Calls an address. `None` of the status 404, which some lists end with.
    pub(super) async fn get(&self, url: Url) -> Result<Option<Reply>, CallFailure> {
        self.call(url).await.map_err(|failure| failure.redacted(&self.connection))
    }

    async fn call(&self, url: Url) -> Result<Option<Reply>, CallFailure> {
        let timeout = std::time::Duration::from_secs(self.settings.timeout_seconds.into());
        let called = async {
            let response = http::open(&self.client, self.request(url), timeout).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = self.client.read(response, MAX_RESPONSE_BYTES).await.map_err(body_failure)?;
            Ok::<_, CallFailure>((status, headers, body))
        };
        let late = || CallFailure::Unavailable("no response in time".to_owned());
        let (status, headers, body) = tokio::time::timeout(timeout, called).await.unwrap_or_else(|_| Err(late()))?;
        if status.as_u16() == 404 {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(of_status(status, &headers, &body));
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        let json = serde_json::from_slice(body).map_err(|error| {
            let reason = if std::str::from_utf8(body).is_err() { "it is not UTF-8" } else { "it is not JSON" };
            CallFailure::Unavailable(format!("the response is not valid: {reason} (line {})", error.line()))
        })?;
        Ok(Some(Reply { headers, json }))
    }

    fn stream(stream: &Value) -> Result<RestStream, CallFailure> {
        let rejected = |reason: String| {
            let detail = format!("`stream` of the source cannot be used: {reason}");
            CallFailure::item(FailureCode::SourceRejected, detail)
        };
        let stream: RestStream = connection::read(stream).map_err(|invalid| rejected(invalid.to_string()))?;
        match stream.problems().first() {
            Some(problem) => Err(rejected(problem.to_string())),
            None => Ok(stream),
        }
    }
}

impl Source for RestSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let service = &self.0;
        let url = &service.settings.base_url;
        let host = url.host_str().unwrap_or_default();
        let resolved = service.client.check_resolved(url).await;
        let address = resolved.map(|()| format!("{host} may be called")).map_err(|failure| failure.to_string());
        let mut steps = vec![step("address", address)];
        if !steps[0].ok {
            return steps;
        }
        let answered = match stream {
            // Without a stream the service need not have anything at its base address, but it must accept the credentials.
            None => match service.get(url.clone()).await {
                Ok(_) | Err(CallFailure::Item(_)) => Ok("the service answers and accepts the credentials".to_owned()),
                Err(CallFailure::Unavailable(reason)) if reason.starts_with("the response is not valid") => {
                    Ok("the service answers, with another form than JSON".to_owned())
                }
                Err(failure) => Err(failure),
            },
            Some(stream) => match Service::stream(stream) {
                Ok(stream) => {
                    let page = ItemListing::new(Arc::clone(service), stream, ListRequest::default()).next().await;
                    page.map(|page| format!("{} items are on the first page", page.objects.len()))
                }
                Err(failure) => Err(failure),
            },
        };
        steps.push(step("answer", answered.map_err(|failure| failure.to_string())));
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        // Nothing of the protocol says which lists there are.
        Ok(Vec::new())
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let stream = Service::stream(&request.stream)?;
        Ok(Box::new(ItemListing::new(Arc::clone(&self.0), stream, request)))
    }

    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let locator = object.locator.clone().unwrap_or_default();
        let stream = Service::stream(&locator["stream"])?;
        let id = locator["id"].as_str().unwrap_or_default();
        let gone = || CallFailure::item(FailureCode::SourceMissing, "the item is gone since it was listed");
        let Some(detail) = &stream.detail else {
            let reason = "the stream has no `detail`, so only the next sync reads it";
            return Err(CallFailure::item(FailureCode::SourceMissing, reason));
        };
        let url = self.0.address(&item::detail_path(detail, id).map_err(CallFailure::Item)?);
        let reply = self.0.get(url).await?.ok_or_else(gone)?;
        let (content, media_type) = item::content(&stream, &reply.json).map_err(CallFailure::Item)?;
        Ok(FetchedObject { content: Box::pin(futures::stream::iter([Ok(content)])), media_type: Some(media_type) })
    }
}

/// The locator of an item.
pub(super) fn locator(stream: &RestStream, id: &str) -> Value {
    json!({ "stream": stream, "id": id })
}
