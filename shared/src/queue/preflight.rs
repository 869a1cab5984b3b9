//! What our streams stand on: the server, its JetStream, and room in it. Each complaint says what to do.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{
        self, Context, ErrorCode,
        account::Account,
        context::AccountErrorKind,
        stream::{self, StorageType},
    },
};

use super::{Names, QueueError, address::Address, doing};
use crate::config;

/// Largest message we send: a piece of a file, with its headers.
const PAYLOAD: usize = 512 * 1024;
/// Less file storage than this holds no useful amount of uploads.
const ROOM: i64 = 64 << 20;

/// Opens a connection; `NVISY_NATS_URL` says where.
pub(super) async fn connect(nats: &config::Nats) -> Result<Client, QueueError> {
    let address = Address::parse(nats.url.expose()).map_err(doing("NVISY_NATS_URL cannot be understood"))?;
    let options = async_nats::ConnectOptions::new().name("nvisy").connection_timeout(Duration::from_secs(5));
    address.connect(options).await.map_err(doing(
        "NATS cannot be reached: NVISY_NATS_URL must name a running server, with a user and password or a token that \
         it knows",
    ))
}

/// The server's version, if it is new enough and takes our messages.
pub(super) fn server(client: &Client) -> Result<String, QueueError> {
    let info = client.server_info();
    if !client.is_server_compatible(2, 10, 0) {
        return Err(QueueError::plain(format!(
            "NATS {} is too old: NVISY_NATS_URL must name a server of version 2.10 or newer",
            info.version
        )));
    }
    if info.max_payload < PAYLOAD {
        return Err(QueueError::plain(format!(
            "NATS takes messages of at most {} bytes: set max_payload to 1MB or more in the server's configuration",
            info.max_payload
        )));
    }
    Ok(info.version)
}

/// The account, if it has JetStream.
pub(super) async fn account(jetstream: &Context) -> Result<Account, QueueError> {
    jetstream.query_account().await.map_err(|error| {
        let off = match error.kind() {
            AccountErrorKind::JetStreamUnavailable => true,
            AccountErrorKind::JetStream(refusal) => {
                [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
                    .contains(&refusal.error_code())
            }
            AccountErrorKind::TimedOut | AccountErrorKind::Other => false,
        };
        doing(if off {
            "the NATS server runs without JetStream: add a `jetstream` section to its configuration, as in \
             nats/server.conf"
        } else {
            "JetStream does not answer: look into the log of the NATS server"
        })(error)
    })
}

/// Whether JetStream may still promise this many bytes of files to somebody. The server tells its limit in no other way.
pub(super) async fn room(jetstream: &Context, names: &Names, bytes: i64) -> Result<(), QueueError> {
    let stream = names.room_stream();
    let promise = stream::Config {
        name: stream.clone(),
        subjects: vec![names.room_subject()],
        storage: StorageType::File,
        max_bytes: bytes,
        ..Default::default()
    };
    let promised = jetstream.create_stream(promise).await.map(drop);
    // Another replica that starts at the same time may have removed it.
    let _ = jetstream.delete_stream(&stream).await;
    promised.map_err(refused("a test"))
}

/// Room for a useful amount of uploads.
pub(super) async fn least_room(jetstream: &Context, names: &Names) -> Result<(), QueueError> {
    room(jetstream, names, ROOM).await
}

/// What a refused stream means.
pub(super) fn refused(stream: &str) -> impl Fn(jetstream::context::CreateStreamError) -> QueueError {
    let stream = stream.to_owned();
    move |error| {
        let code = match error.kind() {
            jetstream::context::CreateStreamErrorKind::JetStream(refusal) => Some(refusal.error_code()),
            _ => None,
        };
        let what = match code {
            Some(
                ErrorCode::STORAGE_RESOURCES_EXCEEDED
                | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
                | ErrorCode::INSUFFICIENT_RESOURCES,
            ) => {
                "JetStream has no room for files: raise max_file_store in the configuration of the NATS server (or the \
                  limit of the account), and see that its disk is not full"
                    .to_owned()
            }
            Some(ErrorCode::MAXIMUM_STREAMS_LIMIT) => {
                "JetStream may hold no further stream: raise max_streams of the account on the NATS server".to_owned()
            }
            _ => format!("JetStream refuses the stream of {stream}: look into the log of the NATS server"),
        };
        QueueError::because(what, error)
    }
}
