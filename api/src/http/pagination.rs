//! Keyset pages: a list goes on after the last thing shown, so that nothing is skipped or repeated while it grows.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use apistos::ApiComponent;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::problem::{Code, Problem};

tokio::task_local! {
    /// The list that the request of this task asks for.
    static LIST: [u8; 4];
}

/// Middleware: tells the lists of different paths apart, so that a cursor of one is none of another.
pub async fn list<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let list = mark(request.path());
    LIST.scope(list, next.call(request)).await
}

fn mark(path: &str) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::digest(path).into();
    std::array::from_fn(|place| hash[place])
}

fn current() -> [u8; 4] {
    LIST.try_with(|list| *list).unwrap_or_default()
}

/// Which part of a list.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
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
pub const fn default_limit() -> u32 {
    20
}

impl PageQuery {
    /// For lists with a query string of their own.
    pub const fn new(limit: u32, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The key of the last item of the page before, as [`Page::new`] put it into the cursor.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| {
            let json = bytes.strip_prefix(&current())?;
            serde_json::from_slice(json).ok()
        });
        key.map(Some).ok_or(Problem::new(Code::InvalidCursor))
    }

    /// How many rows to read: one more than are shown tells whether there is a next page.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A part of a list.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub struct Page<T: JsonSchema> {
    /// In the order of the list.
    items: Vec<T>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T: JsonSchema> Page<T> {
    /// The page that was asked for, of [`PageQuery::rows`] rows. `key` is what the list is ordered by and must be
    /// unique within it.
    pub fn new<R, K: Serialize>(query: &PageQuery, mut rows: Vec<R>, key: impl Fn(&R) -> K) -> Self
    where
        T: From<R>,
    {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| {
            let json = serde_json::to_vec(&key(row)).expect("keys are ids, numbers and times");
            BASE64_URL_SAFE_NO_PAD.encode([current().as_slice(), &json].concat())
        });
        Self { items: rows.into_iter().map(T::from).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_gives_back_the_key_it_was_made_of(key: (u64, String, bool), path in "/[a-z/]{0,40}") {
            LIST.sync_scope(mark(&path), || {
                let mut query = PageQuery { limit: 1, cursor: None };
                let page: Page<u8> = Page::new(&query, vec![0u8, 1], |_| key.clone());
                query.cursor = page.next_cursor;
                assert!(query.cursor.as_ref().is_some_and(|cursor| cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))));
                assert_eq!(query.after().unwrap(), Some(key.clone()));
            });
        }

        #[test]
        fn a_cursor_of_one_list_is_none_of_another(key: u64, one in "/[a-z/]{0,40}", other in "/[a-z/]{0,40}") {
            prop_assume!(one != other);
            let mut query = PageQuery { limit: 1, cursor: None };
            LIST.sync_scope(mark(&one), || {
                let page: Page<u8> = Page::new(&query, vec![0u8, 1], |_| key);
                query.cursor = page.next_cursor;
            });
            LIST.sync_scope(mark(&other), || assert!(query.after::<u64>().is_err()));
        }

        #[test]
        fn no_text_for_a_cursor_does_harm(cursor: String) {
            let query = PageQuery { limit: 1, cursor: Some(cursor) };
            let _ = query.after::<(u64, String)>();
        }
    }

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
