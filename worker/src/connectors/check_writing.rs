//! The step `write` of a check: whether sinks can write through a connection. Nothing that it writes stays.

use nvisy_shared::{
    domain::connection::{self, Capability, CheckStep},
    id,
};

use super::{
    CallFailure, OpenConnection, Place,
    object_target::try_writing,
    objects::key,
    table::{OpenTarget, open_target},
    usage::Usage,
};
use crate::context::Context;

/// Places of sinks that are tried; they mostly differ in nothing but their names.
const MAX_PLACES: usize = 5;
/// The name of an object that is written.
const NAME: &str = "nvisy-check";

/// Tries writing where sinks of pipelines write. Without a sink the step decides nothing, and a connection that pipelines only read is
/// not written to at all.
pub(super) async fn check_writing(cx: &Context, connection: &OpenConnection, usage: &Usage) -> Vec<CheckStep> {
    let can_write = connection::provider(&connection.provider).is_some_and(|known| known.can(Capability::Write));
    let is_optional = usage.places.is_empty();
    if !can_write || (is_optional && usage.is_read) {
        return Vec::new();
    }
    let target = match open_target(cx, connection) {
        Ok(target) => target,
        Err(failure) => return vec![step(Err(failure.redacted(connection)), is_optional)],
    };
    let places = usage.places.iter().take(MAX_PLACES).map(Some).chain(is_optional.then_some(None));
    let mut steps = Vec::new();
    for place in places {
        let result = tried(&target, place).await;
        steps.extend(result.map(|result| step(result.map_err(|failure| failure.redacted(connection)), is_optional)));
    }
    steps
}

/// Tries a place, or the whole system. `None`: there is nothing to be tried.
async fn tried(target: &OpenTarget, place: Option<&(String, String)>) -> Option<Result<String, CallFailure>> {
    let named = |what: &str| match place {
        Some((into, _)) => format!("{what} in `{into}`"),
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
                Ok(true) => Some(Ok(named("rows can be written"))),
                Err(failure) => Some(Err(failure)),
            }
        }
        OpenTarget::Objects(target) => {
            let folder = place.map_or("/", |(into, _)| into.as_str());
            let written = match key::place(folder, NAME, ".txt") {
                Ok(place) => try_writing(&**target, &place.key(id::new())).await,
                Err(failure) => Err(CallFailure::Item(failure)),
            };
            Some(written.map(named))
        }
    }
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
