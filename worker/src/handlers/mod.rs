//! The handlers of jobs, one for each payload.

mod admit_items;
mod check_connection;
mod clear_space;
mod clear_target;
mod completion;
mod conclusion;
mod deliver_run;
mod embed_chunks;
mod enter_item;
mod fetch_objects;
mod fill_space;
mod item;
mod query_connection;
mod retry_items;
mod run_evaluation;
mod run_items;
mod run_segment;
mod send_mail;
mod settle;
mod sync_source;

use nvisy_shared::job::{
    AdmitItems, CheckConnection, ClearSpace, ClearTarget, DeliverRun, EmbedChunks, EnterItem, FetchObjects, FillSpace,
    QueryConnection, RetryItems, RunEvaluation, RunItems, RunSegment, SendMail, SyncSource,
};

use crate::runner::Registry;

pub(crate) use self::{
    completion::unit,
    item::{finish as finish_item, open as open_item},
};

/// The registry of all handlers.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
        .with::<AdmitItems>()
        .with::<CheckConnection>()
        .with::<ClearSpace>()
        .with::<DeliverRun>()
        .with::<EmbedChunks>()
        .with::<EnterItem>()
        .with::<FetchObjects>()
        .with::<FillSpace>()
        .with::<QueryConnection>()
        .with::<RetryItems>()
        .with::<RunEvaluation>()
        .with::<RunItems>()
        .with::<RunSegment>()
        .with::<SendMail>()
        .with::<ClearTarget>()
        .with::<SyncSource>()
}
