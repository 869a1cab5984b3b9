//! The parent: starts the child, sends the request, enforces the time limit, and maps the child's exit to an error.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::request::{ChildReply, ChildRequest, EXIT_NOT_STARTED};
use super::{ExtractLimits, FileInfo};
use crate::{Confinement, Document, ExtractError, FileError, FileErrorKind, OcrSettings};

/// The part of the child's standard error that is read; enough for the runtime's out-of-memory message.
pub(super) const STDERR_LIMIT_BYTES: u64 = 4 * 1024;

/// Longest time of a child that reads no file.
const PROBE_SECONDS: u64 = 10;

/// Reads a file in a child process, `program extract`, within `limits`. The child inherits the open file, not a path.
///
/// `program` is the worker's own binary. Dropping the future kills the child.
///
/// # Errors
/// [`ExtractError::File`] if the file cannot become a document, [`ExtractError::Process`] if the child fails for another reason.
pub async fn run(
    program: &Path,
    file: &File,
    info: &FileInfo,
    limits: &ExtractLimits,
    ocr: &OcrSettings,
) -> Result<Document, ExtractError> {
    let (info, limits, ocr) = (info.clone(), limits.clone(), ocr.clone());
    match reply(program, file, &ChildRequest { info, limits, ocr, unpack: None, is_probe: false }).await? {
        ChildReply::Document(document) => Ok(document),
        ChildReply::Failed(error) => Err(error.into()),
        ChildReply::ModelFailure(reason) => Err(ExtractError::Process(io::Error::other(reason))),
        ChildReply::Confinement(_) => Err(invalid_reply().into()),
    }
}

/// What confines the children of this program here, as one of them says.
///
/// # Errors
/// [`ExtractError::Process`] if the child fails.
pub async fn confinement(program: &Path) -> Result<Confinement, ExtractError> {
    let info = FileInfo { file_name: String::new(), declared_type: None };
    let limits = ExtractLimits { wall_seconds: PROBE_SECONDS, ..ExtractLimits::default() };
    let ocr = OcrSettings::default();
    let nothing = File::open("/dev/null").map_err(ExtractError::Process)?;
    match reply(program, &nothing, &ChildRequest { info, limits, ocr, unpack: None, is_probe: true }).await? {
        ChildReply::Confinement(confinement) => Ok(confinement),
        ChildReply::Document(_) | ChildReply::Failed(_) | ChildReply::ModelFailure(_) => Err(invalid_reply().into()),
    }
}

/// Starts a child and waits for its reply.
async fn reply(program: &Path, file: &File, request: &ChildRequest) -> Result<ChildReply, ExtractError> {
    let line = request_line(request)?;
    let (mut child, ours) = start(program, file).map_err(ExtractError::Process)?;
    let limits = &request.limits;
    let recognition = if request.ocr.is_on() { limits.recognition_seconds() } else { 0 };
    let wall = Duration::from_secs(limits.wall_seconds.saturating_add(recognition));
    match timeout(wall, exchange(&mut child, ours, &line, limits)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            child.kill().await.map_err(ExtractError::Process)?;
            Err(FileError::timed_out().into())
        }
    }
}

pub(super) fn request_line(request: &ChildRequest) -> Result<Vec<u8>, ExtractError> {
    let mut line = serde_json::to_vec(request).map_err(|error| ExtractError::Process(error.into()))?;
    line.push(b'\n');
    Ok(line)
}

/// Starts a child with the file and one end of a socket; returns the child and the other end.
pub(super) fn start(program: &Path, file: &File) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new(program)
        .arg("extract")
        .env_clear()
        // By default the recognition of text starts a thread per core, each of which reserves address space.
        .env("RAYON_NUM_THREADS", "1")
        .env("RTEN_NUM_THREADS", "1")
        .stdin(Stdio::from(file.try_clone()?))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal must reach the worker only, which stops its children itself.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

async fn exchange(
    child: &mut Child,
    mut socket: UnixStream,
    line: &[u8],
    limits: &ExtractLimits,
) -> Result<ChildReply, ExtractError> {
    let stderr = child.stderr.take().expect("stderr is piped");
    // The writing half stays open until the child has exited: closing it ends the child.
    let (reading, mut writing) = socket.split();

    // If the child dies before it reads, its exit status is the better error than the broken socket.
    let _broken = writing.write_all(line).await;

    let limit = reply_limit(limits);
    let (reply, stderr) = tokio::join!(read_limited(reading, limit + 1), read_limited(stderr, STDERR_LIMIT_BYTES));
    let reply = match reply {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Vec::new(),
        reply => reply.map_err(ExtractError::Process)?,
    };
    if reply.len() as u64 > limit {
        return Err(FileError::new(FileErrorKind::TooLarge, "The extracted structure is too large.").into());
    }
    let status = child.wait().await.map_err(ExtractError::Process)?;
    if status.success() {
        return Ok(postcard::from_bytes::<ChildReply>(&reply).map_err(|_| invalid_reply())?);
    }
    Err(failed(status, &stderr.unwrap_or_default()))
}

/// The error of a child that did not exit with success.
pub(super) fn failed(status: ExitStatus, stderr: &[u8]) -> ExtractError {
    if status.code() == Some(i32::from(EXIT_NOT_STARTED)) {
        return ExtractError::Process(io::Error::other("the child could not take the file or limit itself"));
    }
    if stopped_from_outside(status) {
        return ExtractError::Process(io::Error::other("the child was stopped from outside"));
    }
    exit_error(status, stderr).into()
}

pub(super) fn invalid_reply() -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The reader sent an invalid reply.")
}

/// The text, plus several times as much for elements: a text of many tiny lines has more structure than text.
fn reply_limit(limits: &ExtractLimits) -> u64 {
    limits.max_text_bytes.saturating_mul(4).saturating_add(64 * 1024)
}

pub(super) async fn read_limited(stream: impl AsyncRead + Unpin, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Whether an operator, a supervisor, or the kernel's out-of-memory killer ended the child. That is no fault of the file, which has
/// its own limits.
fn stopped_from_outside(status: ExitStatus) -> bool {
    [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP].iter().any(|signal| status.signal() == Some(signal.as_raw()))
}

/// The error of a child that exited without a reply. The child reports ordinary faults of the file itself.
fn exit_error(status: ExitStatus, stderr: &[u8]) -> FileError {
    let stderr = String::from_utf8_lossy(stderr);
    let killed_by = |signal: Signal| status.signal() == Some(signal.as_raw());
    if killed_by(Signal::XCPU) {
        return FileError::timed_out();
    }
    // The second message is that of a panic without memory to unwind.
    if ["memory allocation of", "failed to initiate panic"].iter().any(|message| stderr.contains(message)) {
        return FileError::new(
            FileErrorKind::OutOfMemory,
            "Reading the content takes more memory than one file may take.",
        );
    }
    FileError::crashed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed(signal: Signal, stderr: &str) -> FileErrorKind {
        exit_error(ExitStatus::from_raw(signal.as_raw()), stderr.as_bytes()).kind
    }

    #[test]
    fn exit_status_maps_to_the_error_kind() {
        assert_eq!(killed(Signal::XCPU, ""), FileErrorKind::TimedOut);
        assert!(stopped_from_outside(ExitStatus::from_raw(Signal::KILL.as_raw())));
        assert!(!stopped_from_outside(ExitStatus::from_raw(Signal::XCPU.as_raw())));
        assert_eq!(killed(Signal::ABORT, "memory allocation of 9 bytes failed"), FileErrorKind::OutOfMemory);
        let unwound = "fatal runtime error: failed to initiate panic, error 5, aborting";
        assert_eq!(killed(Signal::ABORT, unwound), FileErrorKind::OutOfMemory);
        assert_eq!(killed(Signal::ABORT, "thread 'main' has overflowed its stack"), FileErrorKind::Corrupt);
        assert_eq!(killed(Signal::SEGV, ""), FileErrorKind::Corrupt);
        assert_eq!(exit_error(ExitStatus::from_raw(101 << 8), b"").kind, FileErrorKind::Corrupt);
    }
}
