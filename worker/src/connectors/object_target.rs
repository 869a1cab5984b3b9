//! Writing objects to the store behind a connection.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use futures::{Stream, future::BoxFuture, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CallFailure;

/// Bytes of a local file that are read at once.
const READ_BYTES: usize = 1 << 20;

/// The objects of a sink and a file: their keys, but for the id. It is stored with what was written, so that the objects can be
/// deleted when file and pipeline are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectPlace {
    /// What stands before the id.
    pub before: String,
    /// What stands behind it: the extension.
    pub after: String,
}

impl ObjectPlace {
    /// The key of an object. Ids are different for all sinks, files and ordinals, so keys are.
    #[must_use]
    pub fn key(&self, id: Uuid) -> String {
        format!("{}{}{}", self.before, id.simple(), self.after)
    }
}

/// The content of an object. It is read anew by every attempt.
#[derive(Clone, Debug)]
pub enum ObjectContent {
    /// In memory.
    Text(Bytes),
    /// A local file, of so many bytes.
    File(Arc<File>, u64),
}

impl ObjectContent {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File(_, bytes) => *bytes,
        }
    }

    /// The bytes, in pieces.
    pub fn pieces(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let content = self.clone();
        stream::try_unfold((content, 0), |(content, offset)| async move {
            let (piece, content) = tokio::task::spawn_blocking(move || (content.piece(offset), content))
                .await
                .map_err(io::Error::other)?;
            let piece = piece?;
            let next = offset + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, (content, next))))
        })
    }

    /// The bytes from an offset on, not more than are read at once; empty behind the end.
    pub(super) fn piece(&self, offset: u64) -> io::Result<Bytes> {
        match self {
            Self::Text(text) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                Ok(text.slice(from..text.len().min(from + READ_BYTES)))
            }
            Self::File(file, bytes) => {
                let wanted = usize::try_from(bytes.saturating_sub(offset)).unwrap_or(READ_BYTES).min(READ_BYTES);
                let mut piece = vec![0; wanted];
                file.read_exact_at(&mut piece, offset)?;
                Ok(piece.into())
            }
        }
    }
}

/// A store that objects are written to. Every operation may be repeated: it gives the same result.
pub trait ObjectTarget: Send + Sync {
    /// Writes an object over the one with the same key, with the folders that it needs. Memory does not grow with the object.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn put(
        &self,
        key: &str,
        media_type: &str,
        content: &ObjectContent,
    ) -> impl Future<Output = Result<(), CallFailure>> + Send;

    /// Reads a small object.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn get(&self, key: &str) -> impl Future<Output = Result<Bytes, CallFailure>> + Send;

    /// Deletes an object; one that is not there is no error, nor is a store that is gone.
    ///
    /// # Errors
    /// [`CallFailure`].
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), CallFailure>> + Send;
}

/// A target of objects without its type, as a [`DynObjectTarget`].
pub trait ErasedObjectTarget: Send + Sync {
    /// As [`ObjectTarget::put`].
    fn put<'a>(
        &'a self,
        key: &'a str,
        media_type: &'a str,
        content: &'a ObjectContent,
    ) -> BoxFuture<'a, Result<(), CallFailure>>;
    /// As [`ObjectTarget::get`].
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Bytes, CallFailure>>;
    /// As [`ObjectTarget::delete`].
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), CallFailure>>;
}

/// Any target of objects.
pub type DynObjectTarget = dyn ErasedObjectTarget;

impl<T: ObjectTarget> ErasedObjectTarget for T {
    fn put<'a>(
        &'a self,
        key: &'a str,
        media_type: &'a str,
        content: &'a ObjectContent,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(ObjectTarget::put(self, key, media_type, content))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Bytes, CallFailure>> {
        Box::pin(ObjectTarget::get(self, key))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(ObjectTarget::delete(self, key))
    }
}

/// Writes, reads and deletes an object; says what was done. An account that may only write needs not to read. The object stays if it
/// cannot be deleted; the failure has its key then.
///
/// # Errors
/// [`CallFailure`].
pub(super) async fn try_writing(target: &DynObjectTarget, key: &str) -> Result<&'static str, CallFailure> {
    let content = Bytes::from_static(b"A check has written this object, and deletes it.\n");
    target.put(key, "text/plain; charset=utf-8", &ObjectContent::Text(content.clone())).await?;
    let read = target.get(key).await;
    target.delete(key).await.map_err(|failure| failure.with_context(&format!("`{key}` cannot be deleted")))?;
    match read {
        Ok(read) if read == content => Ok("an object is written, read and deleted"),
        Ok(_) => Err(CallFailure::Unavailable("an object is read with another content".to_owned())),
        Err(CallFailure::Blocked(_)) => Ok("an object is written and deleted, and may not be read"),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn content_is_read_in_pieces_and_again() {
        let bytes: Vec<u8> = (0..3 * READ_BYTES + 7).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        for content in
            [ObjectContent::File(Arc::new(file), bytes.len() as u64), ObjectContent::Text(bytes.clone().into())]
        {
            for _ in 0..2 {
                let pieces: Vec<Bytes> = content.pieces().try_collect().await.unwrap();
                assert!(pieces.iter().all(|piece| piece.len() <= READ_BYTES));
                assert_eq!(pieces.concat(), bytes);
            }
        }
    }

    #[test]
    fn key_has_the_id_between_name_and_extension() {
        let place = ObjectPlace { before: "out/a.pdf.".to_owned(), after: ".txt".to_owned() };
        assert_eq!(place.key(Uuid::nil()), "out/a.pdf.00000000000000000000000000000000.txt");
    }
}
