//! Positions in the order of rows, and rows as the database gives them.

use nvisy_shared::domain::connection::relational::{Dialect, RowStream};
use serde::{Deserialize, Serialize};

use super::table::Table;

/// The largest row that is read, in bytes of its JSON: it is held in memory.
pub(super) const MAX_ROW_BYTES: u64 = 64 << 20;

/// A row as the database gives it, with the values that order it as text.
pub(super) struct RawRow {
    pub(super) key: String,
    pub(super) cursor: Option<String>,
    /// The size of the row, in bytes.
    pub(super) bytes: i64,
    /// The row as a JSON object, with [`RowStream::columns`] alone; `None`: it is too large.
    pub(super) json: Option<String>,
}

/// Takes rows one by one as they arrive; `false`: no further ones.
pub(super) type TakeRow<'a> = &'a mut (dyn FnMut(RawRow) -> bool + Send);

/// How much a statement reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadLimit {
    /// Rows.
    pub(super) rows: usize,
    /// Bytes of a row; a larger one comes without its content.
    pub(super) row_bytes: u64,
}

/// Which rows come next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "order")]
pub(super) enum Position {
    /// By the key.
    Key {
        /// The last key.
        after: Option<String>,
        /// Whether only rows without a cursor count.
        only_without_cursor: bool,
    },
    /// By the cursor, then the key.
    Cursor {
        /// The first cursor that counts.
        from: String,
        /// Cursor and key of the last row.
        after: Option<(String, String)>,
    },
}

/// What rows are read from, as statements have it. A query is a statement of its own within brackets, and ends with its line.
pub(super) fn from_clause(dialect: Dialect, stream: &RowStream) -> String {
    match (&stream.query, &stream.table) {
        (Some(query), _) => format!("({}\n) as t", query.trim().trim_end_matches(';')),
        (None, table) => {
            format!("{} as t", Table::of(table.as_deref().unwrap_or_default()).quoted(dialect))
        }
    }
}
