//! A NATS server that many tests use at once.

use async_nats::{
    Client,
    jetstream::{self, stream},
};

/// A connection, on a server that keeps one stream for good.
///
/// After the last stream of an account was deleted, nats-server removes the folder they were in, and whoever makes one at
/// that moment is told "error creating store for stream". With one that stays, no test's end is another's failure.
pub(crate) async fn client(url: &str) -> Client {
    let client = async_nats::connect(url).await.expect("the NATS server for tests runs");
    let kept = stream::Config { name: "tests".to_owned(), ..Default::default() };
    jetstream::new(client.clone()).get_or_create_stream(kept).await.expect("a stream that stays");
    client
}
