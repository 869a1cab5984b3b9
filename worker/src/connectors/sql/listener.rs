//! Listening to channels of PostgreSQL.

use std::time::Duration;

use nvisy_shared::domain::connection::relational::Dialect;
use sqlx::{
    Executor,
    postgres::{PgListener, PgPoolOptions},
};

use super::{super::CallFailure, database::Database, postgres, relay::Relay};
use crate::{connectors::OpenConnection, context::Context};

/// How long the server may be silent before the connection is tried: a lost one may never end by itself.
const SILENCE: Duration = Duration::from_secs(30);

/// A notification of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelNotification {
    /// The channel.
    pub(crate) channel: String,
    /// The text that came with it; empty: none.
    pub(crate) payload: String,
}

/// An open connection that listens to channels. After a failure it is of no use: notifications may be lost.
pub(crate) struct ChannelListener {
    database: Database,
    listener: PgListener,
    _relay: Relay,
}

impl ChannelListener {
    /// Connects and listens: from now on no notification is missed.
    ///
    /// # Errors
    /// [`CallFailure`], also if the database has no channels.
    pub(crate) async fn open(
        cx: &Context,
        connection: &OpenConnection,
        channels: &[String],
    ) -> Result<Self, CallFailure> {
        let database = Database::new(cx, connection)?;
        if database.dialect != Dialect::PostgreSql {
            return Err(CallFailure::Blocked("only PostgreSQL has channels".to_owned()));
        }
        let opening = async {
            let relay = database.relay().await?;
            let options = postgres::options(&database, &relay).application_name("nvisy listener");
            // The relay takes one connection, so a lost one is not replaced without notice.
            let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
            let listening = async {
                let mut listener = PgListener::connect_with(&pool.connect_with(options).await?).await?;
                listener.ignore_pool_close_event(true);
                listener.eager_reconnect(false);
                listener.listen_all(channels.iter().map(String::as_str)).await?;
                Ok::<_, sqlx::Error>(listener)
            };
            let listener = listening.await.map_err(|error| database.failure(&error))?;
            Ok((listener, relay))
        };
        let (listener, relay) = database.connecting(opening).await?;
        Ok(Self { database, listener, _relay: relay })
    }

    /// The next notification.
    ///
    /// # Errors
    /// [`CallFailure::Unavailable`] when the connection is lost.
    pub(crate) async fn next(&mut self) -> Result<ChannelNotification, CallFailure> {
        loop {
            match tokio::time::timeout(SILENCE, self.listener.try_recv()).await {
                Ok(Ok(Some(received))) => {
                    let (channel, payload) = (received.channel().to_owned(), received.payload().to_owned());
                    return Ok(ChannelNotification { channel, payload });
                }
                Ok(Ok(None)) => return Err(CallFailure::Unavailable("the connection is lost".to_owned())),
                Ok(Err(error)) => return Err(self.database.failure(&error)),
                Err(_) => self.database.within(self.listener.execute("select 1")).await.map(drop)?,
            }
        }
    }
}
