//! Makes what a caller sent wait until the caller is known to be allowed.
//!
//! actix runs a handler's extractors side by side. Without the gate, a stranger with a bad body would be told about the
//! body, and anybody's body would be read before anybody knows whose it is.

use actix_web::{HttpMessage, HttpRequest};
use tokio_util::sync::CancellationToken;

/// Shut by an authorising extractor when it starts, opened when it succeeds. When it fails, actix drops all that wait.
#[derive(Clone, Debug)]
pub struct Gate(CancellationToken);

impl Gate {
    /// Shuts the gate of this request.
    pub fn shut(request: &HttpRequest) -> Self {
        let gate = Self(CancellationToken::new());
        request.extensions_mut().insert(gate.clone());
        gate
    }

    /// The gate of this request; open where nobody has to be authorised.
    pub fn of(request: &HttpRequest) -> Self {
        let gate = request.extensions().get::<Self>().cloned();
        gate.unwrap_or_else(|| {
            let open = Self(CancellationToken::new());
            open.open();
            open
        })
    }

    /// Whether somebody is still to be authorised.
    pub fn is_shut(&self) -> bool {
        !self.0.is_cancelled()
    }

    pub fn open(&self) {
        self.0.cancel();
    }

    pub async fn passed(&self) {
        self.0.cancelled().await;
    }
}
