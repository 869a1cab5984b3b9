//! The connection of a client, whose end tells that no client waits for the response.
//!
//! The server finishes a request whose client has closed the connection, as a change must not end half-way. Work that changes nothing
//! can end with its client: [`ClientConnection::while_open`].

use std::{
    any::Any,
    future::{Ready, pending, ready},
    io,
    sync::Arc,
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    FromRequest, HttpRequest,
    dev::{Extensions, Payload},
    rt::net::TcpStream,
};
use socket2::{SockRef, Socket};
use tokio::{io::Interest, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::api_component::api_component;
use crate::problem::{Code, Problem};

/// Work that takes no longer ends by itself: watching its connection would cost more.
const WATCHED_AFTER: Duration = Duration::from_millis(50);

/// The socket of a connection, in the data of the connection. A second descriptor: the server's own is out of reach.
struct ConnectionSocket(Arc<Socket>);

/// Keeps the socket of a new connection for its requests.
pub fn keep_socket(connection: &dyn Any, data: &mut Extensions) {
    let encrypted = || connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
    let stream = connection.downcast_ref::<TcpStream>().or_else(encrypted);
    if let Some(socket) = stream.and_then(|stream| SockRef::from(stream).try_clone().ok()) {
        data.insert(ConnectionSocket(Arc::new(socket)));
    }
}

/// Extractor: the connection that the request came on.
#[derive(Debug)]
pub struct ClientConnection(Option<Arc<Socket>>);

impl ClientConnection {
    /// Runs work until the client closes the connection, and then drops it: the work must not change anything. It is a task of the
    /// runtime of the process, to which the database's connections belong: their responses wake no thread of the server.
    pub async fn while_open<T: Send + 'static>(
        self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let work = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
        tokio::select! {
            biased;
            result = work => result.unwrap_or_else(|error| Err(Problem::internal(error))),
            () = closed(self.0) => Err(Problem::new(Code::ClientClosedRequest)),
        }
    }
}

/// Waits until the client has closed the connection, or at least its direction of it.
async fn closed(socket: Option<Arc<Socket>>) {
    sleep(WATCHED_AFTER).await;
    // A descriptor for each request: requests of one connection can run at the same time.
    let socket = socket.and_then(|socket| socket.try_clone().ok());
    let Some(Ok(stream)) = socket.map(|socket| TcpStream::from_std(socket.into())) else { return pending().await };
    while let Ok(ready) = stream.ready(Interest::READABLE).await {
        if ready.is_read_closed() {
            return;
        }
        // The bytes are those of a further request, which the server reads later: wait for the next event.
        let _ = stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
    pending().await
}

impl FromRequest for ClientConnection {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.conn_data::<ConnectionSocket>().map(|kept| Arc::clone(&kept.0)))))
    }
}

api_component!(ClientConnection);

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn work_ends_with_its_request() {
        let (kept, ended) = oneshot::channel::<()>();
        let work = async move {
            let _kept = kept;
            pending::<Result<(), Problem>>().await
        };
        let request = timeout(Duration::from_millis(10), ClientConnection(None).while_open(work));
        assert!(request.await.is_err());
        let ended = timeout(Duration::from_secs(60), ended).await;
        assert!(ended.is_ok_and(|sent| sent.is_err()), "the work was dropped without a message");
    }

    #[tokio::test]
    async fn panic_of_work_is_an_internal_problem() {
        async fn broken() -> Result<(), Problem> {
            panic!("broken")
        }
        let problem = ClientConnection(None).while_open(broken()).await.unwrap_err();
        assert!(problem.is(Code::Internal), "{problem:?}");
    }
}
