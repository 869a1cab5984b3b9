//! Writing to stores that opendal speaks to: in parts, so that memory does not grow with the object.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use opendal::{ErrorKind, Writer, options::WriteOptions};

use super::store::ObjectStore;
use crate::connectors::{
    CallFailure,
    object_target::{ObjectContent, ObjectTarget},
};

/// The size of a part; smaller objects are written by one call. Stores take at least 10,000 parts of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Longest wait for a part to be stored.
const PART_TIMEOUT: Duration = Duration::from_secs(300);

/// Writes a store.
pub(super) struct StoreTarget(pub(super) Arc<ObjectStore>);

impl StoreTarget {
    async fn write_parts(&self, writer: &mut Writer, content: &ObjectContent) -> Result<(), CallFailure> {
        let mut pieces = pin!(content.pieces());
        while let Some(piece) = pieces.try_next().await.map_err(|error| CallFailure::Unavailable(error.to_string()))? {
            self.within(writer.write(piece)).await?;
        }
        self.within(writer.close()).await.map(drop)
    }

    async fn within<T>(&self, call: impl Future<Output = opendal::Result<T>>) -> Result<T, CallFailure> {
        let done = tokio::time::timeout(PART_TIMEOUT, call).await;
        let done = done.map_err(|_| CallFailure::Unavailable("the store did not take a part in time".to_owned()))?;
        done.map_err(|error| self.0.failed(&error))
    }
}

impl ObjectTarget for StoreTarget {
    async fn put(&self, key: &str, media_type: &str, content: &ObjectContent) -> Result<(), CallFailure> {
        let options = WriteOptions {
            chunk: Some(PART_BYTES),
            content_type: Some(media_type.to_owned()),
            ..WriteOptions::default()
        };
        let mut writer = self.within(self.0.operator.writer_options(key, options)).await?;
        let written = self.write_parts(&mut writer, content).await;
        if written.is_err() {
            // Parts without an object cost space; a lifecycle rule of the store removes those that stay.
            let _ = tokio::time::timeout(PART_TIMEOUT, writer.abort()).await;
        }
        written
    }

    async fn get(&self, key: &str) -> Result<Bytes, CallFailure> {
        Ok(self.within(self.0.operator.read(key)).await?.to_bytes())
    }

    async fn delete(&self, key: &str) -> Result<(), CallFailure> {
        match self.0.operator.delete(key).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.0.failed(&error)),
        }
    }
}
