//! What every handler can reach: made once, shared by all threads.

use nvisy_shared::{lifecycle::Lifecycle, store::Db};

use crate::{
    auth::{password::Passwords, token::Keys},
    http::openapi::Document,
};

/// Handlers take it as `Data<State>`.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) db: Db,
    pub(crate) keys: Keys,
    pub(crate) passwords: Passwords,
    pub(crate) document: Document,
    /// Tells readiness and long answers that the process is stopping.
    pub(crate) lifecycle: Lifecycle,
}
