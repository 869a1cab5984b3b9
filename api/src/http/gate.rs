//! Holds a request's body back until its caller is authorized.
//!
//! actix runs a handler's extractors concurrently. Without the gate, a caller without permission would get errors about the
//! body, and every body would be read before its caller is known.

use actix_web::{HttpMessage, HttpRequest};
use tokio_util::sync::CancellationToken;

/// An authorizing extractor closes the gate when it starts and opens it when it succeeds. When it fails, actix drops the
/// extractors that wait.
#[derive(Clone, Debug)]
pub struct Gate(CancellationToken);

impl Gate {
    /// Closes the gate of this request.
    pub fn close(request: &HttpRequest) -> Self {
        let gate = Self(CancellationToken::new());
        request.extensions_mut().insert(gate.clone());
        gate
    }

    /// The gate of this request; open where the operation needs no authorization.
    pub fn of(request: &HttpRequest) -> Self {
        let gate = request.extensions().get::<Self>().cloned();
        gate.unwrap_or_else(|| {
            let open = Self(CancellationToken::new());
            open.open();
            open
        })
    }

    /// Whether the caller is not authorized yet.
    pub fn is_closed(&self) -> bool {
        !self.0.is_cancelled()
    }

    pub fn open(&self) {
        self.0.cancel();
    }

    /// Waits until the gate is open.
    pub async fn passed(&self) {
        self.0.cancelled().await;
    }
}
