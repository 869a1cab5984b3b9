//! One connection to a server: commands, and what it sends until each is done.

use std::time::Duration;

use imap_next::{
    Interrupt, Io, State,
    client::{Client, Event, Options},
    imap_types::{
        auth::{AuthMechanism, AuthenticateData},
        command::{Command, CommandBody},
        core::Tag,
        response::{Bye, Code, Data, Greeting, GreetingKind, Status, StatusBody, StatusKind, Tagged},
    },
};
use nvisy_shared::{domain::failure::FailureCode, error_chain};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connectors::CallFailure;

/// Bytes that are read from the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// The largest response; larger ones are read and dropped.
const MAX_RESPONSE_BYTES: u32 = 8 << 20;
/// Most bytes that a server sends before a command is done.
const MAX_COMMAND_BYTES: usize = 64 << 20;

/// A stream of bytes, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for T {}

/// What a server has sent for a command.
#[derive(Debug, Default)]
pub(super) struct Responses {
    /// The data.
    pub(super) data: Vec<Data<'static>>,
    /// The codes of status responses, such as the validity of UIDs.
    pub(super) codes: Vec<Code<'static>>,
    /// Responses that are not in the form of the protocol, or too large.
    pub(super) unreadable: usize,
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum CommandError {
    /// The server does not do it (`NO`), or does not know it (`BAD`): the code and the text.
    Refused(Option<Code<'static>>, String),
    /// The connection is of no use any more.
    Broken(CallFailure),
}

impl From<CommandError> for CallFailure {
    fn from(rejection: CommandError) -> Self {
        match rejection {
            CommandError::Broken(failure) => failure,
            CommandError::Refused(code, text) if is_temporary(code.as_ref()) => {
                Self::Busy { retry_after: None, reason: text }
            }
            CommandError::Refused(_, text) => Self::Unavailable(format!("the server refused a command: {text}")),
        }
    }
}

/// Whether a code says that the same command succeeds later (RFC 5530).
fn is_temporary(code: Option<&Code<'_>>) -> bool {
    let Some(Code::Other(other)) = code else { return false };
    let code = other.inner().to_ascii_uppercase();
    [&b"UNAVAILABLE"[..], b"LIMIT", b"INUSE", b"THROTTLED"].contains(&code.as_slice())
}

/// An open connection.
pub(super) struct Session {
    socket: Box<dyn Socket>,
    client: Client,
    buffer: Box<[u8]>,
    next_tag: u32,
    timeout: Duration,
    /// The folder that is open, and the validity of its UIDs.
    pub(super) selected: Option<(String, u32)>,
}

impl Session {
    /// A connection on which the server has not been heard; or one that goes on with encryption, where it greets no more.
    pub(super) fn new(socket: Box<dyn Socket>, timeout: Duration, greets: bool) -> Self {
        let mut options = Options::default();
        // Some servers end lines of theirs in other ways.
        options.crlf_relaxed = true;
        options.max_response_size = MAX_RESPONSE_BYTES;
        options.discard_greeting = !greets;
        let client = Client::new(options);
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Self { socket, client, buffer, next_tag: 0, timeout, selected: None }
    }

    /// The socket, for encryption. What the server has sent before is forgotten: an attacker may have added it.
    pub(super) fn into_socket(self) -> Box<dyn Socket> {
        self.socket
    }

    /// Waits for the greeting.
    pub(super) async fn greeting(&mut self) -> Result<(), CallFailure> {
        let mut received = 0;
        let greeting = match self.within(&mut received).await {
            Err(CallFailure::Item(_)) => Err(no_greeting()),
            greeting => greeting,
        };
        match greeting? {
            Event::GreetingReceived { greeting: Greeting { kind: GreetingKind::Bye, text, .. } } => {
                Err(CallFailure::Busy { retry_after: None, reason: text.to_string() })
            }
            Event::GreetingReceived { .. } => Ok(()),
            _ => Err(no_greeting()),
        }
    }

    /// Sends a command and waits until it is done.
    pub(super) async fn run(&mut self, body: CommandBody<'static>) -> Result<Responses, CommandError> {
        self.next_tag += 1;
        let tag = Tag::unvalidated(format!("n{}", self.next_tag));
        self.client.enqueue_command(Command { tag: tag.clone(), body });
        let (mut answer, mut received) = (Responses::default(), 0);
        loop {
            match self.within(&mut received).await {
                Ok(Event::DataReceived { data }) => answer.data.push(data),
                Ok(Event::StatusReceived { status }) => match status {
                    Status::Tagged(Tagged { tag: done, body }) if done == tag => return finished(answer, body),
                    Status::Tagged(_) => {}
                    Status::Untagged(StatusBody { code, .. }) => answer.codes.extend(code),
                    Status::Bye(Bye { code, text }) => {
                        return Err(CommandError::Broken(bye(code.as_ref(), text.as_ref())));
                    }
                },
                Ok(Event::CommandRejected { status, .. }) => {
                    let text = status.text().to_string();
                    let (Status::Untagged(StatusBody { code, .. })
                    | Status::Tagged(Tagged { body: StatusBody { code, .. }, .. })
                    | Status::Bye(Bye { code, .. })) = status;
                    return Err(CommandError::Refused(code, text));
                }
                Ok(_) => {}
                Err(CallFailure::Item(_)) => answer.unreadable += 1,
                Err(failure) => return Err(CommandError::Broken(failure)),
            }
        }
    }

    /// Authenticates with one response of the client. What the server asks for beyond it gets an empty one, which ends the attempt.
    pub(super) async fn authenticate(
        &mut self,
        mechanism: AuthMechanism<'static>,
        response: Vec<u8>,
    ) -> Result<Responses, CommandError> {
        self.next_tag += 1;
        let tag = Tag::unvalidated(format!("n{}", self.next_tag));
        self.client.enqueue_command(Command { tag, body: CommandBody::authenticate(mechanism) });
        let (mut answer, mut received, mut response) = (Responses::default(), 0, Some(response));
        loop {
            match self.within(&mut received).await {
                Ok(Event::AuthenticateContinuationRequestReceived { .. }) => {
                    let data = AuthenticateData::r#continue(response.take().unwrap_or_default());
                    if self.client.set_authenticate_data(data).is_err() {
                        return Err(CommandError::Broken(CallFailure::Unavailable(
                            "the server asks for a response twice".to_owned(),
                        )));
                    }
                }
                Ok(Event::AuthenticateStatusReceived { status: Status::Tagged(Tagged { body, .. }), .. }) => {
                    return finished(answer, body);
                }
                Ok(Event::StatusReceived { status: Status::Bye(Bye { code, text }) }) => {
                    return Err(CommandError::Broken(bye(code.as_ref(), text.as_ref())));
                }
                Ok(Event::DataReceived { data }) => answer.data.push(data),
                Ok(_) => {}
                Err(CallFailure::Item(_)) => answer.unreadable += 1,
                Err(failure) => return Err(CommandError::Broken(failure)),
            }
        }
    }

    async fn within(&mut self, received: &mut usize) -> Result<Event, CallFailure> {
        let next = tokio::time::timeout(self.timeout, self.next(received)).await;
        next.unwrap_or_else(|_| Err(CallFailure::Unavailable("the server does not respond in time".to_owned())))
    }

    /// The next event. An item's failure: a response cannot be read, and others can.
    async fn next(&mut self, received: &mut usize) -> Result<Event, CallFailure> {
        loop {
            match self.client.next() {
                Ok(event) => return Ok(event),
                Err(Interrupt::Io(Io::Output(bytes))) => {
                    self.socket.write_all(&bytes).await.map_err(|error| broken(&error))?;
                    self.socket.flush().await.map_err(|error| broken(&error))?;
                }
                Err(Interrupt::Io(Io::NeedMoreInput)) => {
                    let read = self.socket.read(&mut self.buffer).await.map_err(|error| broken(&error))?;
                    if read == 0 {
                        return Err(CallFailure::Unavailable("the server closed the connection".to_owned()));
                    }
                    *received += read;
                    if *received > MAX_COMMAND_BYTES {
                        return Err(CallFailure::Unavailable("the server sends more than was asked for".to_owned()));
                    }
                    self.client.enqueue_input(&self.buffer[..read]);
                }
                // The bytes are not in the message: they may be parts of mails.
                Err(Interrupt::Error(_)) => return Err(unreadable()),
            }
        }
    }
}

fn no_greeting() -> CallFailure {
    CallFailure::Unavailable("the server does not greet as IMAP servers do".to_owned())
}

/// The failure of a response that cannot be read.
pub(super) fn unreadable() -> CallFailure {
    CallFailure::item(FailureCode::SourceRejected, "the server's answer about the message cannot be read")
}

fn finished(mut answer: Responses, body: StatusBody<'static>) -> Result<Responses, CommandError> {
    match body.kind {
        StatusKind::Ok => {
            answer.codes.extend(body.code);
            Ok(answer)
        }
        StatusKind::No | StatusKind::Bad => Err(CommandError::Refused(body.code, body.text.to_string())),
    }
}

fn bye(code: Option<&Code<'_>>, text: &str) -> CallFailure {
    let reason = format!("the server ended the connection: {text}");
    if is_temporary(code) { CallFailure::Busy { retry_after: None, reason } } else { CallFailure::Unavailable(reason) }
}

fn broken(error: &std::io::Error) -> CallFailure {
    CallFailure::Unavailable(error_chain(error))
}
