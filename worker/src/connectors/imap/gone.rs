//! Which of the messages that were listed before are gone, without reading the others.

use std::collections::{BTreeMap, HashSet};

use imap_next::imap_types::search::SearchKey;
use nvisy_shared::domain::{connection::mail::MailStream, failure::FailureCode};

use super::{
    folders::{self, Selection},
    listing::search,
    mailbox::{Mailbox, examine},
    message::{Locator, sequence_set},
    session::Session,
};
use crate::connectors::CallFailure;

/// Messages that are searched at once: servers read commands of 8,000 bytes at least.
const SEARCHED_AT_ONCE: usize = 500;

/// Messages by folder and validity: UID and id.
type Known<'a> = BTreeMap<(String, u32), Vec<(u32, &'a str)>>;

/// Of the messages with these ids, those that are gone: deleted, or numbered anew. Those of folders that the stream does not take are left
/// out, and so are those of folders that cannot be opened.
pub(super) async fn gone(
    mailbox: &Mailbox,
    stream: &MailStream,
    external_ids: &[String],
) -> Result<Vec<String>, CallFailure> {
    let mut known = Known::new();
    for id in external_ids {
        // Others are failures of folders.
        if let Some(Locator { folder, validity, uid }) = Locator::parse(id) {
            known.entry((folder, validity)).or_default().push((uid, id.as_str()));
        }
    }
    let selection = Selection::new(stream)?;
    let mut held = mailbox.session().await?;
    let gone = find(&mut held.session, &selection, known).await.map_err(|failure| mailbox.redacted(failure))?;
    mailbox.give_back(held).await;
    Ok(gone)
}

async fn find(session: &mut Session, selection: &Selection, known: Known<'_>) -> Result<Vec<String>, CallFailure> {
    let (folders, is_complete) = folders::list(session).await?;
    let mut gone = Vec::new();
    for ((raw, validity), mut messages) in known {
        let is_there = match folders.iter().find(|folder| folder.raw == raw) {
            None if is_complete => false,
            Some(folder) if selection.takes(folder) => match examine(session, &raw).await {
                Ok((now, _)) => now == validity,
                Err(CallFailure::Item(failure)) if failure.code == FailureCode::SourceMissing => false,
                Err(CallFailure::Item(_)) => continue,
                Err(failure) => return Err(failure),
            },
            _ => continue,
        };
        messages.sort_unstable();
        for messages in messages.chunks(SEARCHED_AT_ONCE) {
            let uids: Vec<u32> = messages.iter().map(|(uid, _)| *uid).collect();
            let mut found = HashSet::new();
            if is_there {
                let Some(set) = sequence_set(&uids) else { continue };
                found.extend(search(session, vec![SearchKey::Uid(set)]).await?);
            }
            let missing = messages.iter().filter(|(uid, _)| !found.contains(uid));
            gone.extend(missing.map(|(_, id)| (*id).to_owned()));
        }
    }
    Ok(gone)
}
