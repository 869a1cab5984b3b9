//! The source of a mailbox.

use std::sync::Arc;

use futures::TryStreamExt;
use nvisy_shared::domain::{
    connection::{self, mail::MailStream},
    failure::FailureCode,
};
use serde_json::{Value, json};

use super::{
    folders, gone,
    listing::MailListing,
    mailbox::Mailbox,
    message::{self, Locator},
};
use crate::{
    connectors::{
        CallFailure, CheckResult, DynListing, DynSource, FetchedObject, ListRequest, ListedObject, OpenConnection,
        Source, Stream, target::step,
    },
    context::Context,
};

/// Opens a mailbox.
pub(crate) fn open(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(MailSource(Arc::new(Mailbox::new(cx, connection)?))))
}

/// Reads a mailbox.
struct MailSource(Arc<Mailbox>);

fn read_stream(stream: &Value) -> Result<MailStream, CallFailure> {
    let invalid = |error| CallFailure::item(FailureCode::SourceRejected, format!("`stream`: {error}"));
    connection::read(stream).map_err(invalid)
}

impl MailSource {
    /// The steps behind the address, up to the first that fails.
    async fn check_reading(&self, stream: &Value, steps: &mut CheckResult) -> Result<(), (&'static str, CallFailure)> {
        let mailbox = &self.0;
        let mut done = |name: &str, detail: String| steps.push(step(name, Ok(detail)));
        let mut session = mailbox.open().await.map_err(|failure| ("connect", failure))?;
        done("connect", "the server answers, as encrypted as `tls` says".to_owned());
        if mailbox.uses_tokens() {
            mailbox.access_token().await.map_err(|failure| ("token", failure))?;
            done("token", "the token endpoint gives an access token".to_owned());
        }
        mailbox.log_in(&mut session).await.map_err(|failure| ("login", failure))?;
        done("login", "the server accepts the credentials".to_owned());
        let request = ListRequest { stream: stream.clone(), ..ListRequest::default() };
        let listing = async { self.list(request).await?.next().await };
        let page = listing.await.map_err(|failure| ("list", failure))?;
        let more = if page.checkpoint.is_some() { " or more" } else { "" };
        done("list", format!("{}{more} messages are listed", page.objects.len()));
        let Some(first) = page.objects.first() else { return Ok(()) };
        let read = async { self.fetch(first).await?.content.try_next().await };
        let bytes = read.await.map_err(|failure| ("read", failure))?.map_or(0, |bytes| bytes.len());
        done("read", format!("a message is read: {bytes} bytes at once"));
        Ok(())
    }
}

impl Source for MailSource {
    async fn check(&self, stream: Option<&Value>) -> CheckResult {
        let mailbox = &self.0;
        let host = &mailbox.settings.host;
        let address = mailbox.outbound.resolve(host, mailbox.settings.port()).await;
        let address = address.map(|_| format!("{host} may be called")).map_err(|failure| failure.to_string());
        let mut steps = vec![step("address", address)];
        if steps[0].ok {
            let stream = stream.cloned().unwrap_or_else(|| json!({}));
            if let Err((name, failure)) = self.check_reading(&stream, &mut steps).await {
                steps.push(step(name, Err(mailbox.redacted(failure).to_string())));
            }
        }
        steps
    }

    async fn discover(&self) -> Result<Vec<Stream>, CallFailure> {
        let mut held = self.0.session().await?;
        let (folders, _) = folders::list(&mut held.session).await.map_err(|failure| self.0.redacted(failure))?;
        self.0.give_back(held).await;
        let stream = |name: &str, settings: Value| Stream {
            name: name.to_owned(),
            settings,
            cursor_fields: Vec::new(),
            incremental: true,
        };
        let all = [stream("all folders", json!({}))].into_iter();
        Ok(all.chain(folders.iter().map(|folder| stream(&folder.path, json!({ "folders": [folder.path] })))).collect())
    }

    async fn list(&self, request: ListRequest) -> Result<Box<DynListing>, CallFailure> {
        let stream = read_stream(&request.stream)?;
        let listing = MailListing::new(Arc::clone(&self.0), stream, request.checkpoint, request.cursor)?;
        Ok(Box::new(listing))
    }

    async fn fetch(&self, object: &ListedObject) -> Result<FetchedObject, CallFailure> {
        let locator = object.locator.clone().and_then(|locator| serde_json::from_value::<Locator>(locator).ok());
        let missing = || CallFailure::item(FailureCode::InvalidName, "the message was listed without its folder");
        let content = message::open(Arc::clone(&self.0), locator.ok_or_else(missing)?).await?;
        Ok(FetchedObject { content, media_type: None })
    }

    async fn gone(&self, stream: &Value, external_ids: &[String]) -> Result<Vec<String>, CallFailure> {
        gone::gone(&self.0, &read_stream(stream)?, external_ids).await
    }
}
