//! The child's side: `nvisy-worker extract`. Reads one request, limits itself, reads the file, writes one reply.
//!
//! The file is its standard input, which needs no name in any directory. Its standard output is a socket: requests come
//! in by it and replies go out.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::process::ExitCode;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Limits;
use super::formats;
use super::request::{EXIT_NOT_STARTED, Reply, Request};
use crate::{FileError, FileErrorKind};

/// Files the child may hold open: the three standard streams, copies of them, and some room for the runtime.
const MAX_OPEN_FILES: u64 = 32;

/// Runs the subcommand. Prints nothing but the reply: a parser's panic message may quote the document.
pub fn main() -> ExitCode {
    panic::set_hook(Box::new(|_| {}));
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EXIT_NOT_STARTED),
    }
}

fn serve() -> io::Result<()> {
    let mut parent = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut listening = BufReader::new(parent.try_clone()?);
    let mut line = String::new();
    listening.read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    end_with_parent(listening)?;
    restrict(&request.limits)?;
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The place in the file is shared with whoever wrote it, and with a child that read it before.
    file.rewind()?;

    let reply: Reply = panic::catch_unwind(|| formats::read(file, &request.source, &request.limits))
        .unwrap_or_else(|_| Err(FileError::new(FileErrorKind::Corrupt, "The content broke its reader.")));
    let bytes = postcard::to_stdvec(&reply).map_err(io::Error::other)?;
    parent.write_all(&bytes)
}

/// Ends the process when the parent closes its end of the socket, which it also does by dying.
fn end_with_parent(mut parent: BufReader<UnixStream>) -> io::Result<()> {
    let wait = move || {
        let _closed = parent.read(&mut [0]);
        std::process::exit(i32::from(EXIT_NOT_STARTED));
    };
    thread::Builder::new().stack_size(64 * 1024).spawn(wait)?;
    Ok(())
}

fn restrict(limits: &Limits) -> io::Result<()> {
    for (resource, value, grace) in [
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, MAX_OPEN_FILES, 0),
        // At the upper limit the kernel kills without saying why; a second before, it says so.
        (Resource::Cpu, limits.wall_seconds, 1),
        (Resource::As, limits.memory_bytes, 0),
    ] {
        // Where the worker itself is held tighter, that stays: a limit cannot be raised.
        let highest = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let [current, maximum] = [value, value.saturating_add(grace)].map(|limit| Some(limit.min(highest)));
        setrlimit(resource, Rlimit { current, maximum })?;
    }
    Ok(())
}
