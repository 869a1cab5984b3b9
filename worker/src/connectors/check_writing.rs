//! The step `write` of a check: whether sinks can write through a connection. Nothing that it writes stays.

use std::collections::BTreeSet;

use nvisy_shared::{
    domain::connection::{self, Capability, CheckStep},
    id, store,
};
use serde_json::Value;

use super::{
    CallFailure, OpenConnection, Place,
    object_target::try_writing,
    objects::key,
    table::{OpenTarget, open_target},
};
use crate::context::Context;

/// Places of sinks that are tried; they mostly differ in nothing but their names.
const MAX_PLACES: usize = 5;
/// The name of an object that is written.
const NAME: &str = "nvisy-check";

/// Tries writing where sinks of pipelines write. Without a sink the step decides nothing, and a connection that pipelines only read is
/// not written to at all.
pub(super) async fn check_writing(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
    let can_write = connection::provider(&connection.provider).is_some_and(|known| known.can(Capability::Write));
    if !can_write {
        return Vec::new();
    }
    let nodes = match store::connection::nodes(&cx.db, connection.workspace, connection.id).await {
        Ok(nodes) => nodes,
        Err(error) => {
            let failure = CallFailure::Unavailable(format!("the pipelines cannot be read: {error}"));
            return vec![step(Err(failure), false)];
        }
    };
    let (sinks, others): (Vec<&Value>, Vec<_>) = nodes.iter().partition(|node| node["type"] == "sink.connection");
    if sinks.is_empty() && !others.is_empty() {
        return Vec::new();
    }
    let places: BTreeSet<_> = sinks.into_iter().filter_map(place).collect();
    let places: Vec<_> = places.into_iter().take(MAX_PLACES).collect();
    let target = match open_target(cx, connection) {
        Ok(target) => target,
        Err(failure) => return vec![step(Err(failure.redacted(connection)), places.is_empty())],
    };
    if places.is_empty() {
        return tried(&target, None).await.map(|result| step(redacted(result, connection), true)).into_iter().collect();
    }
    let mut steps = Vec::new();
    for place in &places {
        let result = tried(&target, Some(place)).await;
        steps.extend(result.map(|result| step(redacted(result, connection), false)));
    }
    steps
}

/// The place of a sink: its `into` and `idField`.
fn place(node: &Value) -> Option<(String, String)> {
    let id_field = node["idField"].as_str().unwrap_or("id");
    Some((node["into"].as_str()?.to_owned(), id_field.to_owned()))
}

/// Tries a place, or the whole system. `None`: there is nothing to be tried.
async fn tried(target: &OpenTarget, place: Option<&(String, String)>) -> Option<Result<String, CallFailure>> {
    let named = |what: &str| match place {
        Some((into, _)) => format!("{what} `{into}`"),
        None => what.to_owned(),
    };
    match target {
        OpenTarget::Rows(target) => {
            let place = place.map(|(into, id_field)| Place {
                into: into.clone(),
                id_field: id_field.clone(),
                vector_field: None,
            });
            match target.try_writing(place.as_ref()).await {
                Ok(false) => None,
                Ok(true) if place.is_none() => Some(Ok("a temporary table can be written".to_owned())),
                Ok(true) => Some(Ok(named("rows can be written into"))),
                Err(failure) => Some(Err(failure)),
            }
        }
        OpenTarget::Objects(target) => {
            let folder = place.map_or("/", |(into, _)| into.as_str());
            let written = match key::place(folder, NAME, ".txt") {
                Ok(place) => try_writing(&**target, &place.key(id::new())).await,
                Err(failure) => Err(CallFailure::Item(failure)),
            };
            let what = if place.is_some() {
                "an object is written, read and deleted in"
            } else {
                "an object is written, read and deleted"
            };
            Some(written.map(|()| named(what)))
        }
    }
}

fn redacted(result: Result<String, CallFailure>, connection: &OpenConnection) -> Result<String, CallFailure> {
    result.map_err(|failure| failure.redacted(connection))
}

fn step(result: Result<String, CallFailure>, optional: bool) -> CheckStep {
    match result {
        Ok(detail) => CheckStep { optional, ..CheckStep::new("write", true, detail) },
        Err(failure) => {
            let code = Some(failure.code().to_owned());
            CheckStep { code, optional, ..CheckStep::new("write", false, failure.to_string()) }
        }
    }
}
