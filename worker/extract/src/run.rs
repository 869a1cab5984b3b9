//! The parent's side: starts the child, feeds it, bounds it, and puts a name to how it ended.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::request::{EXIT_NOT_STARTED, Reply, Request};
use super::{Limits, Source};
use crate::{Document, ExtractError, FileError, FileErrorKind};

/// How much of the child's last words is read; enough for the runtime's out-of-memory notice.
const STDERR_BYTES: u64 = 4 * 1024;

/// Reads a file in a child process, `program extract`, within `limits`. The child is given the file itself, not a path.
///
/// `program` is the worker's own binary. Dropping the future kills the child.
///
/// # Errors
/// [`ExtractError::File`] when the file cannot become a document, [`ExtractError::Process`] when the fault is ours.
pub async fn run(program: &Path, file: &File, source: &Source, limits: &Limits) -> Result<Document, ExtractError> {
    let request = Request { source: source.clone(), limits: limits.clone() };
    let mut line = serde_json::to_vec(&request).map_err(|e| ExtractError::Process(e.into()))?;
    line.push(b'\n');

    let (mut child, ours) = start(program, file).map_err(ExtractError::Process)?;
    let wall = Duration::from_secs(limits.wall_seconds);
    match timeout(wall, converse(&mut child, ours, &line, limits)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            child.kill().await.map_err(ExtractError::Process)?;
            Err(timed_out().into())
        }
    }
}

/// A child with the file and one end of a socket, and the other end.
fn start(program: &Path, file: &File) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = Pair::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new(program)
        .arg("extract")
        .env_clear()
        // The PDF reader would otherwise start a thread per core, each with its own reserve of address space.
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::from(file.try_clone()?))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal reaches the worker alone, which then decides about its children.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

async fn converse(
    child: &mut Child,
    mut socket: UnixStream,
    line: &[u8],
    limits: &Limits,
) -> Result<Document, ExtractError> {
    let stderr = child.stderr.take().expect("stderr is piped");
    // The writing half is held until the child has ended: a closed one tells it that nobody waits any more.
    let (reading, mut writing) = socket.split();

    // A child that dies before it reads breaks the socket; how it died says more than that.
    let _broken = writing.write_all(line).await;

    let cap = reply_cap(limits);
    let (reply, last_words) = tokio::join!(read_capped(reading, cap + 1), read_capped(stderr, STDERR_BYTES));
    let reply = match reply {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Vec::new(),
        reply => reply.map_err(ExtractError::Process)?,
    };
    if reply.len() as u64 > cap {
        return Err(FileError::new(FileErrorKind::TooLarge, "The extracted structure is too large.").into());
    }
    let status = child.wait().await.map_err(ExtractError::Process)?;
    if status.success() {
        let broken = |_| FileError::new(FileErrorKind::Corrupt, "The reader gave no usable answer.");
        return Ok(postcard::from_bytes::<Reply>(&reply).map_err(broken)??);
    }
    if status.code() == Some(i32::from(EXIT_NOT_STARTED)) {
        return Err(ExtractError::Process(io::Error::other("the child could not take the file or limit itself")));
    }
    if stopped_from_outside(status) {
        return Err(ExtractError::Process(io::Error::other("the child was stopped from outside")));
    }
    Err(died(status, &last_words.unwrap_or_default()).into())
}

/// The text and, since a text of many tiny lines has more structure than letters, several times as much for elements.
fn reply_cap(limits: &Limits) -> u64 {
    limits.max_text_bytes.saturating_mul(4).saturating_add(64 * 1024)
}

async fn read_capped(stream: impl AsyncRead + Unpin, cap: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(cap).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Ended by an operator, a supervisor, or a kernel short of memory for all: that says nothing about the file, which is
/// bounded by its own limits.
fn stopped_from_outside(status: ExitStatus) -> bool {
    [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP].iter().any(|signal| status.signal() == Some(signal.as_raw()))
}

/// What a child's death says of the file. The child answers ordinary failures itself; this is what it could not answer.
fn died(status: ExitStatus, last_words: &[u8]) -> FileError {
    let words = String::from_utf8_lossy(last_words);
    let killed_by = |signal: Signal| status.signal() == Some(signal.as_raw());
    if killed_by(Signal::XCPU) {
        return timed_out();
    }
    // The second is a panic that found no memory to unwind with.
    if ["memory allocation of", "failed to initiate panic"].iter().any(|words_of| words.contains(words_of)) {
        return FileError::new(
            FileErrorKind::OutOfMemory,
            "Reading the content takes more memory than one file may take.",
        );
    }
    FileError::new(FileErrorKind::Corrupt, "The content broke its reader.")
}

fn timed_out() -> FileError {
    FileError::new(FileErrorKind::TimedOut, "Reading the content takes longer than one file may take.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed(signal: Signal, words: &str) -> FileErrorKind {
        died(ExitStatus::from_raw(signal.as_raw()), words.as_bytes()).kind
    }

    #[test]
    fn every_death_has_its_name() {
        assert_eq!(killed(Signal::XCPU, ""), FileErrorKind::TimedOut);
        assert!(stopped_from_outside(ExitStatus::from_raw(Signal::KILL.as_raw())));
        assert!(!stopped_from_outside(ExitStatus::from_raw(Signal::XCPU.as_raw())));
        assert_eq!(killed(Signal::ABORT, "memory allocation of 9 bytes failed"), FileErrorKind::OutOfMemory);
        let unwound = "fatal runtime error: failed to initiate panic, error 5, aborting";
        assert_eq!(killed(Signal::ABORT, unwound), FileErrorKind::OutOfMemory);
        assert_eq!(killed(Signal::ABORT, "thread 'main' has overflowed its stack"), FileErrorKind::Corrupt);
        assert_eq!(killed(Signal::SEGV, ""), FileErrorKind::Corrupt);
        assert_eq!(died(ExitStatus::from_raw(101 << 8), b"").kind, FileErrorKind::Corrupt);
    }
}
