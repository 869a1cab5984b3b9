//! Where requests are at home: on the runtime of the process.
//!
//! Each thread of the server has a runtime of its own, and a connection to the database belongs to the runtime on which it
//! was opened. When the server stops, threads that have nothing left to do end first, and with them the connections they
//! opened for the pool, which requests on other threads may be using. So what a request opens, it opens on the runtime that
//! ends last.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::{BodySize, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::{Bytes, Data},
};
use tokio::runtime::Handle;

/// Middleware: a request, and the answer it streams, use the runtime of the process.
pub async fn home<B: MessageBody>(
    home: Data<Handle>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, AtHome<B>>>, Error> {
    let home = Handle::clone(&home);
    let answer = AtHome::new(home.clone(), next.call(request)).await?;
    Ok(answer.map_body(|_, body| match body.size() {
        BodySize::Stream => EitherBody::right(AtHome::new(home, body)),
        BodySize::None | BodySize::Sized(_) => EitherBody::left(body),
    }))
}

/// Polled and dropped at home.
pub struct AtHome<T> {
    home: Handle,
    /// `None` only while it is dropped.
    inner: Option<Pin<Box<T>>>,
}

impl<T> AtHome<T> {
    fn new(home: Handle, inner: T) -> Self {
        Self { home, inner: Some(Box::pin(inner)) }
    }

    fn poll<O>(&mut self, poll: impl FnOnce(Pin<&mut T>) -> Poll<O>) -> Poll<O> {
        let _home = self.home.enter();
        self.inner.as_mut().map_or(Poll::Pending, |inner| poll(inner.as_mut()))
    }
}

impl<T> Drop for AtHome<T> {
    fn drop(&mut self) {
        let _home = self.home.enter();
        self.inner = None;
    }
}

impl<F: Future> Future for AtHome<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        AtHome::poll(&mut self, |inner| inner.poll(cx))
    }
}

impl<B: MessageBody> MessageBody for AtHome<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.inner.as_ref().map_or(BodySize::None, |body| body.size())
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        AtHome::poll(&mut self, |body| body.poll_next(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::{App, HttpResponse, HttpServer, middleware::from_fn, web};
    use futures::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::Mutex,
    };

    use super::*;

    /// What requests leave open, like connections in a pool.
    #[derive(Default)]
    struct Pool(Mutex<Vec<TcpStream>>);

    async fn open(pool: Data<Pool>, server: Data<SocketAddr>) -> Result<Bytes, std::io::Error> {
        pool.0.lock().await.push(TcpStream::connect(**server).await?);
        Ok(Bytes::from_static(b"opened"))
    }

    async fn opens(pool: Data<Pool>, server: Data<SocketAddr>) -> Result<Bytes, Error> {
        Ok(open(pool, server).await?)
    }

    async fn streams(pool: Data<Pool>, server: Data<SocketAddr>) -> HttpResponse {
        HttpResponse::Ok().streaming(stream::once(Box::pin(open(pool, server))))
    }

    /// A server that sends back what it is sent.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = socket.split();
                    tokio::io::copy(&mut reader, &mut writer).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn what_a_request_opens_outlives_the_thread_that_served_it() {
        let (pool, process, echo) = (Data::new(Pool::default()), Data::new(Handle::current()), Data::new(echo().await));
        let opened = pool.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(pool.clone())
                .app_data(process.clone())
                .app_data(echo.clone())
                .wrap(from_fn(home))
                .route("/opens", web::get().to(opens))
                .route("/streams", web::get().to(streams))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let stop = server.handle();
        let running = tokio::spawn(server);
        for path in ["opens", "streams"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains("opened"), "{answer}");
        }
        stop.stop(true).await;
        running.await.unwrap().unwrap();

        let mut opened = opened.0.lock().await;
        assert_eq!(opened.len(), 2);
        for connection in opened.iter_mut() {
            connection.write_all(b"still there").await.unwrap();
            let mut answer = [0; 11];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"still there");
        }
    }
}
