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
pub(super) async fn home<B: MessageBody>(
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
pub(super) struct AtHome<T> {
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
