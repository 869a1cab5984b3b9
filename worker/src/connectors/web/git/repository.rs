//! Calls of a repository: references, trees of a commit, contents.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use nvisy_shared::{
    domain::connection::web::{GitSettings, WebCredentials},
    outbound::GuardedClient,
};
use reqwest::{
    Method, Request, Response, Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use super::{
    super::http::{authorization, authorized, basic, of_status, open, request, uncompressed, with_header},
    object::ObjectId,
    pack::{CheckedBlob, Pack},
    packets::{DELIMITER, FLUSH, Packets, line},
};
use crate::{
    connectors::{CallFailure, OpenConnection},
    context::Context,
};

/// Branches and tags that are read.
const MAX_REFERENCES: usize = 50_000;
/// The user of a token: GitHub names it, others take any.
const TOKEN_USER: &str = "x-access-token";

/// A repository, for the calls of one job.
pub(super) struct Repository {
    client: GuardedClient,
    connection: OpenConnection,
    pub(super) settings: GitSettings,
    authorization: Option<HeaderValue>,
}

/// A branch or tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its full name, such as `refs/heads/main`.
    pub(super) name: String,
    /// The commit.
    pub(super) commit: ObjectId,
}

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Leaving contents out.
    pub(super) filter: bool,
}

impl Repository {
    pub(super) fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        let settings: GitSettings = connection.settings()?;
        let credentials: Option<WebCredentials> = connection.credentials()?;
        let authorization = credentials.as_ref().and_then(|credentials| match &credentials.token {
            Some(token) => basic(TOKEN_USER, token.expose()),
            None => authorization(credentials),
        });
        Ok(Self { client: cx.outbound.clone(), connection: connection.clone(), settings, authorization })
    }

    /// The client that checks addresses.
    pub(super) const fn client(&self) -> &GuardedClient {
        &self.client
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.settings.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn send(&self, sent: Request) -> Result<Packets, CallFailure> {
        let version = HeaderValue::from_static("version=2");
        let sent = with_header(sent, HeaderName::from_static("git-protocol"), Some(version));
        let sent = authorized(uncompressed(sent), self.authorization.as_ref());
        let timeout = Duration::from_secs(self.settings.timeout_seconds.into());
        let opened = open(&self.client, sent, timeout).await.map_err(CallFailure::from).and_then(checked);
        opened.map(Packets::new).map_err(|failure| failure.redacted(&self.connection))
    }

    async fn command(&self, name: &str, arguments: &[String]) -> Result<Packets, CallFailure> {
        let mut body = line(&format!("command={name}"));
        body.extend(line("agent=nvisy"));
        body.extend_from_slice(DELIMITER);
        for argument in arguments {
            body.extend(line(argument));
        }
        body.extend_from_slice(FLUSH);
        let mut sent = request(Method::POST, self.address(&["git-upload-pack"]));
        *sent.body_mut() = Some(body.into());
        let kind = HeaderValue::from_static("application/x-git-upload-pack-request");
        self.send(with_header(sent, CONTENT_TYPE, Some(kind))).await
    }

    /// What the server can do.
    ///
    /// # Errors
    /// [`CallFailure::Blocked`] of servers without protocol 2, and of repositories with SHA-256.
    pub(super) async fn abilities(&self) -> Result<Abilities, CallFailure> {
        let mut url = self.address(&["info", "refs"]);
        url.set_query(Some("service=git-upload-pack"));
        let mut packets = self.send(request(Method::GET, url)).await?;
        let mut lines = packets.lines(MAX_REFERENCES).await?;
        if lines.first().is_some_and(|line| line.starts_with("# service=")) {
            lines = packets.lines(MAX_REFERENCES).await?;
        }
        if lines.first().is_none_or(|line| line != "version 2") {
            return Err(CallFailure::Blocked("the server does not speak version 2 of Git's protocol".to_owned()));
        }
        let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        if value("object-format").is_some_and(|format| format != "sha1") {
            return Err(CallFailure::Blocked("repositories with ids of SHA-256 cannot be read".to_owned()));
        }
        let filter = value("fetch").is_some_and(|fetch| fetch.split(' ').any(|ability| ability == "filter"));
        Ok(Abilities { filter })
    }

    /// The branches and tags whose names begin so.
    pub(super) async fn references(&self, prefixes: &[String]) -> Result<Vec<Reference>, CallFailure> {
        let mut arguments = vec!["peel".to_owned()];
        arguments.extend(prefixes.iter().map(|prefix| format!("ref-prefix {prefix}")));
        let lines = self.command("ls-refs", &arguments).await?.lines(MAX_REFERENCES).await?;
        let references = lines.iter().filter_map(|line| {
            let mut parts = line.split(' ');
            let (id, name) = (parts.next()?, parts.next()?);
            // A tag of its own leads to a commit.
            let peeled = parts.find_map(|attribute| attribute.strip_prefix("peeled:"));
            Some(Reference { name: name.to_owned(), commit: ObjectId::parse(peeled.unwrap_or(id))? })
        });
        Ok(references.collect())
    }

    /// A commit with its trees, without earlier ones.
    pub(super) async fn trees(&self, commit: ObjectId) -> Result<HashMap<ObjectId, Bytes>, CallFailure> {
        let abilities = self.abilities().await?;
        let mut arguments = vec!["no-progress".to_owned(), "deepen 1".to_owned(), format!("want {commit}")];
        if abilities.filter {
            arguments.push("filter blob:none".to_owned());
        }
        arguments.push("done".to_owned());
        Pack::open(self.command("fetch", &arguments).await?).await?.trees().await
    }

    /// The content of a file, and its length.
    pub(super) async fn blob(&self, id: ObjectId) -> Result<(CheckedBlob, u64), CallFailure> {
        let arguments = ["no-progress".to_owned(), format!("want {id}"), "done".to_owned()];
        let pack = Pack::open(self.command("fetch", &arguments).await?).await?;
        CheckedBlob::open(pack, id).await
    }
}

fn checked(response: Response) -> Result<Response, CallFailure> {
    let status = response.status();
    match status.as_u16() {
        200..=299 => Ok(response),
        404 | 410 => {
            let reason = format!("{status}: there is no such repository, or the credentials do not give access");
            Err(CallFailure::Blocked(reason))
        }
        _ => Err(of_status(status, response.headers(), b"")),
    }
}
