//! A mail to be sent.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::MailId};

/// Sends a mail, or finds that it is obsolete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMail {
    /// The mail.
    pub mail: MailId,
}

impl Job for SendMail {
    const KIND: &'static str = "mail.send";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Mail
    }
}
