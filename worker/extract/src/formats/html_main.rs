//! The main part of a web page, from which the rest is set apart.

use html5ever::tokenizer::Tag;

use super::html_tags::attribute;

/// The share of a page's letters that its main part has at least; pages that fill theirs later have nearly none in it.
const MIN_SHARE: usize = 10;

/// The main part of a page that says which one it is: an element `main` or of this role, or its only article.
#[derive(Default)]
pub(super) struct MainPart {
    /// The name of the element; `None`: the page does not say.
    name: Option<&'static str>,
    /// The open element, and the number of open tags of its name.
    open: Option<(String, usize)>,
}

impl MainPart {
    /// Finds out how a page marks its main part.
    pub(super) fn of(page: &str) -> Self {
        let (mut main, mut articles) = (None, Vec::new());
        for (place, _) in page.match_indices('<') {
            let tag = &page.as_bytes()[place + 1..];
            if main.is_none() && (begins_with(tag, b"main") || has_main_role(tag)) {
                main = Some(place);
            } else if begins_with(tag, b"article") {
                articles.push(place);
            }
        }
        let (name, start) = match (main, articles.as_slice()) {
            (Some(start), _) => ("main", start),
            (None, [start]) => ("article", *start),
            _ => return Self::default(),
        };
        let end = page.rfind(&format!("</{name}")).filter(|end| *end > start).unwrap_or(page.len());
        let is_filled = letters(&page[start..end]) * MIN_SHARE >= letters(page);
        Self { name: is_filled.then_some(name), open: None }
    }

    /// Whether a tag begins the main part.
    pub(super) fn is_begin(&self, tag: &Tag) -> bool {
        let is_named = self.name.is_some_and(|name| *tag.name == *name);
        let has_role = self.name == Some("main") && attribute(tag, "role") == Some("main");
        self.open.is_none() && !tag.self_closing && (is_named || has_role)
    }

    /// Takes the begin of an element.
    pub(super) fn begin(&mut self, tag: &Tag) {
        if self.is_begin(tag) {
            self.open = Some((tag.name.to_string(), 1));
        } else if let Some((name, depth)) = &mut self.open {
            *depth += usize::from(**name == *tag.name && !tag.self_closing);
        }
    }

    /// Takes the end of an element.
    pub(super) fn end(&mut self, ended: &str) {
        if let Some((name, depth)) = &mut self.open
            && name == ended
        {
            *depth -= 1;
            if *depth == 0 {
                self.open = None;
            }
        }
    }

    /// Whether the main part is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the page has a main part, and this place is beside it.
    pub(super) fn is_outside(&self) -> bool {
        self.name.is_some() && self.open.is_none()
    }
}

/// Whether a tag has this name.
fn begins_with(tag: &[u8], name: &[u8]) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    tag.len() > name.len() && tag[..name.len()].eq_ignore_ascii_case(name) && is_end(&tag[name.len()])
}

/// Whether a tag is that of a part of the page with the role of the main one.
fn has_main_role(tag: &[u8]) -> bool {
    if !begins_with(tag, b"div") && !begins_with(tag, b"section") {
        return false;
    }
    let end = tag.iter().take(1_000).position(|byte| *byte == b'>').unwrap_or(0);
    [&b"role=\"main\""[..], b"role='main'", b"role=main"]
        .iter()
        .any(|role| tag[..end].windows(role.len()).any(|window| window == *role))
}

/// The number of bytes outside of tags that are no white space.
fn letters(page: &str) -> usize {
    let mut in_tag = false;
    let mut count = 0;
    for byte in page.bytes() {
        match byte {
            b'<' => in_tag = true,
            b'>' => in_tag = false,
            byte => count += usize::from(!in_tag && !byte.is_ascii_whitespace()),
        }
    }
    count
}
