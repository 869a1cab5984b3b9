//! Exporting a log batch by batch.

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use apistos::{paths::Responses, reference_or::ReferenceOr};
use bytes::Bytes;
use nvisy_shared::{
    crypt::audit_mac::AuditKeys,
    store::{
        Db,
        activity::{self, ActivityFilter, SeqRange},
    },
};

use super::wire::{Activity, ActivityLog, ExportFormat};
use crate::{
    auth::member::AccessGrant,
    http::{
        api_component::api_component,
        attachment::{PartError, Parts, attachment, attachment_responses, json_lines},
    },
};

/// Entries that one statement reads.
const BATCH_SIZE: i64 = 500;

const COLUMNS: [&str; 13] = [
    "seq",
    "id",
    "createdAt",
    "actor",
    "accountId",
    "tokenId",
    "type",
    "objectKind",
    "objectId",
    "requestId",
    "address",
    "details",
    "seal",
];

/// A response with every entry up to the last one at the start of the export.
pub struct ActivityExport {
    db: Db,
    audit_keys: AuditKeys,
    /// Checked again at each batch; callers may read the log of their own account as long as they want.
    access: Option<AccessGrant>,
    log: ActivityLog,
    filter: ActivityFilter,
    format: ExportFormat,
    after: i64,
    last: i64,
    is_started: bool,
}

impl ActivityExport {
    pub fn new(
        db: Db,
        audit_keys: AuditKeys,
        access: Option<AccessGrant>,
        log: ActivityLog,
        filter: ActivityFilter,
        format: ExportFormat,
        last: i64,
    ) -> Self {
        Self { db, audit_keys, access, log, filter: log.filter(filter), format, after: 0, last, is_started: false }
    }
}

impl Parts for ActivityExport {
    async fn next(&mut self) -> Result<Option<Bytes>, PartError> {
        if let Some(access) = &self.access
            && !access.is_valid(&self.db).await?
        {
            return Err(PartError::AccessRevoked);
        }
        let range = SeqRange::Between(self.after, self.last);
        let entries =
            activity::list(&self.db, &self.audit_keys, self.log.chain(), &self.filter, range, BATCH_SIZE).await?;
        let is_first = !std::mem::replace(&mut self.is_started, true);
        match entries.last() {
            Some(entry) => self.after = entry.seq,
            None if !is_first => return Ok(None),
            None => {}
        }
        let entries = entries.into_iter().map(|entry| self.log.entry(entry));
        Ok(Some(match self.format {
            ExportFormat::Csv => csv(is_first, entries),
            ExportFormat::Jsonl => json_lines(entries)?,
        }))
    }
}

fn csv(header: bool, entries: impl Iterator<Item = Activity>) -> Bytes {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: &[String]| out.write_record(cells).expect("a vector accepts every row");
    if header {
        write(&COLUMNS.map(str::to_owned));
    }
    for entry in entries {
        let cells = [
            entry.seq.map(|seq| seq.to_string()).unwrap_or_default(),
            entry.id.to_string(),
            entry.created_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            entry.actor.kind,
            entry.actor.account_id.map(|id| id.to_string()).unwrap_or_default(),
            entry.actor.token_id.map(|id| id.to_string()).unwrap_or_default(),
            entry.action,
            entry.object.kind,
            entry.object.id.to_string(),
            entry.request_id.unwrap_or_default(),
            entry.address.unwrap_or_default(),
            entry.details.to_string(),
            entry.seal.unwrap_or_default(),
        ];
        write(&cells.map(escape_formula));
    }
    out.into_inner().expect("a vector accepts every row").into()
}

/// Escapes a cell that spreadsheets would evaluate as a formula: trusted proxies choose request ids.
fn escape_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

impl Responder for ActivityExport {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let format = self.format;
        attachment(&format!("activities.{}", format.extension()), format.media_type(), self)
    }
}

api_component!(ActivityExport as Activity {
    fn responses(_: Option<String>) -> Option<Responses> {
        let entry = ReferenceOr::Reference { _ref: "#/components/schemas/Activity".to_owned() };
        let content = [
            (ExportFormat::Csv.media_type(), String::raw_schema()?),
            (ExportFormat::Jsonl.media_type(), entry),
        ];
        Some(attachment_responses(content))
    }
});

#[cfg(test)]
mod tests {
    use super::escape_formula;

    #[test]
    fn formulas_are_escaped() {
        for cell in ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(escape_formula(cell.to_owned()), format!("'{cell}"));
        }
        assert_eq!(escape_formula("019a-b".to_owned()), "019a-b");
    }
}
