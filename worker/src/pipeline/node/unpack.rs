//! Read: archives and mails to their members, unpacked in a child process.

use std::collections::HashSet;

use bytes::Bytes;
use futures::stream;
use nvisy_extract::{ArchiveKind, MediaType, Member, Members, UnpackLimits, archive_kind};
use nvisy_shared::pipeline::node::unpack::Unpack;

use super::{
    partition::{extract_limits, failure, file_info, head, job_error},
    storing::store,
};
use crate::{
    media_type,
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::{Elements, FileElement, StagedFile},
    },
    runner::JobError,
};

impl Behaviour for Unpack {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let Elements::Bytes(files) = input else { return Err(wrong_input("unpack")) };
        let mut members = Vec::new();
        let mut others = Vec::new();
        // A file that came on two ways has its members once.
        let mut unpacked = HashSet::new();
        for mut file in files {
            if is_read_whole(call, &file) {
                others.push(file);
                continue;
            }
            let staged = call.stage(&file).await?;
            let kind = archive_kind(&head(&staged)?, &file.name, Some(&file.media_type));
            let is_archive = match kind {
                Some(_) if unpacked.contains(&file.blob) => true,
                Some(kind) => match unpack(self, call, &file, kind, &staged, &mut members).await {
                    Ok(is_archive) => is_archive,
                    Err(error) => {
                        discard(call, &members).await;
                        return Err(error);
                    }
                },
                None => false,
            };
            if is_archive {
                unpacked.insert(file.blob);
            }
            // The text of a mail is in the mail itself.
            if !is_archive || kind.is_some_and(ArchiveKind::has_text) {
                file.staged = Some(staged);
                others.push(file);
            }
        }
        // The engine makes items of the members: the output for them stays empty.
        let ports = vec![Elements::Bytes(Vec::new()), Elements::Bytes(others)];
        Ok(Output { ports, effects: members, ..Output::default() })
    }
}

/// Whether the file was read before, and is no mail: then all of it is in its text, and its content need not be fetched.
fn is_read_whole(call: &Call<'_>, file: &FileElement) -> bool {
    let mails = [MediaType::Mail, MediaType::Mailbox, MediaType::Outlook];
    let found = &call.file.found;
    let is_read = found.is_read && file.blob == call.file.content.blob;
    is_read && mails.iter().all(|mail| mail.as_str() != found.media_type)
}

/// Stores the members of a file and adds an effect for each, also for those that cannot be read. False: it is no archive.
async fn unpack(
    settings: &Unpack,
    call: &Call<'_>,
    file: &FileElement,
    kind: ArchiveKind,
    staged: &StagedFile,
    effects: &mut Vec<Effect>,
) -> Result<bool, JobError> {
    let limits = extract_limits(&call.cx.config.extract);
    let unpack = UnpackLimits { max_members: settings.max_members, max_depth: settings.max_depth };
    let opened = Members::open(&call.cx.extractor, staged, &file_info(file), &limits, unpack).await;
    let Some(mut members) = opened.map_err(job_error)? else { return Ok(false) };
    let first = effects.len();
    while let Some(member) = members.next().await.map_err(job_error)? {
        let path = match member {
            Member::Content(path) => path,
            Member::Failed(path, error) => {
                effects.push(Effect::Incomplete { path: Some(path), failure: failure(error) });
                continue;
            }
            Member::CutShort(error) => {
                effects.push(Effect::Incomplete { path: None, failure: failure(error) });
                continue;
            }
        };
        let content = stream::try_unfold(&mut members, async |members| {
            let bytes = members.bytes().await.map_err(job_error)?;
            Ok::<_, JobError>(bytes.map(|bytes| (Bytes::from(bytes), members)))
        });
        match store(call, content, limits.max_expanded_bytes).await {
            Ok(content) => {
                effects.push(Effect::Member { media_type: media_type::by_name(&path).to_owned(), path, content });
            }
            // The next part says why.
            Err(_) if members.is_interrupted() => {}
            Err(error) => return Err(error),
        }
    }
    // A file of which nothing can be read fails, unless it has a text of its own.
    let of_file = &effects[first..];
    let has_member = of_file.iter().any(|effect| matches!(effect, Effect::Member { .. }));
    match of_file.first() {
        Some(Effect::Incomplete { failure, .. }) if !has_member && !kind.has_text() => {
            Err(JobError::Fail(failure.clone()))
        }
        _ => Ok(true),
    }
}

/// Deletes what was stored for a file that failed, as far as possible: a failure may be repeated many times before garbage
/// collection comes. An archive that was unpacked on a full disk would fill it again with each attempt.
async fn discard(call: &Call<'_>, effects: &[Effect]) {
    for effect in effects {
        if let Effect::Member { content, .. } = effect {
            let _unreachable = call.cx.blobs.delete(call.workspace, content.id).await;
        }
    }
}
