//! Attachments of a mail of Outlook.

use std::io::{Cursor, Read, Seek, Write};

use cfb::CompoundFile;

use super::{
    budget::{Budgets, Limited},
    each::Each,
    stop::Stop,
};
use crate::formats::msg::{is_mail, text};

/// Calls `member` with the content and name of each attachment. False: the container is no mail, and nothing was called.
pub(super) fn each<F: Read + Seek>(file: F, budgets: &Budgets, member: &mut Each<'_>) -> Result<bool, Stop> {
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
        let given = name.filter(|name| !name.trim().is_empty()).map(|name| name.replace(['/', '\\'], "_"));
        let name = given.clone().unwrap_or_else(|| format!("attachment-{number}.bin"));
        let inner = format!("{storage}/__substg1.0_3701000D");
        let stream = format!("{storage}/__substg1.0_37010102");
        if container.is_stream(&stream) {
            match container.open_stream(&stream) {
                Ok(mut content) => member(Ok(&mut content), &name)?,
                Err(error) => member(Err(budgets.fault(&error).member_fault()?), &name)?,
            }
        } else if container.is_storage(&inner) {
            let subject = text(&mut container, &inner, "0037").filter(|subject| !subject.trim().is_empty());
            let subject = subject.map(|subject| subject.replace(['/', '\\'], "_")).or(given);
            let name = format!("{}.msg", subject.unwrap_or_else(|| format!("attachment-{number}")));
            match copied(&mut container, &inner, budgets) {
                Ok(mail) => member(Ok(&mut mail.as_slice()), &name)?,
                Err(stop) => member(Err(stop.member_fault()?), &name)?,
            }
        } else {
            member(Err(Stop::without_content().member_fault()?), &name)?;
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
