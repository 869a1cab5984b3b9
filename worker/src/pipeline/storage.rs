//! Elements in artifacts: JSON parts, so that a worker of another version reads them.

use nvisy_shared::{
    id::{ArtifactId, WorkspaceId},
    pipeline::port::Flow,
    store::{
        self,
        artifact::{FoundArtifact, Part},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{contract::Effect, element::Elements};
use crate::{context::Context, runner::JobError};

/// Elements of one part; a unit of work reads few of them. Files and documents have parts of their own.
const PART_ELEMENTS: usize = 64;

/// Places for the elements that one entering element can become: more than any node gives.
const ROOM: i64 = 1 << 24;

/// The parts of a list. `unit`: the place of the first element that entered, where each unit adds parts of its own.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn parts(elements: &Elements, unit: u32) -> Result<Vec<Part>, JobError> {
    fn of<T: Serialize>(elements: &[T], size: usize, unit: u32) -> Result<Vec<Part>, JobError> {
        let mut parts = Vec::with_capacity(elements.len().div_ceil(size));
        for (index, chunk) in elements.chunks(size).enumerate() {
            let data = serde_json::to_vec(chunk).map_err(JobError::retry("an output cannot be written as JSON"))?;
            parts.push(Part {
                first: i64::from(unit) * ROOM + i64::try_from(index * size).unwrap_or(i64::MAX),
                elements: i32::try_from(chunk.len()).unwrap_or(i32::MAX),
                data,
            });
        }
        Ok(parts)
    }
    match elements {
        Elements::Bytes(elements) => of(elements, 1, unit),
        Elements::Documents(elements) => of(elements, 1, unit),
        Elements::Chunks(elements) => of(elements, PART_ELEMENTS, unit),
        Elements::Vectors(elements) => of(elements, PART_ELEMENTS, unit),
        Elements::Records(elements) => of(elements, PART_ELEMENTS, unit),
    }
}

/// All elements of an artifact.
///
/// # Errors
/// When the database fails, a part cannot be read, or elements are missing: the artifact was deleted meanwhile, with the file that it
/// belonged to.
pub async fn load(
    cx: &Context,
    workspace: WorkspaceId,
    artifact: &FoundArtifact,
    flow: Option<Flow>,
) -> Result<Elements, JobError> {
    range(cx, workspace, artifact.id, flow.unwrap_or(Flow::Records), 0, artifact.elements.into()).await
}

/// The elements of an artifact from `first` to before `end`.
///
/// # Errors
/// As [`load`].
pub async fn range(
    cx: &Context,
    workspace: WorkspaceId,
    artifact: ArtifactId,
    flow: Flow,
    first: i64,
    end: i64,
) -> Result<Elements, JobError> {
    fn of<T: DeserializeOwned>(parts: &[Part], first: i64, end: i64) -> Result<Vec<T>, JobError> {
        let mut elements = Vec::new();
        for part in parts {
            let all: Vec<T> =
                serde_json::from_slice(&part.data).map_err(JobError::retry("a stored output cannot be read"))?;
            let places = part.first..;
            elements
                .extend(all.into_iter().zip(places).filter(|(_, at)| (first..end).contains(at)).map(|(one, _)| one));
        }
        Ok(elements)
    }
    let parts = store::artifact::parts(&cx.db, workspace, artifact, first, end).await?;
    let elements = match flow {
        Flow::Bytes => Elements::Bytes(of(&parts, first, end)?),
        Flow::Document => Elements::Documents(of(&parts, first, end)?),
        Flow::Chunks => Elements::Chunks(of(&parts, first, end)?),
        Flow::Vectors => Elements::Vectors(of(&parts, first, end)?),
        Flow::Records => Elements::Records(of(&parts, first, end)?),
    };
    let (expected, found) = (end.saturating_sub(first), elements.len());
    if i64::try_from(found).is_ok_and(|found| found == expected) {
        return Ok(elements);
    }
    Err(JobError::retry("a stored output is incomplete")(format!("{found} of {expected} elements of {artifact}")))
}

/// The writes that belong to an output, as JSON.
///
/// # Errors
/// When they cannot be written as JSON.
pub fn write_effects(effects: &[Effect]) -> Result<Json, JobError> {
    serde_json::to_value(effects).map_err(JobError::retry("a write cannot be stored as JSON"))
}

/// The writes that belong to a stored output.
///
/// # Errors
/// When they cannot be read.
pub fn read_effects(json: &Json) -> Result<Vec<Effect>, JobError> {
    serde_json::from_value(json.clone()).map_err(JobError::retry("a stored write cannot be read"))
}
