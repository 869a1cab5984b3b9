//! The handlers of jobs, one for each payload.

mod admit_items;
mod check_connection;
mod clear_target;
mod item;
mod run_segment;
mod send_mail;
mod sync_source;

use nvisy_shared::job::{AdmitItems, CheckConnection, ClearTarget, RunSegment, SendMail};

use crate::runner::Registry;

pub(crate) use self::item::{finish as finish_item, open as open_item};

/// The registry of all handlers.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
        .with::<AdmitItems>()
        .with::<CheckConnection>()
        .with::<RunSegment>()
        .with::<SendMail>()
        .with::<ClearTarget>()
}
