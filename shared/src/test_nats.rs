//! A NATS server that many tests share.

use async_nats::{
    Client,
    jetstream::{self, stream},
};

/// A connection to a server that keeps one permanent stream.
///
/// After the last stream of an account is deleted, nats-server removes the folder of the streams, and the creation of a stream at
/// that moment fails with "error creating store for stream". The permanent stream keeps one test's end from failing another test.
pub(crate) async fn client(url: &str) -> Client {
    let client = async_nats::connect(url).await.expect("the NATS server for tests runs");
    let permanent = stream::Config { name: "tests".to_owned(), ..Default::default() };
    jetstream::new(client.clone()).get_or_create_stream(permanent).await.expect("a permanent stream");
    client
}
