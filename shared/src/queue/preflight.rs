//! Requirements of the NATS server: its version, JetStream, and free space. Each error names the remedy.

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

use super::{NatsNames, QueueContext, QueueError, address::NatsAddress};
use crate::config;

/// Largest message that the programs send: one part of a file, with its headers.
const MAX_MESSAGE_BYTES: usize = 512 * 1024;
/// Least file storage that holds a useful amount of uploads.
const MIN_FREE_BYTES: i64 = 64 << 20;

/// Connects to the servers of `NVISY_NATS_URL`.
pub(super) async fn connect(nats: &config::NatsConfig) -> Result<Client, QueueError> {
    let address = NatsAddress::parse(nats.url.expose()).context("NVISY_NATS_URL cannot be understood")?;
    let options = async_nats::ConnectOptions::new().name("nvisy").connection_timeout(Duration::from_secs(5));
    address.connect(options).await.context(
        "NATS cannot be reached: NVISY_NATS_URL must name a running server, with a user and password or a token that \
         it knows",
    )
}

/// The server's version, if it is new enough and accepts messages of the needed size.
pub(super) fn server_version(client: &Client) -> Result<String, QueueError> {
    let info = client.server_info();
    if !client.is_server_compatible(2, 10, 0) {
        return Err(QueueError::new(format!(
            "NATS {} is too old: NVISY_NATS_URL must name a server of version 2.10 or newer",
            info.version
        )));
    }
    if info.max_payload < MAX_MESSAGE_BYTES {
        return Err(QueueError::new(format!(
            "NATS takes messages of at most {} bytes: set max_payload to 1MB or more in the server's configuration",
            info.max_payload
        )));
    }
    Ok(info.version)
}

/// The account, if it has JetStream.
pub(super) async fn jetstream_account(jetstream: &Context) -> Result<Account, QueueError> {
    jetstream.query_account().await.map_err(|error| {
        let off = match error.kind() {
            AccountErrorKind::JetStreamUnavailable => true,
            AccountErrorKind::JetStream(error) => {
                [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
                    .contains(&error.error_code())
            }
            AccountErrorKind::TimedOut | AccountErrorKind::Other => false,
        };
        let what = if off {
            "the NATS server runs without JetStream: add a `jetstream` section to its configuration, as in \
             nats/server.conf"
        } else {
            "JetStream does not respond: see the log of the NATS server"
        };
        QueueError::caused_by(what, error)
    })
}

/// Whether JetStream can still reserve this many bytes of file storage. The server reports its limit in no other way.
pub(super) async fn check_free_space(jetstream: &Context, names: &NatsNames, bytes: i64) -> Result<(), QueueError> {
    let stream = names.free_space_stream();
    let reservation = stream::Config {
        name: stream.clone(),
        subjects: vec![names.free_space_subject()],
        storage: StorageType::File,
        max_bytes: bytes,
        ..Default::default()
    };
    let reserved = jetstream.create_stream(reservation).await.map(drop);
    // Another replica that starts at the same time may have removed it.
    let _ = jetstream.delete_stream(&stream).await;
    reserved.map_err(stream_rejected("a test"))
}

/// Whether a useful amount of uploads fits.
pub(super) async fn check_min_free_space(jetstream: &Context, names: &NatsNames) -> Result<(), QueueError> {
    check_free_space(jetstream, names, MIN_FREE_BYTES).await
}

/// The cause and remedy of a rejected stream.
pub(super) fn stream_rejected(stream: &str) -> impl Fn(jetstream::context::CreateStreamError) -> QueueError {
    let stream = stream.to_owned();
    move |error| {
        let code = match error.kind() {
            jetstream::context::CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
            _ => None,
        };
        let what = match code {
            Some(
                ErrorCode::STORAGE_RESOURCES_EXCEEDED
                | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
                | ErrorCode::INSUFFICIENT_RESOURCES,
            ) => {
                "JetStream has no room for files: raise max_file_store in the configuration of the NATS server (or the \
                  limit of the account), and make sure that its disk is not full"
                    .to_owned()
            }
            Some(ErrorCode::MAXIMUM_STREAMS_LIMIT) => {
                "JetStream may hold no further stream: raise max_streams of the account on the NATS server".to_owned()
            }
            _ => format!("JetStream rejects the stream of {stream}: see the log of the NATS server"),
        };
        QueueError::caused_by(what, error)
    }
}
