//! Mailboxes, read with IMAP. `imap-next` is the protocol without input and output, so that this module connects to checked addresses, and
//! bounds what a server sends; a message is read piece by piece.

mod folders;
mod gone;
mod listing;
mod mailbox;
mod message;
mod names;
mod session;
mod source;

pub(super) use self::source::open;
