//! Exporting a log batch by batch: memory does not grow with its length, and the export holds no connection while the client
//! reads.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::{BodyStream, BoxBody},
    http::header,
};
use apistos::{
    paths::{MediaType, Response, Responses},
    reference_or::ReferenceOr,
};
use bytes::Bytes;
use futures::{Stream, stream};
use nvisy_shared::{
    crypt::audit_mac::AuditKeys,
    store::{
        self, Db,
        activity::{self, ActivityFilter, SeqRange},
    },
};

use super::wire::{Activity, ActivityLog, ExportFormat};
use crate::http::api_component::{api_component, sent_header};

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
        log: ActivityLog,
        filter: ActivityFilter,
        format: ExportFormat,
        last: i64,
    ) -> Self {
        Self { db, audit_keys, log, filter: log.filter(filter), format, after: 0, last, is_started: false }
    }

    fn chunked_body(self) -> impl Stream<Item = Result<Bytes, store::Error>> {
        stream::try_unfold(self, |mut export| async move { Ok(export.next().await?.map(|chunk| (chunk, export))) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, store::Error> {
        let range = SeqRange::Between(self.after, self.last);
        let entries =
            activity::list(&self.db, &self.audit_keys, self.log.chain(), &self.filter, range, BATCH_SIZE).await?;
        let is_first = !std::mem::replace(&mut self.is_started, true);
        match entries.last() {
            Some(entry) => self.after = entry.seq,
            None if !is_first => return Ok(None),
            None => {}
        }
        let entries = entries.into_iter().map(|entry| self.log.entry(entry)).collect();
        Ok(Some(match self.format {
            ExportFormat::Csv => csv(is_first, entries),
            ExportFormat::Jsonl => lines(entries),
        }))
    }
}

fn lines(entries: Vec<Activity>) -> Bytes {
    let mut out = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut out, &entry).expect("entries are plain data");
        out.push(b'\n');
    }
    out.into()
}

fn csv(header: bool, entries: Vec<Activity>) -> Bytes {
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
        let name = format!("attachment; filename=\"activities.{}\"", self.format.extension());
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, self.format.media_type()))
            .insert_header((header::CONTENT_DISPOSITION, name))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(BodyStream::new(Box::pin(self.chunked_body())))
    }
}

api_component!(ActivityExport as Activity {
    fn responses(_: Option<String>) -> Option<Responses> {
        let text = |schema| MediaType { schema: Some(schema), ..MediaType::default() };
        let entry = ReferenceOr::Reference { _ref: "#/components/schemas/Activity".to_owned() };
        let content = BTreeMap::from([
            (ExportFormat::Csv.media_type().to_owned(), text(String::raw_schema()?)),
            (ExportFormat::Jsonl.media_type().to_owned(), text(entry)),
        ]);
        let disposition = ("Content-Disposition".to_owned(), sent_header("`attachment`, with a file name."));
        let response = Response { headers: BTreeMap::from([disposition]), content, ..Response::default() };
        let responses = BTreeMap::from([("200".to_owned(), ReferenceOr::Object(response))]);
        Some(Responses { responses, ..Responses::default() })
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
