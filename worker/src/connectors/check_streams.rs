//! The steps `stream` of a check: whether sources of pipelines can read what they name.

use nvisy_shared::domain::connection::CheckStep;

use super::{
    OpenConnection,
    table::open_source,
    target::step,
    usage::{Usage, UsedStream},
};
use crate::context::Context;

/// Streams that are tried; they mostly differ in nothing but their names.
const MAX_STREAMS: usize = 5;

/// A step for each stream. With `parts_only` those of nodes that name none are left out: the check has read the whole system before.
pub(super) async fn check_streams(
    cx: &Context,
    connection: &OpenConnection,
    usage: &Usage,
    parts_only: bool,
) -> Vec<CheckStep> {
    let mut steps = Vec::new();
    let streams = usage.streams.iter().filter(|used| !parts_only || used.is_part());
    for used in streams.take(MAX_STREAMS) {
        let found = match open_source(cx, connection) {
            Ok(source) => source.check(Some(&used.stream)).await,
            Err(failure) => vec![step("stream", Err(failure.redacted(connection).to_string()))],
        };
        steps.push(of_stream(used, &found));
    }
    steps
}

fn of_stream(used: &UsedStream, found: &[CheckStep]) -> CheckStep {
    let UsedStream { pipeline, node, .. } = used;
    let result = match found.iter().find(|step| !step.ok) {
        Some(failed) => Err(format!(
            "the node `{node}` of the pipeline `{pipeline}` cannot read what its `stream` names: {}; correct the setting, \
             or the system",
            failed.detail
        )),
        None => Ok(format!("the node `{node}` of the pipeline `{pipeline}` can read what its `stream` names")),
    };
    step("stream", result)
}
