//! Writing to the system behind a connection.

use std::sync::Arc;

use futures::future::BoxFuture;
use nvisy_shared::domain::{connection::CheckStep, failure::FailureCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::CallFailure;

/// A place in a system, as a sink names it. It is stored with what was written there, so that it can be deleted when the pipeline
/// is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The collection, class, namespace or table.
    pub into: String,
    /// The field of the id.
    pub id_field: String,
    /// The field of the vector, where the sink names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_field: Option<String>,
}

/// An element as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The id: the same for the same pipeline, node, file and ordinal.
    pub id: Uuid,
    /// The vector, where there is one.
    pub vector: Option<Arc<[f32]>>,
    /// The other fields, the text among them.
    pub fields: Map<String, Value>,
}

/// A system that rows are written to. Every operation may be repeated: it gives the same result.
pub trait Target: Send + Sync {
    /// The steps of a check up to the first that fails, after that of the address.
    fn check(&self) -> impl Future<Output = Vec<CheckStep>> + Send;

    /// Whether a row without a vector cannot be written.
    fn needs_vectors(&self) -> bool {
        true
    }

    /// Looks whether rows like this one fit the place, as far as the system says.
    ///
    /// # Errors
    /// [`FailureCode::TargetMismatch`] if they do not.
    fn prepare(&self, place: &Place, like: &Row) -> impl Future<Output = Result<(), CallFailure>> + Send;

    /// Writes rows over those with the same ids.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn write(&self, place: &Place, rows: &[Row]) -> impl Future<Output = Result<(), CallFailure>> + Send;

    /// Deletes rows; those that are not there are no error, nor is a place that is gone.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn delete(&self, place: &Place, ids: &[Uuid]) -> impl Future<Output = Result<(), CallFailure>> + Send;

    /// Tries whether rows can be written, and leaves nothing. Without a place, `false`: there is nothing to be tried.
    ///
    /// # Errors
    /// [`CallFailure`]: [`FailureCode::TargetMismatch`] if there is no such place.
    fn try_writing(&self, place: Option<&Place>) -> impl Future<Output = Result<bool, CallFailure>> + Send;
}

/// A target without its type, as a [`DynTarget`].
pub trait ErasedTarget: Send + Sync {
    /// As [`Target::check`].
    fn check(&self) -> BoxFuture<'_, Vec<CheckStep>>;
    /// As [`Target::needs_vectors`].
    fn needs_vectors(&self) -> bool;
    /// As [`Target::prepare`].
    fn prepare<'a>(&'a self, place: &'a Place, like: &'a Row) -> BoxFuture<'a, Result<(), CallFailure>>;
    /// As [`Target::write`].
    fn write<'a>(&'a self, place: &'a Place, rows: &'a [Row]) -> BoxFuture<'a, Result<(), CallFailure>>;
    /// As [`Target::delete`].
    fn delete<'a>(&'a self, place: &'a Place, ids: &'a [Uuid]) -> BoxFuture<'a, Result<(), CallFailure>>;
    /// As [`Target::try_writing`].
    fn try_writing<'a>(&'a self, place: Option<&'a Place>) -> BoxFuture<'a, Result<bool, CallFailure>>;
}

/// Any target.
pub type DynTarget = dyn ErasedTarget;

impl<T: Target> ErasedTarget for T {
    fn check(&self) -> BoxFuture<'_, Vec<CheckStep>> {
        Box::pin(Target::check(self))
    }

    fn needs_vectors(&self) -> bool {
        Target::needs_vectors(self)
    }

    fn prepare<'a>(&'a self, place: &'a Place, like: &'a Row) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(Target::prepare(self, place, like))
    }

    fn write<'a>(&'a self, place: &'a Place, rows: &'a [Row]) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(Target::write(self, place, rows))
    }

    fn delete<'a>(&'a self, place: &'a Place, ids: &'a [Uuid]) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(Target::delete(self, place, ids))
    }

    fn try_writing<'a>(&'a self, place: Option<&'a Place>) -> BoxFuture<'a, Result<bool, CallFailure>> {
        Box::pin(Target::try_writing(self, place))
    }
}

/// The failure of a place that has another form than what is written, or does not exist.
pub(super) fn mismatch(reason: impl Into<String>) -> CallFailure {
    CallFailure::item(FailureCode::TargetMismatch, reason)
}

/// Whether a failure is that of [`mismatch`].
pub(super) fn is_mismatch(failure: &CallFailure) -> bool {
    matches!(failure, CallFailure::Item(failure) if failure.code == FailureCode::TargetMismatch)
}

/// The failure of elements that the system does not accept, whenever they are written.
pub(super) fn rejected(reason: impl Into<String>) -> CallFailure {
    CallFailure::item(FailureCode::ProviderRejected, reason)
}

/// The failure of a request that is too large for the system.
pub(super) fn too_large(reason: impl Into<String>) -> CallFailure {
    CallFailure::item(FailureCode::TooLarge, reason)
}

/// The failure of a response that is not one of the protocol; another attempt may get one.
pub(super) fn invalid(reason: impl Into<String>) -> CallFailure {
    CallFailure::Unavailable(format!("the response is not valid: {}", reason.into()))
}

/// A step of a check.
pub(crate) fn step(name: &str, result: Result<String, String>) -> CheckStep {
    let ok = result.is_ok();
    CheckStep::new(name, ok, result.unwrap_or_else(|reason| reason))
}

/// The vector of a row, for stores that have nothing without one.
///
/// # Errors
/// [`FailureCode::TargetMismatch`] without one.
pub(super) fn vector(row: &Row) -> Result<&[f32], CallFailure> {
    row.vector.as_deref().ok_or_else(|| {
        mismatch("the store takes vectors, and an element has none: the pipeline needs `embed` before the sink")
    })
}

/// Compares the dimension of the store with that of a row.
///
/// # Errors
/// [`FailureCode::TargetMismatch`] if they differ.
pub(super) fn same_dimension(place: &str, expected: u64, row: &Row) -> Result<(), CallFailure> {
    let found = vector(row)?.len() as u64;
    if found == expected {
        return Ok(());
    }
    Err(mismatch(format!("`{place}` has vectors of {expected} dimensions, and those of the pipeline have {found}")))
}
