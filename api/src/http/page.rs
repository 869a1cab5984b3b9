//! Keyset pages: a list goes on after the last thing shown, so that nothing is skipped or repeated while it grows.

use apistos::ApiComponent;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::problem::{Code, Problem};

/// Which part of a list.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Most items in the answer.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the page before; absent for the first page.
    #[garde(skip)]
    cursor: Option<String>,
}

/// Of every list.
pub(crate) const fn default_limit() -> u32 {
    20
}

impl PageQuery {
    /// For lists with a query string of their own.
    pub(crate) const fn new(limit: u32, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The key of the last item of the page before, as [`Page::new`] put it into the cursor.
    pub(crate) fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|json| serde_json::from_slice(&json).ok());
        key.map(Some).ok_or(Problem::new(Code::InvalidCursor))
    }

    /// How many rows to read: one more than are shown tells whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A part of a list.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T: JsonSchema> {
    /// In the order of the list.
    items: Vec<T>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T: JsonSchema> Page<T> {
    /// The page that was asked for, of [`PageQuery::rows`] rows. `key` is what the list is ordered by and must be
    /// unique within it.
    pub(crate) fn new<R, K: Serialize>(query: &PageQuery, mut rows: Vec<R>, key: impl Fn(&R) -> K) -> Self
    where
        T: From<R>,
    {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| {
            let json = serde_json::to_vec(&key(row)).expect("keys are ids, numbers and times");
            BASE64_URL_SAFE_NO_PAD.encode(json)
        });
        Self { items: rows.into_iter().map(T::from).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, PageQuery};

    #[test]
    fn a_cursor_leads_on_only_while_there_is_more() {
        let mut query = PageQuery { limit: 2, cursor: None };
        let page: Page<u32> = Page::new(&query, vec![9u32, 8, 7], |row| *row);
        assert_eq!(page.items, [9, 8]);
        query.cursor = page.next_cursor;
        assert_eq!(query.after::<u32>().unwrap(), Some(8));
        let page: Page<u32> = Page::new(&query, vec![7u32, 6], |row| *row);
        assert!(page.next_cursor.is_none());
    }

    #[test]
    fn a_cursor_from_elsewhere_is_refused() {
        for cursor in ["", "!", "bm90IGpzb24", "ImZvbyI"] {
            let query = PageQuery { limit: 2, cursor: Some(cursor.to_owned()) };
            assert!(query.after::<u32>().is_err(), "{cursor}");
        }
    }
}
