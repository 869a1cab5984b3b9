//! The folders of a mailbox.

use globset::{GlobSet, GlobSetBuilder};
use imap_next::imap_types::{command::CommandBody, flag::FlagNameAttribute, mailbox::Mailbox, response::Data};
use nvisy_shared::{
    domain::{connection::mail::MailStream, failure::FailureCode},
    pipeline::node::source_connection::glob,
};

use super::{names, session::Session};
use crate::connectors::CallFailure;

/// Folders of a mailbox.
const MAX_FOLDERS: usize = 10_000;
/// Uses of folders (RFC 6154) whose messages are rather not wanted, or stand in another folder as well.
const LEFT_OUT: [&str; 4] = ["\\all", "\\drafts", "\\junk", "\\trash"];

/// A folder that can be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Folder {
    /// The name as the server has it.
    pub(super) raw: String,
    /// The name for people, with `/` between levels.
    pub(super) path: String,
    /// Whether it is read without being named.
    is_default: bool,
}

/// The folders that a stream takes: by their paths, or by patterns of them. Names such as `[Gmail]/Sent` are patterns, too.
pub(super) struct Selection(Option<(Vec<String>, GlobSet)>);

impl Selection {
    pub(super) fn new(stream: &MailStream) -> Result<Self, CallFailure> {
        let invalid = |reason: String| {
            CallFailure::item(FailureCode::SourceRejected, format!("`stream.folders` cannot be used: {reason}"))
        };
        if let Some(problem) = stream.problems().first() {
            return Err(invalid(problem.message.clone()));
        }
        if stream.folders.is_empty() {
            return Ok(Self(None));
        }
        let mut set = GlobSetBuilder::new();
        for pattern in &stream.folders {
            set.add(glob(pattern).map_err(invalid)?);
        }
        let set = set.build().map_err(|error| invalid(error.to_string()))?;
        Ok(Self(Some((stream.folders.clone(), set))))
    }

    pub(super) fn takes(&self, folder: &Folder) -> bool {
        match &self.0 {
            None => folder.is_default,
            Some((names, patterns)) => names.contains(&folder.path) || patterns.is_match(&folder.path),
        }
    }
}

/// All folders in the order of their raw names, and whether there may be others.
pub(super) async fn list(session: &mut Session) -> Result<(Vec<Folder>, bool), CallFailure> {
    let all = CommandBody::list("", "*").map_err(|_| CallFailure::Unavailable("no list of folders".to_owned()))?;
    let answer = session.run(all).await.map_err(CallFailure::from)?;
    let is_complete = answer.unreadable == 0;
    let mut folders: Vec<_> = answer.data.into_iter().filter_map(folder).collect();
    folders.sort();
    folders.dedup_by(|one, other| one.raw == other.raw);
    if folders.len() > MAX_FOLDERS {
        let detail = format!("the mailbox has more than {MAX_FOLDERS} folders");
        return Err(CallFailure::item(FailureCode::SourceRejected, detail));
    }
    Ok((folders, is_complete))
}

fn folder(data: Data<'static>) -> Option<Folder> {
    let Data::List { items, delimiter, mailbox } = data else { return None };
    let has = |wanted: &str| items.iter().any(|item| item.to_string().eq_ignore_ascii_case(wanted));
    if items.contains(&FlagNameAttribute::Noselect) || has("\\nonexistent") {
        return None;
    }
    let raw = match mailbox {
        Mailbox::Inbox => "INBOX".to_owned(),
        Mailbox::Other(other) => String::from_utf8(other.as_ref().to_vec()).ok()?,
    };
    let path = names::path(&raw, delimiter.map(|delimiter| delimiter.inner()));
    Some(Folder { raw, path, is_default: !LEFT_OUT.iter().any(|used| has(used)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_is_by_pattern_or_use() {
        let folder = |path: &str, is_default| Folder { raw: path.to_owned(), path: path.to_owned(), is_default };
        let of = |folders: &[&str]| {
            let folders = folders.iter().map(|folder| (*folder).to_owned()).collect();
            Selection::new(&MailStream { folders, since: None }).unwrap()
        };
        let default = of(&[]);
        assert!(default.takes(&folder("INBOX", true)) && !default.takes(&folder("Junk", false)));
        let named = of(&["Archive/*", "Junk"]);
        assert!(named.takes(&folder("Junk", false)) && named.takes(&folder("Archive/2026", true)));
        assert!(!named.takes(&folder("Archive/2026/May", true)) && !named.takes(&folder("INBOX", true)));
        let gmail = of(&["[Gmail]/Sent"]);
        assert!(gmail.takes(&folder("[Gmail]/Sent", true)));
        let invalid = MailStream { folders: vec!["[".to_owned()], since: None };
        assert!(matches!(Selection::new(&invalid), Err(CallFailure::Item(_))));
    }
}
