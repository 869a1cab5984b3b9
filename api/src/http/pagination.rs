//! Keyset pagination: a page continues after the last item of the one before, so that items are neither skipped nor repeated
//! while the list grows.

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

use super::string_schema::Opaque;
use crate::problem::{Code, Problem};

tokio::task_local! {
    /// A hash of the request's path, which names the list.
    static LIST: [u8; 4];
}

/// Middleware: binds cursors to the path, so that a cursor of one list is invalid for another.
pub async fn bind_cursors<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let list = list_mark(request.path());
    LIST.scope(list, next.call(request)).await
}

fn list_mark(path: &str) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::digest(path).into();
    std::array::from_fn(|index| hash[index])
}

fn current_list_mark() -> [u8; 4] {
    LIST.try_with(|list| *list).unwrap_or_default()
}

/// The page of a list to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[garde(skip)]
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

/// The default of every list.
pub const fn default_limit() -> u32 {
    20
}

impl PageQuery {
    /// For lists with further query parameters.
    pub const fn new(limit: u32, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The key of the previous page's last item, which [`Page::new`] put into the cursor.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| {
            let json = bytes.strip_prefix(&current_list_mark())?;
            serde_json::from_slice(json).ok()
        });
        key.map(Some).ok_or(Problem::new(Code::InvalidCursor))
    }

    /// Rows to fetch: one more than the page shows tells whether there is a next page.
    pub fn fetch_limit(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub struct Page<T: JsonSchema> {
    /// The items, in the order of the list.
    items: Vec<T>,
    /// The `cursor` of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T: JsonSchema> Page<T> {
    /// The page of up to [`PageQuery::fetch_limit`] rows. `key` is the value that orders the list, unique within it.
    pub fn new<R, K: Serialize>(query: &PageQuery, mut rows: Vec<R>, key: impl Fn(&R) -> K) -> Self
    where
        T: From<R>,
    {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let next_cursor = last.map(|row| {
            let json = serde_json::to_vec(&key(row)).expect("keys are ids, numbers and times");
            BASE64_URL_SAFE_NO_PAD.encode([current_list_mark().as_slice(), &json].concat())
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
        fn cursor_returns_its_key(key: (u64, String, bool), path in "/[a-z/]{0,40}") {
            LIST.sync_scope(list_mark(&path), || {
                let mut query = PageQuery { limit: 1, cursor: None };
                let page: Page<u8> = Page::new(&query, vec![0u8, 1], |_| key.clone());
                query.cursor = page.next_cursor;
                assert!(query.cursor.as_ref().is_some_and(|cursor| cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))));
                assert_eq!(query.after().unwrap(), Some(key.clone()));
            });
        }

        #[test]
        fn cursor_of_one_list_is_invalid_for_another(key: u64, one in "/[a-z/]{0,40}", other in "/[a-z/]{0,40}") {
            prop_assume!(one != other);
            let mut query = PageQuery { limit: 1, cursor: None };
            LIST.sync_scope(list_mark(&one), || {
                let page: Page<u8> = Page::new(&query, vec![0u8, 1], |_| key);
                query.cursor = page.next_cursor;
            });
            LIST.sync_scope(list_mark(&other), || assert!(query.after::<u64>().is_err()));
        }

        #[test]
        fn arbitrary_cursor_text_is_handled(cursor: String) {
            let query = PageQuery { limit: 1, cursor: Some(cursor) };
            let _ = query.after::<(u64, String)>();
        }
    }

    #[test]
    fn last_page_has_no_cursor() {
        let mut query = PageQuery { limit: 2, cursor: None };
        let page: Page<u32> = Page::new(&query, vec![9u32, 8, 7], |row| *row);
        assert_eq!(page.items, [9, 8]);
        query.cursor = page.next_cursor;
        assert_eq!(query.after::<u32>().unwrap(), Some(8));
        let page: Page<u32> = Page::new(&query, vec![7u32, 6], |row| *row);
        assert!(page.next_cursor.is_none());
    }

    #[test]
    fn foreign_cursor_is_rejected() {
        for cursor in ["", "!", "bm90IGpzb24", "ImZvbyI"] {
            let query = PageQuery { limit: 2, cursor: Some(cursor.to_owned()) };
            assert!(query.after::<u32>().is_err(), "{cursor}");
        }
    }
}
