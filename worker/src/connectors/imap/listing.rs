//! Listings of mailboxes: folder by folder, each in the order of its UIDs, so that folder and UID say how far the listing is.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
};

use imap_next::imap_types::{
    command::CommandBody, core::Vec1, datetime::NaiveDate, response::Data, search::SearchKey, sequence::SequenceSet,
};
use nvisy_shared::domain::{connection::mail::MailStream, failure::FailureCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    folders::{self, Folder, Selection},
    mailbox::{Held, Mailbox, examine},
    message,
    session::Session,
};
use crate::connectors::{CallFailure, ObjectFailure, Page, source::Listing};

/// Messages of a page.
const PAGE_MESSAGES: usize = 500;
/// UIDs that are searched at once, at first: a folder that had many messages has few of them.
const FIRST_WINDOW: u32 = 20_000;
/// UIDs that are searched at once, at most.
const MAX_WINDOW: u32 = 320_000;
/// Windows with fewer messages are followed by larger ones.
const FEW_MESSAGES: usize = 1_000;
/// Windows that one page searches.
const MAX_SEARCHES: usize = 50;

/// Where a listing goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Checkpoint {
    /// The folder of the last message.
    folder: Option<String>,
    /// The validity of its UIDs.
    validity: u32,
    /// The last UID.
    after: u32,
    /// Whether folders could not be listed.
    incomplete: bool,
    /// The folders that are listed, for the next incremental listing.
    listed: Cursor,
}

/// How far each folder was listed: the validity of its UIDs, and the next one.
type Cursor = BTreeMap<String, (u32, u32)>;

/// A folder that is listed.
struct OpenFolder {
    folder: Folder,
    validity: u32,
    /// The first UID that no message had when the folder was opened.
    end: u32,
    /// The next UID to search.
    next: u32,
    window: u32,
    /// UIDs that were found, and are not listed.
    found: VecDeque<u32>,
}

/// A listing.
pub(super) struct MailListing {
    mailbox: Arc<Mailbox>,
    stream: MailStream,
    selection: Selection,
    /// Where the last complete listing ended, if only later messages are wanted.
    since: Option<Cursor>,
    at: Checkpoint,
    held: Option<Held>,
    /// The folders to come.
    folders: Option<VecDeque<Folder>>,
    open: Option<OpenFolder>,
}

impl MailListing {
    pub(super) fn new(
        mailbox: Arc<Mailbox>,
        stream: MailStream,
        checkpoint: Option<Value>,
        cursor: Option<Value>,
    ) -> Result<Self, CallFailure> {
        let selection = Selection::new(&stream)?;
        let at = checkpoint.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
        let since = cursor.and_then(|json| serde_json::from_value(json).ok());
        Ok(Self { mailbox, stream, selection, since, at, held: None, folders: None, open: None })
    }

    async fn page(&mut self, session: &mut Session) -> Result<Page, CallFailure> {
        let mut page = Page::default();
        if self.folders.is_none() {
            let (folders, is_complete) = folders::list(session).await?;
            self.at.incomplete |= !is_complete;
            let folders = folders.into_iter().filter(|folder| self.selection.takes(folder));
            // The folder in which the listing was goes on.
            let begun = self.at.folder.clone().unwrap_or_default();
            self.folders = Some(folders.filter(|folder| folder.raw >= begun).collect());
        }
        for _ in 0..MAX_SEARCHES {
            let Some(mut open) = self.open_folder(session, &mut page).await? else {
                page.complete = self.since.is_none() && !self.at.incomplete;
                page.cursor = Some(json!(self.at.listed));
                return Ok(page);
            };
            if open.found.is_empty() && open.next < open.end {
                self.search(session, &mut open).await?;
            }
            let wanted = PAGE_MESSAGES - (page.objects.len() + page.failures.len());
            let uids: Vec<_> = open.found.drain(..open.found.len().min(wanted)).collect();
            if let Some(last) = uids.last() {
                let folder = &open.folder;
                message::list(session, folder, open.validity, &uids, &mut page).await?;
                self.at.folder = Some(folder.raw.clone());
                self.at.validity = open.validity;
                self.at.after = *last;
            }
            if open.found.is_empty() && open.next >= open.end {
                self.at.listed.insert(open.folder.raw.clone(), (open.validity, open.end));
            } else {
                self.open = Some(open);
            }
            if page.objects.len() + page.failures.len() >= PAGE_MESSAGES {
                break;
            }
        }
        page.checkpoint = Some(json!(self.at));
        Ok(page)
    }

    /// The folder that is listed; opens the next one. `None`: all are listed.
    async fn open_folder(&mut self, session: &mut Session, page: &mut Page) -> Result<Option<OpenFolder>, CallFailure> {
        if let Some(open) = self.open.take() {
            return Ok(Some(open));
        }
        while let Some(folder) = self.folders.as_mut().and_then(VecDeque::pop_front) {
            match examine(session, &folder.raw).await {
                Ok((validity, next)) => {
                    let first = self.first(&folder.raw, validity);
                    let end = next.unwrap_or(u32::MAX);
                    let window = FIRST_WINDOW;
                    let open = OpenFolder { folder, validity, end, next: first, window, found: VecDeque::new() };
                    return Ok(Some(open));
                }
                Err(CallFailure::Item(failure)) if failure.code == FailureCode::SourceMissing => {}
                Err(CallFailure::Item(failure)) => {
                    self.at.incomplete = true;
                    page.failures.push(ObjectFailure { external_id: folder.raw, name: folder.path, failure });
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// The first UID of a folder that is wanted.
    fn first(&self, raw: &str, validity: u32) -> u32 {
        let resumed = self.at.folder.as_deref() == Some(raw) && self.at.validity == validity;
        let known = self.since.as_ref().and_then(|since| since.get(raw)).filter(|(known, _)| *known == validity);
        let resumed = if resumed { self.at.after.saturating_add(1) } else { 1 };
        known.map_or(1, |(_, next)| *next).max(resumed)
    }

    /// Searches the UIDs of the next window.
    async fn search(&self, session: &mut Session, open: &mut OpenFolder) -> Result<(), CallFailure> {
        let last = open.next.saturating_add(open.window - 1).min(open.end - 1);
        let (Some(from), Some(to)) = (NonZeroU32::new(open.next), NonZeroU32::new(last)) else { return Ok(()) };
        let mut keys = vec![SearchKey::Uid(SequenceSet::from(from..=to))];
        if let Some(date) = self.stream.since {
            let invalid = |_| CallFailure::item(FailureCode::SourceRejected, "`stream.since` is no date of mails");
            keys.push(SearchKey::Since(NaiveDate::try_from(date).map_err(invalid)?));
        }
        // Servers may name others, such as the last message of all.
        let mut uids = search(session, keys).await?;
        uids.retain(|uid| (open.next..=last).contains(uid));
        uids.sort_unstable();
        uids.dedup();
        if uids.len() < FEW_MESSAGES {
            open.window = open.window.saturating_mul(4).min(MAX_WINDOW);
        }
        open.found = uids.into();
        open.next = last.saturating_add(1);
        Ok(())
    }
}

/// The UIDs of the messages of the open folder that all these keys take.
pub(super) async fn search(session: &mut Session, keys: Vec<SearchKey<'static>>) -> Result<Vec<u32>, CallFailure> {
    let search = CommandBody::search(None, Vec1::unvalidated(keys), true);
    let answer = session.run(search).await.map_err(CallFailure::from)?;
    if answer.unreadable > 0 {
        return Err(CallFailure::Unavailable("the server's answer to a search cannot be read".to_owned()));
    }
    let uids = answer.data.into_iter().flat_map(|data| match data {
        Data::Search(uids) => uids,
        _ => Vec::new(),
    });
    Ok(uids.map(NonZeroU32::get).collect())
}

impl Listing for MailListing {
    async fn next(&mut self) -> Result<Page, CallFailure> {
        let mut held = match self.held.take() {
            Some(held) => held,
            None => self.mailbox.session().await?,
        };
        let page = self.page(&mut held.session).await.map_err(|failure| self.mailbox.redacted(failure))?;
        if page.checkpoint.is_some() {
            self.held = Some(held);
        } else {
            self.mailbox.give_back(held).await;
        }
        Ok(page)
    }
}
