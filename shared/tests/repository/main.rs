//! Rules of the repository that neither the compiler nor clippy enforces.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod boundaries;
mod deploy;
mod documents;
mod imports;
mod language;
mod source_files;
