//! Members of a tape archive.

use std::io::Read;

use tar::Archive;

use super::{budget::Budgets, stop::Stop};

/// Calls `member` with the content and path of each regular file, as they come. Links, devices and folders are no members.
pub(super) fn each(
    reader: &mut dyn Read,
    budgets: &Budgets,
    member: &mut dyn FnMut(&mut dyn Read, &str) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut archive = Archive::new(reader);
    let entries = archive.entries().map_err(|error| budgets.fault(&error))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| budgets.fault(&error))?;
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            member(&mut entry, &path)?;
        }
    }
    Ok(())
}
