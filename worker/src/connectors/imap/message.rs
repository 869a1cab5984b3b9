//! Messages: as they are listed, and their bytes, piece by piece.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::stream;
use imap_next::imap_types::{
    command::CommandBody,
    core::{AString, Vec1},
    fetch::{MessageDataItem, MessageDataItemName, Section},
    response::Data,
    sequence::{Sequence, SequenceSet},
};
use mail_parser::MessageParser;
use nvisy_shared::domain::failure::{Failure, FailureCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::{
    folders::Folder,
    mailbox::{Held, Mailbox, examine},
    names,
    session::{CommandError, Responses, Session, unreadable},
};
use crate::connectors::{CallFailure, ListedObject, ObjectFailure, Page, source::Content};

/// The media type of a message.
const MESSAGE_TYPE: &str = "message/rfc822";
/// Bytes of a message that are read at once.
const PIECE_BYTES: u32 = 1 << 20;
/// Bytes of the subject that a listing reads.
const SUBJECT_BYTES: u32 = 2_000;

/// What identifies a message: all that reading it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Locator {
    pub(super) folder: String,
    pub(super) validity: u32,
    pub(super) uid: u32,
}

impl Locator {
    /// The id, in the form of URLs of IMAP (RFC 5092).
    fn external_id(&self) -> String {
        format!("{};UIDVALIDITY={}/;UID={}", self.folder, self.validity, self.uid)
    }

    /// The message of an id.
    pub(super) fn parse(external_id: &str) -> Option<Self> {
        let (rest, uid) = external_id.rsplit_once("/;UID=")?;
        let (folder, validity) = rest.rsplit_once(";UIDVALIDITY=")?;
        Some(Self { folder: folder.to_owned(), validity: validity.parse().ok()?, uid: uid.parse().ok()? })
    }
}

/// The facts about a message in its listing.
#[derive(Default)]
struct Facts {
    bytes: Option<u32>,
    received: Option<DateTime<Utc>>,
    subject: String,
}

/// Adds messages of the open folder to a page; those that are gone by now are left out.
pub(super) async fn list(
    session: &mut Session,
    folder: &Folder,
    validity: u32,
    uids: &[u32],
    page: &mut Page,
) -> Result<(), CallFailure> {
    let subject = Section::HeaderFields(None, Vec1::from(AString::try_from("SUBJECT").map_err(|_| unreadable())?));
    let items = || {
        vec![
            MessageDataItemName::Uid,
            MessageDataItemName::Rfc822Size,
            MessageDataItemName::InternalDate,
            partial(Some(subject.clone()), 0, SUBJECT_BYTES),
        ]
    };
    let answer = fetch(session, uids, items()).await?;
    let is_complete = answer.unreadable == 0;
    let mut known = facts(answer);
    for uid in uids {
        let locator = Locator { folder: folder.raw.clone(), validity, uid: *uid };
        if let Some(facts) = known.remove(uid) {
            page.objects.push(listed(folder, &locator, facts));
        } else if !is_complete {
            // One of the answers cannot be read: which one is found out message by message.
            let answer = fetch(session, &[*uid], items()).await?;
            let is_unreadable = answer.unreadable > 0;
            match facts(answer).remove(uid) {
                Some(facts) => page.objects.push(listed(folder, &locator, facts)),
                None if is_unreadable => page.failures.push(failed(folder, &locator)),
                None => {}
            }
        }
    }
    Ok(())
}

fn failed(folder: &Folder, locator: &Locator) -> ObjectFailure {
    ObjectFailure {
        external_id: locator.external_id(),
        name: format!("{}/{}", folder.path, names::of_message("", locator.uid)),
        failure: Failure::new(FailureCode::SourceRejected, "the server's answer about the message cannot be read"),
    }
}

fn listed(folder: &Folder, locator: &Locator, facts: Facts) -> ListedObject {
    let name = format!("{}/{}", folder.path, names::of_message(&facts.subject, locator.uid));
    let mut metadata = Map::new();
    metadata.insert("sourcePath".to_owned(), name.clone().into());
    if let Some(time) = facts.received {
        metadata.insert("sourceModifiedAt".to_owned(), time.to_rfc3339_opts(SecondsFormat::Millis, true).into());
    }
    ListedObject {
        external_id: locator.external_id(),
        name,
        // A message never changes; its flags, which do, are not read.
        revision: format!("{}.{}", locator.validity, locator.uid),
        bytes: facts.bytes.map(u64::from),
        modified: facts.received,
        media_type: Some(MESSAGE_TYPE.to_owned()),
        metadata,
        acl: None,
        locator: Some(json!(locator)),
        content: None,
        kept: None,
    }
}

/// The facts of an answer, by UID.
fn facts(answer: Responses) -> BTreeMap<u32, Facts> {
    let mut all = BTreeMap::new();
    for data in answer.data {
        let Data::Fetch { items, .. } = data else { continue };
        let (mut uid, mut facts) = (None, Facts::default());
        for item in items {
            match item {
                MessageDataItem::Uid(own) => uid = Some(own.get()),
                MessageDataItem::Rfc822Size(bytes) => facts.bytes = Some(bytes),
                MessageDataItem::InternalDate(time) => facts.received = Some(time.as_ref().to_utc()),
                MessageDataItem::BodyExt { data, .. } => {
                    facts.subject = data.into_option().map(|header| subject(&header)).unwrap_or_default();
                }
                _ => {}
            }
        }
        if let Some(uid) = uid {
            all.insert(uid, facts);
        }
    }
    all
}

/// The subject in a header, decoded.
fn subject(header: &[u8]) -> String {
    let message = MessageParser::default().parse_headers(header);
    message.and_then(|message| message.subject().map(str::to_owned)).unwrap_or_default()
}

fn partial(section: Option<Section<'static>>, from: u32, bytes: u32) -> MessageDataItemName<'static> {
    let bytes = NonZeroU32::new(bytes).unwrap_or(NonZeroU32::MIN);
    MessageDataItemName::BodyExt { section, partial: Some((from, bytes)), peek: true }
}

async fn fetch(
    session: &mut Session,
    uids: &[u32],
    items: Vec<MessageDataItemName<'static>>,
) -> Result<Responses, CallFailure> {
    let Some(set) = sequence_set(uids) else { return Ok(Responses::default()) };
    let fetch = CommandBody::fetch(set, items, true).map_err(|_| unreadable())?;
    match session.run(fetch).await {
        Ok(answer) => Ok(answer),
        // Some servers refuse the command when a message of it cannot be read; the others are asked for alone.
        Err(CommandError::Refused(..)) => Ok(Responses { unreadable: 1, ..Responses::default() }),
        Err(CommandError::Broken(failure)) => Err(failure),
    }
}

/// UIDs in ascending order as ranges, which are short where they are dense.
pub(super) fn sequence_set(uids: &[u32]) -> Option<SequenceSet> {
    let mut sequences: Vec<Sequence> = Vec::new();
    let mut from = 0;
    for (at, uid) in uids.iter().enumerate() {
        if at == 0 || uids[at - 1] + 1 != *uid {
            from = *uid;
        }
        if uids.get(at + 1) != Some(&uid.saturating_add(1)) {
            let (first, last) = (NonZeroU32::new(from)?, NonZeroU32::new(*uid)?);
            sequences.push(if first == last { Sequence::from(first) } else { Sequence::from(first..=last) });
        }
    }
    SequenceSet::try_from(sequences).ok()
}

/// Where the reading of a message is.
struct Reading {
    mailbox: Arc<Mailbox>,
    held: Held,
    uid: u32,
    offset: u32,
}

/// The bytes of a message.
pub(super) async fn open(mailbox: Arc<Mailbox>, locator: Locator) -> Result<Content, CallFailure> {
    let mut held = mailbox.session().await?;
    let Locator { folder, validity, uid } = locator;
    if held.session.selected.as_ref() != Some(&(folder.clone(), validity)) {
        let opened = examine(&mut held.session, &folder).await;
        let (now, _) = opened.map_err(|failure| mailbox.redacted(failure))?;
        if now != validity {
            mailbox.give_back(held).await;
            let detail = "the server has numbered the messages of the folder anew; the next sync finds the message";
            return Err(CallFailure::item(FailureCode::SourceMissing, detail));
        }
    }
    let reading = Some(Reading { mailbox, held, uid, offset: 0 });
    Ok(Box::pin(stream::try_unfold(reading, |reading| async move {
        let Some(mut reading) = reading else { return Ok(None) };
        let piece = piece(&mut reading).await.map_err(|failure| reading.mailbox.redacted(failure))?;
        let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        reading.offset = reading.offset.saturating_add(length);
        if length == PIECE_BYTES {
            return Ok(Some((piece, Some(reading))));
        }
        reading.mailbox.give_back(reading.held).await;
        Ok(Some((piece, None)))
    })))
}

async fn piece(reading: &mut Reading) -> Result<Bytes, CallFailure> {
    let items = vec![MessageDataItemName::Uid, partial(None, reading.offset, PIECE_BYTES)];
    let answer = fetch(&mut reading.held.session, &[reading.uid], items).await?;
    let is_unreadable = answer.unreadable > 0;
    let mut piece = None;
    for data in answer.data {
        let Data::Fetch { items, .. } = data else { continue };
        let is_wanted =
            items.as_ref().iter().any(|item| matches!(item, MessageDataItem::Uid(uid) if uid.get() == reading.uid));
        if !is_wanted {
            continue;
        }
        for item in items {
            if let MessageDataItem::BodyExt { section: None, data, .. } = item {
                piece = Some(data.into_option().map(|bytes| Bytes::from(bytes.into_owned())).unwrap_or_default());
            }
        }
    }
    match piece {
        // A server without partial fetches would give the whole message again and again.
        Some(piece) if piece.len() > PIECE_BYTES as usize => Err(unreadable()),
        Some(piece) => Ok(piece),
        None if is_unreadable => Err(unreadable()),
        None => Err(CallFailure::item(FailureCode::SourceMissing, "the message was deleted after it was listed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_asked_for_in_ranges() {
        let set = |uids: &[u32]| sequence_set(uids).map(|set| format!("{:?}", set.0.as_ref().len()));
        assert_eq!(set(&[1, 2, 3, 7, 9, 10]).as_deref(), Some("3"));
        assert_eq!(set(&[5]).as_deref(), Some("1"));
        assert_eq!(set(&[]), None);
        assert_eq!(set(&[u32::MAX - 1, u32::MAX]).as_deref(), Some("1"));
    }

    #[test]
    fn subject_is_decoded() {
        assert_eq!(
            subject(b"Subject: =?utf-8?B?R2V6ZWl0ZW4gw7xiZXI=?=\r\n =?utf-8?Q?_Nacht?=\r\n\r\n"),
            "Gezeiten über Nacht"
        );
        assert_eq!(subject(b"\r\n"), "");
    }

    #[test]
    fn id_has_folder_validity_and_uid() {
        let locator = Locator { folder: "INBOX".to_owned(), validity: 7, uid: 9 };
        assert_eq!(locator.external_id(), "INBOX;UIDVALIDITY=7/;UID=9");
    }
}
