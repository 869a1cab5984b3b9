//! `GET /health`: whether this worker reaches the database and NATS.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nvisy_shared::lifecycle::Lifecycle;
use tokio::net::TcpListener;

use crate::context::Context;

/// Wait after a connection could not be accepted.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Longest wait for the head of a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until the soft stop.
pub async fn serve(listener: TcpListener, cx: Context, lifecycle: Lifecycle) {
    loop {
        let accepted = tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A client failed, or no file descriptor is left: without a pause this loop would only burn the processor.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };
        let cx = cx.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| handle(&cx, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_READ_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(2 * HEADER_READ_TIMEOUT, connection).await;
        });
    }
}

async fn handle(cx: &Context, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/health" {
        return Ok(response(StatusCode::NOT_FOUND, "{}"));
    }
    let (database, queue) = tokio::join!(cx.db.ping(), cx.queue.ping());
    let body = match (&database, &queue) {
        (Ok(()), Ok(())) => return Ok(response(StatusCode::OK, r#"{"status":"ready"}"#)),
        (Err(_), _) => r#"{"status":"unavailable","component":"postgres"}"#,
        (_, Err(_)) => r#"{"status":"unavailable","component":"nats"}"#,
    };
    Ok(response(StatusCode::SERVICE_UNAVAILABLE, body))
}

fn response(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}
