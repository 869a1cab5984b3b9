//! The elements of requests to services.

use std::ops::Range;

use nvisy_shared::domain::failure::{Failure, FailureCode};
use serde_json::{Map, Value};

use super::element_json::{ChunkJson, DocumentJson};
use crate::{
    pipeline::{contract::wrong_input, element::Elements},
    runner::JobError,
};

/// The size from which a request takes no further element.
const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// The largest size of a request: of one element, since others are in requests of their own.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Elements as JSON: what the flow has, with their place as `id` and their metadata.
///
/// # Errors
/// For flows that have no JSON.
pub(super) fn items(node: &'static str, elements: &Elements) -> Result<Vec<Value>, JobError> {
    let item = |place: usize| -> Result<Value, JobError> {
        let written = match elements {
            Elements::Documents(documents) => serde_json::to_value(DocumentJson::from(&documents[place])),
            Elements::Chunks(chunks) => serde_json::to_value(ChunkJson::from(&chunks[place])),
            Elements::Records(records) => {
                Ok(Value::Object(Map::from_iter([("record".to_owned(), records[place].row.clone())])))
            }
            Elements::Bytes(_) | Elements::Vectors(_) => return Err(wrong_input(node)),
        };
        let mut item = written.map_err(JobError::retry("an element cannot be written as JSON"))?;
        item["id"] = place.to_string().into();
        item["metadata"] = elements.origin(place).map(|origin| origin.metadata.clone()).unwrap_or_default().into();
        Ok(item)
    };
    (0..elements.len()).map(item).collect()
}

/// Divides items into requests.
///
/// # Errors
/// [`FailureCode::TooLarge`] for an item that is too large for any.
pub(super) fn batches(items: &[Value], size: u32) -> Result<Vec<Range<usize>>, JobError> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (place, item) in items.iter().enumerate() {
        let own = item.to_string().len();
        if own > MAX_REQUEST_BYTES {
            let detail =
                format!("an element has more than {MAX_REQUEST_BYTES} bytes, which is too large for a request");
            return Err(JobError::Fail(Failure::new(FailureCode::TooLarge, detail)));
        }
        match batches.last_mut() {
            Some(last) if last.len() < size as usize && bytes + own <= REQUEST_BYTES => {
                last.end = place + 1;
                bytes += own;
            }
            _ => {
                batches.push(place..place + 1);
                bytes = own;
            }
        }
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn batches_are_bounded_by_number_and_bytes() {
        let small: Vec<Value> = (0..5).map(|number| json!({ "id": number })).collect();
        assert_eq!(batches(&small, 2).unwrap(), [0..2, 2..4, 4..5]);
        assert!(batches(&[], 2).unwrap().is_empty());
        let large: Vec<Value> = (0..3).map(|_| json!("x".repeat(REQUEST_BYTES / 2))).collect();
        assert_eq!(batches(&large, 100).unwrap(), [0..1, 1..2, 2..3]);
        let error = batches(&[json!("x".repeat(MAX_REQUEST_BYTES))], 1).unwrap_err();
        assert!(matches!(error, JobError::Fail(Failure { code: FailureCode::TooLarge, .. })), "{error}");
    }
}
