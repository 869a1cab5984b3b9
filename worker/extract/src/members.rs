//! The parent of a child that unpacks: the members of an archive, one after the other, at the pace of the reader.

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::Child,
    time::timeout,
};

use super::{
    ExtractError, ExtractLimits, FileInfo,
    request::ChildRequest,
    run::{STDERR_LIMIT_BYTES, failed, invalid_reply, read_limited, request_line, start, timed_out},
    unpack::{UnpackLimits, UnpackMessage},
};

/// Longest message of the child, in bytes: a part of a member, with room for its frame.
const MAX_MESSAGE_BYTES: u32 = 128 * 1024;

/// The members of a file, read by a child process. Dropping it ends the child.
pub struct Members {
    child: Child,
    socket: UnixStream,
    /// The time that the child may still take. Time that the reader takes between two calls does not count.
    remaining: Duration,
    /// The path of the first member, which [`Members::open`] has read already.
    first: Option<String>,
    is_complete: bool,
}

impl Members {
    /// Starts to unpack a file, whose kind [`archive_kind`](crate::archive_kind) tells. `None`: it is no archive after all.
    ///
    /// # Errors
    /// As [`run`](crate::run()); an archive may also fail later.
    pub async fn open(
        program: &Path,
        file: &File,
        info: &FileInfo,
        limits: &ExtractLimits,
        unpack: UnpackLimits,
    ) -> Result<Option<Self>, ExtractError> {
        let ocr = crate::OcrSettings::default();
        let request = ChildRequest { info: info.clone(), limits: limits.clone(), ocr, unpack: Some(unpack) };
        let line = request_line(&request)?;
        let (child, mut socket) = start(program, file).map_err(ExtractError::Process)?;
        // If the child dies before it reads, its exit status is the better error than the broken socket.
        let _broken = socket.write_all(&line).await;
        let remaining = Duration::from_secs(limits.wall_seconds);
        let mut members = Self { child, socket, remaining, first: None, is_complete: false };
        match members.message().await? {
            UnpackMessage::NotAnArchive => return Ok(None),
            UnpackMessage::Member(path) => members.first = Some(path),
            UnpackMessage::End => members.is_complete = true,
            UnpackMessage::Failed(error) => return Err(error.into()),
            UnpackMessage::Bytes(_) | UnpackMessage::MemberEnd => return Err(invalid_reply().into()),
        }
        Ok(Some(members))
    }

    /// The path of the next member, after all bytes of the one before; `None`: that was the last one.
    ///
    /// # Errors
    /// As [`Self::open`]. The members before are void.
    pub async fn next(&mut self) -> Result<Option<String>, ExtractError> {
        if let Some(path) = self.first.take() {
            return Ok(Some(path));
        }
        if self.is_complete {
            return Ok(None);
        }
        match self.message().await? {
            UnpackMessage::Member(path) => Ok(Some(path)),
            UnpackMessage::End => {
                self.is_complete = true;
                Ok(None)
            }
            UnpackMessage::Failed(error) => Err(error.into()),
            _ => Err(invalid_reply().into()),
        }
    }

    /// The next bytes of the member; `None`: it is complete.
    ///
    /// # Errors
    /// As [`Self::open`]. This member and those before are void.
    pub async fn bytes(&mut self) -> Result<Option<Vec<u8>>, ExtractError> {
        match self.message().await? {
            UnpackMessage::Bytes(bytes) => Ok(Some(bytes)),
            UnpackMessage::MemberEnd => Ok(None),
            UnpackMessage::Failed(error) => Err(error.into()),
            _ => Err(invalid_reply().into()),
        }
    }

    async fn message(&mut self) -> Result<UnpackMessage, ExtractError> {
        let began = Instant::now();
        let Ok(read) = timeout(self.remaining, read_message(&mut self.socket)).await else {
            self.child.kill().await.map_err(ExtractError::Process)?;
            return Err(timed_out().into());
        };
        self.remaining = self.remaining.saturating_sub(began.elapsed());
        match read {
            Ok(bytes) => postcard::from_bytes(&bytes).map_err(|_| invalid_reply().into()),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Err(self.exit_error().await)
            }
            Err(error) => Err(ExtractError::Process(error)),
        }
    }

    /// The error of a child that ended within a message or before it.
    async fn exit_error(&mut self) -> ExtractError {
        let stderr = match self.child.stderr.take() {
            Some(stderr) => read_limited(stderr, STDERR_LIMIT_BYTES).await.unwrap_or_default(),
            None => Vec::new(),
        };
        match self.child.wait().await {
            Ok(status) if status.success() => invalid_reply().into(),
            Ok(status) => failed(status, &stderr),
            Err(error) => ExtractError::Process(error),
        }
    }
}

async fn read_message(socket: &mut UnixStream) -> io::Result<Vec<u8>> {
    let length = socket.read_u32_le().await?;
    if length > MAX_MESSAGE_BYTES {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the message is too long"));
    }
    let mut bytes = vec![0; length as usize];
    socket.read_exact(&mut bytes).await?;
    Ok(bytes)
}
