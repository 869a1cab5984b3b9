//! Attachments of a mail of Outlook.

use std::io::{Cursor, Read, Seek, Write};

use cfb::CompoundFile;

use super::{
    budget::{Budgets, Limited},
    stop::Stop,
};
use crate::formats::msg::{is_mail, property, text};

/// Calls `member` with the content and name of each attachment. False: the container is no mail, and nothing was called.
pub(super) fn each<F: Read + Seek>(
    file: F,
    budgets: &Budgets,
    member: &mut dyn FnMut(&mut dyn Read, &str) -> Result<(), Stop>,
) -> Result<bool, Stop> {
    let Ok(mut container) = CompoundFile::open(file) else { return Ok(false) };
    if !is_mail(&container) {
        return Ok(false);
    }
    let storages: Vec<String> = container
        .read_root_storage()
        .filter(|entry| entry.is_storage() && entry.name().starts_with("__attach_version1.0_"))
        .map(|entry| format!("/{}", entry.name()))
        .collect();
    for (storage, number) in storages.into_iter().zip(1_u32..) {
        let name = text(&mut container, &storage, "3707").or_else(|| text(&mut container, &storage, "3704"));
        let name = name.filter(|name| !name.trim().is_empty());
        if let Some(content) = property(&mut container, &storage, "37010102") {
            let name = name.unwrap_or_else(|| format!("attachment-{number}.bin"));
            member(&mut content.as_slice(), &name.replace(['/', '\\'], "_"))?;
            continue;
        }
        let inner = format!("{storage}/__substg1.0_3701000D");
        if container.is_storage(&inner) {
            let subject =
                text(&mut container, &inner, "0037").or(name).unwrap_or_else(|| format!("attachment-{number}"));
            let mail = copied(&mut container, &inner, budgets)?;
            member(&mut mail.as_slice(), &format!("{}.msg", subject.replace(['/', '\\'], "_")))?;
        }
    }
    Ok(true)
}

/// A mail within a mail as a container of its own.
fn copied<F: Read + Seek>(container: &mut CompoundFile<F>, storage: &str, budgets: &Budgets) -> Result<Vec<u8>, Stop> {
    let entries: Vec<(String, bool)> = container
        .walk_storage(storage)
        .map_err(|error| budgets.fault(&error))?
        .map(|entry| (entry.path().to_string_lossy().into_owned(), entry.is_stream()))
        .collect();
    let mut copy = CompoundFile::create(Cursor::new(Vec::new())).map_err(|error| budgets.fault(&error))?;
    for (path, is_stream) in entries {
        let Some(inner) = path.strip_prefix(storage).filter(|inner| !inner.is_empty()) else { continue };
        let mut copy_entry = || {
            if !is_stream {
                return copy.create_storage(inner);
            }
            let mut content = Vec::new();
            Limited::new(container.open_stream(&path)?, &budgets.expanded).read_to_end(&mut content)?;
            copy.create_stream(inner)?.write_all(&content)
        };
        copy_entry().map_err(|error| budgets.fault(&error))?;
    }
    copy.flush().map_err(|error| budgets.fault(&error))?;
    Ok(copy.into_inner().into_inner())
}
