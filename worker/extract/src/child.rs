//! The child process, `nvisy-worker extract`: reads one request, limits itself, reads the file, writes one reply, or the members
//! of an archive.
//!
//! The file is its standard input, so it needs no name in any directory. Its standard output is a socket for request and reply.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::process::ExitCode;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ExtractLimits;
use super::formats;
use super::ocr::Ocr;
use super::request::{ChildReply, ChildRequest, EXIT_NOT_STARTED};
use super::sandbox;
use super::unpack::{self, UnpackLimits, UnpackMessage};
use crate::FileError;

/// Limit of open files: the three standard streams, their copies, and some for the runtime.
const MAX_OPEN_FILES: u64 = 32;

/// Runs the subcommand. It prints no panic message, which could quote the document.
pub fn main() -> ExitCode {
    panic::set_hook(Box::new(|_| {}));
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EXIT_NOT_STARTED),
    }
}

fn serve() -> io::Result<()> {
    let parent = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut listening = BufReader::new(parent.try_clone()?);
    let mut line = String::new();
    listening.read_line(&mut line)?;
    let request: ChildRequest = serde_json::from_str(&line)?;
    // Without the models, files that need them fail.
    let mut ocr = Ocr::open(&request.ocr).unwrap_or_default();
    // Threads that start later inherit it.
    let confinement = sandbox::confine();
    end_with_parent(listening)?;
    restrict(&request.limits, ocr.is_ready())?;
    if request.is_probe {
        return send(&parent, &ChildReply::Confinement(confinement));
    }
    ocr.within(&request.limits);
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The process that wrote the file and an earlier child share its offset.
    file.rewind()?;
    if let Some(limits) = request.unpack {
        return send_members(file, &request, limits, parent);
    }
    let reply = match formats::read(file, &request.info, &request.limits, &mut ocr) {
        Ok(document) => ChildReply::Document(document),
        Err(error) => match ocr.model_failure() {
            Some(reason) => ChildReply::ModelFailure(reason.to_owned()),
            None => ChildReply::Failed(error),
        },
    };
    send(&parent, &reply)
}

fn send(mut parent: &UnixStream, reply: &ChildReply) -> io::Result<()> {
    let bytes = postcard::to_stdvec(reply).map_err(io::Error::other)?;
    parent.write_all(&bytes)
}

/// Sends the messages of [`unpack`](unpack::unpack), each after its length.
fn send_members(file: File, request: &ChildRequest, limits: UnpackLimits, parent: UnixStream) -> io::Result<()> {
    let send = |message: UnpackMessage| {
        let bytes = postcard::to_stdvec(&message).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        (&parent).write_all(&length.to_le_bytes())?;
        (&parent).write_all(&bytes)
    };
    let unpacked = panic::catch_unwind(|| unpack::unpack(file, &request.info, &request.limits, limits, &mut { send }));
    unpacked.unwrap_or_else(|_| send(UnpackMessage::CutShort(FileError::crashed())))
}

/// Ends the process when the parent closes its end of the socket, which also happens when the parent dies.
fn end_with_parent(mut parent: BufReader<UnixStream>) -> io::Result<()> {
    let wait = move || {
        let _closed = parent.read(&mut [0]);
        std::process::exit(i32::from(EXIT_NOT_STARTED));
    };
    thread::Builder::new().stack_size(64 * 1024).spawn(wait)?;
    Ok(())
}

fn restrict(limits: &ExtractLimits, is_recognizing: bool) -> io::Result<()> {
    // Recognition raises the soft limit by its own time.
    let recognition = if is_recognizing { limits.recognition_seconds() } else { 0 };
    for (resource, value, margin) in [
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, MAX_OPEN_FILES, 0),
        // At the hard limit the kernel sends SIGKILL; at the soft limit, a second before, SIGXCPU, which names the cause.
        (Resource::Cpu, limits.wall_seconds, recognition.saturating_add(1)),
        (Resource::As, limits.memory_bytes, 0),
    ] {
        // A limit cannot be raised, so a lower one of the worker stays.
        let highest = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let [current, maximum] = [value, value.saturating_add(margin)].map(|limit| Some(limit.min(highest)));
        setrlimit(resource, Rlimit { current, maximum })?;
    }
    Ok(())
}
