//! Rules of the repository that neither the compiler nor clippy enforces.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod boundaries;
mod deploy;
mod imports;
mod source_files;
