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
    ExtractError, ExtractLimits, FileError, FileInfo,
    request::ChildRequest,
    run::{STDERR_LIMIT_BYTES, failed, invalid_reply, read_limited, request_line, start},
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
    /// A message that was read already.
    pending: Option<UnpackMessage>,
    /// The path of the member whose bytes come.
    open: Option<String>,
    is_at_end: bool,
}

/// A part of an archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Member {
    /// A member of this path, whose bytes come next ([`Members::bytes`]).
    Content(String),
    /// The member of this path cannot be read. If its bytes came already, they are void.
    Failed(String, FileError),
    /// The rest of the archive cannot be read.
    CutShort(FileError),
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
        let request =
            ChildRequest { info: info.clone(), limits: limits.clone(), ocr, unpack: Some(unpack), is_probe: false };
        let line = request_line(&request)?;
        let (child, mut socket) = start(program, file).map_err(ExtractError::Process)?;
        // If the child dies before it reads, its exit status is the better error than the broken socket.
        let _broken = socket.write_all(&line).await;
        let remaining = Duration::from_secs(limits.wall_seconds);
        let mut members = Self { child, socket, remaining, pending: None, open: None, is_at_end: false };
        match members.message().await? {
            UnpackMessage::NotAnArchive => return Ok(None),
            first => members.pending = Some(first),
        }
        Ok(Some(members))
    }

    /// The next part of the archive, after all bytes of the member before; `None`: that was the last one.
    ///
    /// # Errors
    /// As [`Self::open`]. The members before are void.
    pub async fn next(&mut self) -> Result<Option<Member>, ExtractError> {
        if self.is_at_end {
            return Ok(None);
        }
        match self.message().await? {
            UnpackMessage::Member(path) if self.open.is_none() => {
                self.open = Some(path.clone());
                Ok(Some(Member::Content(path)))
            }
            UnpackMessage::MemberFailed(path, error) => {
                self.open = None;
                Ok(Some(Member::Failed(path, error)))
            }
            UnpackMessage::CutShort(error) => match self.open.take() {
                Some(path) => {
                    self.pending = Some(UnpackMessage::CutShort(error.clone()));
                    Ok(Some(Member::Failed(path, error)))
                }
                None => {
                    self.is_at_end = true;
                    Ok(Some(Member::CutShort(error)))
                }
            },
            UnpackMessage::End if self.open.is_none() => {
                self.is_at_end = true;
                Ok(None)
            }
            UnpackMessage::Failed(error) => Err(error.into()),
            _ => Err(invalid_reply().into()),
        }
    }

    /// The next bytes of the member; `None`: it is complete.
    ///
    /// # Errors
    /// As [`Self::open`]. The bytes of this member are void; [`Self::next`] tells whether the members before are, too.
    pub async fn bytes(&mut self) -> Result<Option<Vec<u8>>, ExtractError> {
        match self.message().await? {
            UnpackMessage::Bytes(bytes) => Ok(Some(bytes)),
            UnpackMessage::MemberEnd => {
                self.open = None;
                Ok(None)
            }
            failure @ (UnpackMessage::MemberFailed(..) | UnpackMessage::CutShort(_) | UnpackMessage::Failed(_)) => {
                let error = failure.error().unwrap_or_else(invalid_reply);
                self.pending = Some(failure);
                Err(error.into())
            }
            _ => Err(invalid_reply().into()),
        }
    }

    /// Whether the last call of [`Self::bytes`] failed for a reason that [`Self::next`] tells.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        self.pending.is_some()
    }

    async fn message(&mut self) -> Result<UnpackMessage, ExtractError> {
        if let Some(message) = self.pending.take() {
            return Ok(message);
        }
        let began = Instant::now();
        let Ok(read) = timeout(self.remaining, read_message(&mut self.socket)).await else {
            self.child.kill().await.map_err(ExtractError::Process)?;
            return Err(FileError::timed_out().into());
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
