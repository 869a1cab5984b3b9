//! What takes the members of an archive.

use std::io::Read;

use super::stop::Stop;
use crate::FileError;

/// Takes the content of a member, or why it cannot be read, and its path as the archive has it.
pub(super) type Each<'a> = dyn FnMut(Result<&mut dyn Read, FileError>, &str) -> Result<(), Stop> + 'a;
