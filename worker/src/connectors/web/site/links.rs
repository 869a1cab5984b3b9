//! The links of a page, read as a stream of tags in linear time.

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind,
    },
};
use reqwest::Url;

/// Links of a page that count.
const MAX_LINKS: usize = 5_000;

/// What a page says about others and itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PageLinks {
    /// The links, in their order.
    pub(super) links: Vec<Url>,
    /// The address under which the page wants to be known.
    pub(super) canonical: Option<Url>,
    /// The page asks not to be indexed.
    pub(super) no_index: bool,
    /// The page asks that its links are not followed.
    pub(super) no_follow: bool,
}

impl PageLinks {
    /// Reads a page.
    pub(super) fn read(page: &str, url: &Url) -> Self {
        let sink = Sink { base: RefCell::new(url.clone()), found: RefCell::default() };
        let input = BufferQueue::default();
        input.push_back(StrTendril::from(page));
        let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
        let _done = tokenizer.feed(&input);
        tokenizer.end();
        tokenizer.sink.found.into_inner()
    }

    /// Adds what a value of the meta tag or header `robots` says.
    pub(super) fn add_robots(&mut self, value: &str) {
        for word in value.split(',') {
            match word.trim().to_ascii_lowercase().as_str() {
                "noindex" => self.no_index = true,
                "nofollow" => self.no_follow = true,
                "none" => (self.no_index, self.no_follow) = (true, true),
                _ => {}
            }
        }
    }
}

struct Sink {
    base: RefCell<Url>,
    found: RefCell<PageLinks>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                self.start(&tag);
                // Texts that look like markup.
                match &*tag.name {
                    "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
                    "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                    "plaintext" => TokenSinkResult::Plaintext,
                    _ => TokenSinkResult::Continue,
                }
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

impl Sink {
    fn start(&self, tag: &Tag) {
        let value = |name: &str| {
            let attribute = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
            attribute.map(|attribute| attribute.value.trim().to_owned())
        };
        let address = || self.base.borrow().join(&value("href")?).ok();
        let has_word = |text: Option<String>, word: &str| {
            text.is_some_and(|text| text.split_ascii_whitespace().any(|part| part.eq_ignore_ascii_case(word)))
        };
        let mut found = self.found.borrow_mut();
        match &*tag.name {
            "base" => {
                if let Some(base) = address() {
                    *self.base.borrow_mut() = base;
                }
            }
            "a" | "area" if found.links.len() < MAX_LINKS && !has_word(value("rel"), "nofollow") => {
                found.links.extend(address());
            }
            "link" if found.canonical.is_none() && has_word(value("rel"), "canonical") => found.canonical = address(),
            "meta" => {
                let name = value("name").unwrap_or_default().to_ascii_lowercase();
                if name == "robots" || name == "nvisy" {
                    found.add_robots(&value("content").unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(page: &str) -> PageLinks {
        PageLinks::read(page, &"http://h/docs/a.html".parse().unwrap())
    }

    #[test]
    fn links_are_resolved_against_page_and_base() {
        let page = "<a href='b.html'>b</a><area href=../c><a>no</a><a rel='nofollow x' href=/d><a href='mailto:x@y'>\
            <!-- <a href=/hidden> --><script>'<a href=/script>'</script><a href='http://['>broken</a>";
        let links: Vec<_> = read(page).links.iter().map(Url::to_string).collect();
        assert_eq!(links, ["http://h/docs/b.html", "http://h/c", "mailto:x@y"]);
        assert_eq!(read("<base href='//o/x/'><a href=y>").links[0].as_str(), "http://o/x/y");
    }

    #[test]
    fn canonical_address_and_robots_of_a_page_are_read() {
        let page = "<link rel='Canonical' href='/a'><meta name=ROBOTS content='NoIndex, follow'>";
        let found = read(page);
        assert_eq!(found.canonical.unwrap().as_str(), "http://h/a");
        assert!(found.no_index && !found.no_follow);
        assert!(read("<meta name=robots content=none>").no_follow);
    }

    #[test]
    fn links_of_a_page_are_bounded() {
        assert_eq!(read(&"<a href=x>".repeat(MAX_LINKS + 10)).links.len(), MAX_LINKS);
    }
}
