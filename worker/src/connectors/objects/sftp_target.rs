//! Writing to servers with SFTP: beside the object, then in its place, so that readers see no half of one.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use russh_sftp::{
    client::{SftpSession, error::Error as SftpError},
    protocol::StatusCode,
};
use tokio::io::AsyncWriteExt;

use super::sftp::Server;
use crate::connectors::{
    CallFailure,
    object_target::{ObjectContent, ObjectTarget},
};

/// What follows behind the name of an object that is being written.
const PART_SUFFIX: &str = ".part";

/// Writes a server.
pub(super) struct SftpTarget(pub(super) Arc<Server>);

fn failed(error: &SftpError) -> CallFailure {
    match error {
        SftpError::Status(status) if status.status_code == StatusCode::PermissionDenied => {
            CallFailure::Blocked("the server does not allow writing".to_owned())
        }
        SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => {
            CallFailure::Blocked("the folder of the connection does not exist".to_owned())
        }
        _ => CallFailure::Unavailable(error.to_string()),
    }
}

fn is_missing(error: &SftpError) -> bool {
    matches!(error, SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile)
}

impl SftpTarget {
    async fn make_folders(&self, sftp: &SftpSession, key: &str) -> Result<(), SftpError> {
        for (end, _) in key.match_indices('/') {
            let folder = self.0.full(&key[..end]);
            match sftp.metadata(folder.clone()).await {
                Ok(_) => continue,
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error),
            }
            if let Err(error) = sftp.create_dir(folder.clone()).await {
                // Another job may have made it.
                sftp.metadata(folder).await.map_err(|_| error)?;
            }
        }
        Ok(())
    }

    async fn write(&self, sftp: &SftpSession, key: &str, content: &ObjectContent) -> Result<(), SftpError> {
        self.make_folders(sftp, key).await?;
        let full = self.0.full(key);
        let part = format!("{full}{PART_SUFFIX}");
        let mut file = sftp.create(part.clone()).await?;
        let mut pieces = pin!(content.pieces());
        while let Some(piece) = pieces.try_next().await? {
            file.write_all(&piece).await?;
        }
        file.close().await?;
        // The protocol does not rename over a file.
        remove(sftp, full.clone()).await?;
        sftp.rename(part, full).await
    }

    async fn done(&self, result: Result<(), SftpError>) -> Result<(), CallFailure> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => Err(self.0.failed(failed(&error)).await),
        }
    }
}

async fn remove(sftp: &SftpSession, path: String) -> Result<(), SftpError> {
    match sftp.remove_file(path).await {
        Err(error) if is_missing(&error) => Ok(()),
        removed => removed,
    }
}

impl ObjectTarget for SftpTarget {
    async fn put(&self, key: &str, _: &str, content: &ObjectContent) -> Result<(), CallFailure> {
        let session = self.0.session().await?;
        let written = self.write(&session.sftp, key, content).await;
        self.done(written).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, CallFailure> {
        let session = self.0.session().await?;
        match session.sftp.read(self.0.full(key)).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(self.0.failed(failed(&error)).await),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), CallFailure> {
        let session = self.0.session().await?;
        let full = self.0.full(key);
        let removed = async {
            remove(&session.sftp, format!("{full}{PART_SUFFIX}")).await?;
            remove(&session.sftp, full).await
        };
        self.done(removed.await).await
    }
}
