//! The shares of the files that searches match.

use nvisy_shared::domain::filter::Filter;
use serde_json::{Value, json};

/// A share of the files, by number: every nth has the tag.
pub struct Selectivity {
    pub name: &'static str,
    /// `None`: the search has no filter.
    pub tag: Option<&'static str>,
    pub nth: u32,
}

pub const SELECTIVITIES: [Selectivity; 4] = [
    Selectivity { name: "100 %", tag: None, nth: 1 },
    Selectivity { name: "10 %", tag: Some("t0"), nth: 10 },
    Selectivity { name: "1 %", tag: Some("h0"), nth: 100 },
    Selectivity { name: "0.1 %", tag: Some("k0"), nth: 1_000 },
];

impl Selectivity {
    /// The filter of a request.
    pub fn body(&self) -> Option<Value> {
        self.tag.map(tag_filter)
    }

    pub fn filter(&self) -> Option<Filter> {
        self.body().map(|filter| Filter::parse(&filter).unwrap())
    }
}

/// The filter of the files with a tag.
pub fn tag_filter(tag: &str) -> Value {
    json!({ "field": "tags", "op": "eq", "value": tag })
}

/// The tags of a file: a tenth of the files has `t0`, a hundredth `h0`, a thousandth `k0`.
pub fn tags(file: u32) -> Vec<String> {
    vec![format!("t{}", file % 10), format!("h{}", file % 100), format!("k{}", file % 1_000)]
}

/// Whether a file has the tag of one of the filters: those with `h0` or `k0` have `t0`, too.
pub fn has_filtered_tag(file: u32) -> bool {
    file.is_multiple_of(10)
}
