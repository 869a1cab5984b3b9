//! Polling requests on the runtime of the process.
//!
//! Each thread of the server has a runtime of its own, and a database connection belongs to the runtime on which it was
//! opened. When the server stops, idle threads end first, and with them the connections that they opened for the pool, which
//! requests on other threads may be using. So a request opens its connections on the runtime that ends last.

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

/// Middleware: a request, and the response that it streams, use the runtime of the process.
pub async fn on_process_runtime<B: MessageBody>(
    runtime: Data<Handle>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, OnRuntime<B>>>, Error> {
    let runtime = Handle::clone(&runtime);
    let response = OnRuntime::new(runtime.clone(), next.call(request)).await?;
    Ok(response.map_body(|_, body| match body.size() {
        BodySize::Stream => EitherBody::right(OnRuntime::new(runtime, body)),
        BodySize::None | BodySize::Sized(_) => EitherBody::left(body),
    }))
}

/// A future or body that is polled and dropped on the runtime.
pub struct OnRuntime<T> {
    runtime: Handle,
    /// `None` only during the drop.
    inner: Option<Pin<Box<T>>>,
}

impl<T> OnRuntime<T> {
    fn new(runtime: Handle, inner: T) -> Self {
        Self { runtime, inner: Some(Box::pin(inner)) }
    }

    fn poll<O>(&mut self, poll: impl FnOnce(Pin<&mut T>) -> Poll<O>) -> Poll<O> {
        let _entered = self.runtime.enter();
        self.inner.as_mut().map_or(Poll::Pending, |inner| poll(inner.as_mut()))
    }
}

impl<T> Drop for OnRuntime<T> {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.inner = None;
    }
}

impl<F: Future> Future for OnRuntime<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        OnRuntime::poll(&mut self, |inner| inner.poll(cx))
    }
}

impl<B: MessageBody> MessageBody for OnRuntime<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.inner.as_ref().map_or(BodySize::None, |body| body.size())
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        OnRuntime::poll(&mut self, |body| body.poll_next(cx))
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

    /// Connections that requests open and leave in a pool.
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

    /// A server that echoes its input.
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
    async fn connection_opened_by_a_request_outlives_its_server_thread() {
        let (pool, process, echo) = (Data::new(Pool::default()), Data::new(Handle::current()), Data::new(echo().await));
        let opened = pool.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(pool.clone())
                .app_data(process.clone())
                .app_data(echo.clone())
                .wrap(from_fn(on_process_runtime))
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
            let mut response = String::new();
            client.read_to_string(&mut response).await.unwrap();
            assert!(response.contains("opened"), "{response}");
        }
        stop.stop(true).await;
        running.await.unwrap().unwrap();

        let mut opened = opened.0.lock().await;
        assert_eq!(opened.len(), 2);
        for connection in opened.iter_mut() {
            connection.write_all(b"still there").await.unwrap();
            let mut echoed = [0; 11];
            connection.read_exact(&mut echoed).await.unwrap();
            assert_eq!(&echoed, b"still there");
        }
    }
}
