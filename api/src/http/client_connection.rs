//! The connection of a client, whose end tells that no client waits for the response.
//!
//! The server finishes a request whose client has closed the connection, as a change must not end half-way. Work that changes nothing
//! can end with its client: [`ClientConnection::while_open`].

use std::{
    any::Any,
    future::{Ready, pending, ready},
    io,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    FromRequest, HttpRequest,
    dev::{Extensions, Payload},
    rt::net::TcpStream,
};
use socket2::{SockRef, Socket};
use tokio::io::Interest;

use super::api_component::api_component;
use crate::problem::{Code, Problem};

/// The socket of a connection, in the data of the connection. A second descriptor: the server's own is out of reach.
struct ConnectionSocket(Socket);

/// Keeps the socket of a new connection for its requests.
pub fn keep_socket(connection: &dyn Any, data: &mut Extensions) {
    let encrypted = || connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
    let stream = connection.downcast_ref::<TcpStream>().or_else(encrypted);
    if let Some(socket) = stream.and_then(|stream| SockRef::from(stream).try_clone().ok()) {
        data.insert(ConnectionSocket(socket));
    }
}

/// Extractor: the connection that the request came on.
#[derive(Debug)]
pub struct ClientConnection(Option<Socket>);

impl ClientConnection {
    /// Runs work until the client closes the connection, and then drops it: the work must not change anything.
    pub async fn while_open<T>(self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        tokio::select! {
            biased;
            result = work => result,
            () = closed(self.0) => Err(Problem::new(Code::ClientClosedRequest)),
        }
    }
}

/// Waits until the client has closed the connection, or at least its direction of it.
async fn closed(socket: Option<Socket>) {
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
        // A descriptor for each request: requests of one connection can run at the same time.
        let socket = request.conn_data::<ConnectionSocket>().and_then(|kept| kept.0.try_clone().ok());
        ready(Ok(Self(socket)))
    }
}

api_component!(ClientConnection);
