//! `GET /health`: whether this worker can do its work.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nvisy_shared::{lifecycle::Lifecycle, store};
use tokio::net::TcpListener;

use crate::context::Context;

/// Wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// A client that does not finish its request in this time is cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers until the soft stop.
pub async fn serve(listener: TcpListener, cx: Context, lifecycle: Lifecycle) {
    loop {
        let accepted = tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // One client's failure, or no file descriptors left: then asking again at once would only burn the processor.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let cx = cx.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&cx, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(2 * PATIENCE, connection).await;
        });
    }
}

async fn answer(cx: &Context, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/health" {
        return Ok(response(StatusCode::NOT_FOUND, "{}"));
    }
    let (database, queue) = tokio::join!(store::ping(&cx.db), cx.queue.ping());
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
