//! Writing rows and objects to the system behind a connection, within its limits: upsert, then delete what is obsolete.

use std::time::Duration;

use nvisy_shared::{
    domain::failure::FailureCode,
    id,
    store::{
        self,
        change::Change,
        external_target::{Begun, Source, TargetKey},
        job::Claim,
    },
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    connectors::{CallFailure, DynObjectTarget, DynTarget, ObjectContent, ObjectPlace, Place, Row, gate::Gate},
    context::Context,
    runner::{JobError, write_in_tx},
};

/// How long a job waits for another one that writes for the same file.
pub(crate) const BUSY_DELAY: Duration = Duration::from_millis(500);
/// The size from which a request takes no further row: the least that a store takes is 2 MB.
const REQUEST_BYTES: usize = 1_500_000;
/// The size of a number of a vector as text.
const NUMBER_BYTES: usize = 12;
/// Rows that are deleted by one request.
const DELETE_BATCH: usize = 500;

/// The id of the row or object of an element, which no other element of any sink has.
pub(crate) fn row_id(key: &TargetKey, ordinal: u32) -> Uuid {
    let (pipeline, file) = (key.pipeline_id.0, key.file_id.0);
    id::derived(&[b"row", pipeline.as_bytes(), key.node.as_bytes(), file.as_bytes(), &ordinal.to_le_bytes()])
}

/// Records that so many rows or objects may be written from now on; returns how many may be there already, or `None` if a newer version or run
/// has written.
///
/// # Errors
/// [`JobError::Snooze`] while another job writes.
pub(crate) async fn begin(
    cx: &Context,
    claim: &Claim,
    key: &TargetKey,
    place: store::external_target::Place<'_>,
    source: Source,
    elements: u32,
) -> Result<Option<u32>, JobError> {
    let elements = i32::try_from(elements).unwrap_or(i32::MAX);
    let begun = write_in_tx(cx, claim, || {
        async move |change: &mut Change| {
            Ok(store::external_target::begin(change, key, place, source, elements, claim).await?)
        }
    })
    .await?;
    match begun {
        Begun::Granted(written) => Ok(Some(u32::try_from(written).unwrap_or_default())),
        Begun::Superseded => Ok(None),
        Begun::Busy => {
            let what = "another job writes for the same file";
            Err(JobError::Snooze { what, delay: BUSY_DELAY, source: None })
        }
    }
}

/// Writes rows in requests of at most `batch` rows.
///
/// # Errors
/// As [`Gate::failed`].
pub(crate) async fn write(
    gate: &Gate<'_>,
    target: &DynTarget,
    place: &Place,
    rows: &[Row],
    batch: usize,
) -> Result<(), JobError> {
    let mut waiting: Vec<&[Row]> = batches(rows, batch);
    waiting.reverse();
    while let Some(rows) = waiting.pop() {
        take(gate).await?;
        match target.write(place, rows).await {
            Ok(()) => gate.succeeded().await?,
            // A smaller one may do.
            Err(CallFailure::Item(failure)) if failure.code == FailureCode::TooLarge && rows.len() > 1 => {
                let (first, second) = rows.split_at(rows.len() / 2);
                waiting.extend([second, first]);
            }
            Err(failure) => return Err(gate.failed(failure).await?),
        }
    }
    Ok(())
}

/// Deletes rows.
///
/// # Errors
/// As [`Gate::failed`].
pub(crate) async fn delete(gate: &Gate<'_>, target: &DynTarget, place: &Place, ids: &[Uuid]) -> Result<(), JobError> {
    for ids in ids.chunks(DELETE_BATCH) {
        take(gate).await?;
        match target.delete(place, ids).await {
            Ok(()) => gate.succeeded().await?,
            Err(failure) => return Err(gate.failed(failure).await?),
        }
    }
    Ok(())
}

/// An object to be written.
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) media_type: String,
    pub(crate) content: ObjectContent,
}

/// Writes an object.
///
/// # Errors
/// As [`Gate::failed`].
pub(crate) async fn put(gate: &Gate<'_>, target: &DynObjectTarget, object: &Object) -> Result<(), JobError> {
    take(gate).await?;
    match target.put(&object.key, &object.media_type, &object.content).await {
        Ok(()) => gate.succeeded().await,
        Err(failure) => Err(gate.failed(failure).await?),
    }
}

/// Deletes objects.
///
/// # Errors
/// As [`Gate::failed`].
pub(crate) async fn delete_objects(
    gate: &Gate<'_>,
    target: &DynObjectTarget,
    place: &ObjectPlace,
    ids: impl Iterator<Item = Uuid>,
) -> Result<(), JobError> {
    for id in ids {
        take(gate).await?;
        match target.delete(&place.key(id)).await {
            Ok(()) => gate.succeeded().await?,
            Err(failure) => return Err(gate.failed(failure).await?),
        }
    }
    Ok(())
}

/// Takes a call, and waits for it here: a job that was given back in the middle would begin at the first row again, and never end.
async fn take(gate: &Gate<'_>) -> Result<(), JobError> {
    loop {
        match gate.take(1).await {
            Err(JobError::Snooze { delay, .. }) => tokio::time::sleep(delay).await,
            taken => return taken.map(drop),
        }
    }
}

/// Divides rows into requests.
fn batches(rows: &[Row], size: usize) -> Vec<&[Row]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, row) in rows.iter().enumerate() {
        let own = row_bytes(row);
        if place > start && (place - start >= size || bytes + own > REQUEST_BYTES) {
            batches.push(&rows[start..place]);
            (start, bytes) = (place, 0);
        }
        bytes += own;
    }
    if start < rows.len() {
        batches.push(&rows[start..]);
    }
    batches
}

fn row_bytes(row: &Row) -> usize {
    fn size(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => items.iter().map(size).sum::<usize>() + 2,
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 2,
            _ => NUMBER_BYTES,
        }
    }
    let vector = row.vector.as_ref().map_or(0, |vector| vector.len() * NUMBER_BYTES);
    vector + row.fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 40
}

#[cfg(test)]
mod tests {
    use nvisy_shared::id::{FileId, PipelineId, WorkspaceId};
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn row_id_is_the_same_for_the_same_element_and_no_other() {
        let key = |node: &str| TargetKey {
            workspace_id: WorkspaceId(Uuid::nil()),
            pipeline_id: PipelineId(Uuid::nil()),
            node: node.to_owned(),
            file_id: FileId(Uuid::nil()),
            destination: String::new(),
        };
        let id = row_id(&key("out"), 1);
        assert_eq!(id, row_id(&key("out"), 1));
        assert_ne!(id, row_id(&key("out"), 2));
        assert_ne!(id, row_id(&key("other"), 1));
        assert_eq!(id.get_version_num(), 5);
    }

    #[test]
    fn requests_are_bounded_by_number_and_bytes() {
        let row = |bytes: usize| {
            let fields = Map::from_iter([("text".to_owned(), json!("x".repeat(bytes)))]);
            Row { id: Uuid::nil(), vector: None, fields }
        };
        let lengths = |rows: &[Row], size| batches(rows, size).iter().map(|rows| rows.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[row(1), row(1), row(1), row(1), row(1)], 2), [2, 2, 1]);
        assert_eq!(lengths(&[], 2), [0; 0]);
        let half = REQUEST_BYTES / 2;
        assert_eq!(lengths(&[row(half), row(half), row(2 * REQUEST_BYTES), row(1)], 100), [1, 1, 1, 1]);
    }
}
