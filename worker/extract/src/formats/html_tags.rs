//! The tags of web pages: which hide their content, separate blocks, or stand beside the body.

use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TokenSinkResult};

/// The tokenizer state after tags whose content is text even if it looks like markup.
pub(super) fn text_mode(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

pub(super) fn heading_level(name: &str) -> Option<u8> {
    match name {
        "h1" => Some(1),
        "h2" => Some(2),
        "h3" => Some(3),
        "h4" => Some(4),
        "h5" => Some(5),
        "h6" => Some(6),
        _ => None,
    }
}

/// Tags that separate blocks.
pub(super) fn is_block(name: &str) -> bool {
    heading_level(name).is_some()
        || matches!(
            name,
            "address"
                | "article"
                | "aside"
                | "blockquote"
                | "body"
                | "caption"
                | "center"
                | "dd"
                | "details"
                | "dialog"
                | "div"
                | "dl"
                | "dt"
                | "fieldset"
                | "figcaption"
                | "figure"
                | "footer"
                | "form"
                | "head"
                | "header"
                | "hgroup"
                | "hr"
                | "html"
                | "legend"
                | "li"
                | "listing"
                | "main"
                | "menu"
                | "nav"
                | "ol"
                | "option"
                | "p"
                | "pre"
                | "search"
                | "section"
                | "select"
                | "summary"
                | "ul"
                | "xmp"
        )
}

/// Tags with invisible content.
pub(super) fn is_hidden(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "noscript"
            | "template"
            | "svg"
            | "iframe"
            | "noembed"
            | "noframes"
            | "annotation"
            | "annotation-xml"
    )
}

/// Whether an attribute hides the element.
pub(super) fn is_invisible(tag: &Tag) -> bool {
    tag.attrs.iter().any(|attribute| match &*attribute.name.local {
        "hidden" => !attribute.value.eq_ignore_ascii_case("until-found"),
        "aria-hidden" => attribute.value.eq_ignore_ascii_case("true"),
        "type" => &*tag.name == "input" && attribute.value.eq_ignore_ascii_case("hidden"),
        "style" => {
            let style: String = attribute.value.to_ascii_lowercase().split_whitespace().collect();
            ["display:none", "visibility:hidden", "visibility:collapse", "mso-hide:all"]
                .iter()
                .any(|rule| style.contains(rule))
        }
        _ => false,
    })
}

/// Classes of quoted mails and signatures.
const QUOTATIONS: [&str; 8] = [
    "gmail_quote",
    "gmail_signature",
    "moz-cite-prefix",
    "moz-signature",
    "yahoo_quoted",
    "protonmail_quote",
    "tutanota_quote",
    "ms-outlook-mobile-reference-message",
];

/// Classes and identifiers of what stands beside the content of a page.
const BESIDE: [&str; 9] = [
    "menu",
    "navbar",
    "sidebar",
    "breadcrumb",
    "breadcrumbs",
    "cookie-banner",
    "cookie-bar",
    "cookie-consent",
    "cookie-notice",
];

/// Whether the element stands beside the body: navigation, the foot of a page, a quoted mail or a signature.
pub(super) fn is_aside(tag: &Tag, in_article: bool) -> bool {
    let role = attribute(tag, "role").unwrap_or_default();
    let id = attribute(tag, "id").unwrap_or_default();
    let mut classes = attribute(tag, "class").unwrap_or_default().split_whitespace();
    match &*tag.name {
        "nav" | "aside" => true,
        "footer" => !in_article,
        "blockquote" if attribute(tag, "type") == Some("cite") => true,
        _ if id == "OLK_SRC_BODY_SECTION" => true,
        "div" | "blockquote" | "section" | "ul" | "ol" => {
            has_role_beside(role)
                || classes.any(|class| QUOTATIONS.contains(&class) || (!in_article && BESIDE.contains(&class)))
                || (!in_article && BESIDE.contains(&id))
        }
        _ => has_role_beside(role),
    }
}

fn has_role_beside(role: &str) -> bool {
    matches!(role, "navigation" | "contentinfo" | "search" | "menu" | "menubar" | "banner" | "complementary")
}

/// Whether the element is the head of a quoted mail of Outlook, which goes on to the end of the page.
pub(super) fn begins_quoted_mail(tag: &Tag) -> bool {
    if &*tag.name != "div" {
        return false;
    }
    let style: String = attribute(tag, "style").unwrap_or_default().to_ascii_lowercase().split_whitespace().collect();
    attribute(tag, "id") == Some("divRplyFwdMsg")
        || ["border-top:solid#e1e1e11.0pt;padding:3.0pt", "border-top:solid#b5c4df1.0pt;padding:3.0pt"]
            .iter()
            .any(|head| style.contains(head))
}

/// Elements whose end tag may be left out.
fn is_end_optional(name: &str) -> bool {
    matches!(
        name,
        "p" | "li"
            | "dt"
            | "dd"
            | "td"
            | "th"
            | "tr"
            | "tbody"
            | "thead"
            | "tfoot"
            | "option"
            | "optgroup"
            | "rt"
            | "rp"
    )
}

/// An open element whose content is left out.
pub(super) struct HiddenElement {
    name: String,
    /// The number of open tags of its name.
    depth: usize,
    /// Lists and tables that are open in it.
    scopes: usize,
    /// Whether its end tag may be missing.
    is_end_optional: bool,
}

impl HiddenElement {
    /// The element of a tag. In XML all end tags are there.
    pub(super) fn new(name: &str, is_xml: bool) -> Self {
        Self { name: name.to_owned(), depth: 1, scopes: 0, is_end_optional: !is_xml && is_end_optional(name) }
    }

    /// Takes the begin of a further element. `true`: this one ended before it.
    pub(super) fn ends_before_begin(&mut self, tag: &Tag) -> bool {
        if self.is_end_optional && self.scopes == 0 && begin_ends(&self.name, &tag.name) {
            return true;
        }
        if !tag.self_closing {
            self.depth += usize::from(!self.is_end_optional && *self.name == *tag.name);
            self.scopes += usize::from(is_scope(&tag.name));
        }
        false
    }

    /// Takes an end tag. `true`: this element ended before it, so the tag belongs to another one.
    pub(super) fn ends_before_end(&mut self, name: &str) -> bool {
        if self.is_end_optional && self.scopes == 0 && end_ends(&self.name, name) {
            return true;
        }
        let is_own = self.name == name && (self.scopes == 0 || !self.is_end_optional);
        self.depth -= usize::from(is_own);
        self.scopes = self.scopes.saturating_sub(usize::from(is_scope(name)));
        false
    }

    /// Whether the last end tag ended the element.
    pub(super) fn has_ended(&self) -> bool {
        self.depth == 0
    }
}

/// Whether the begin of an element ends an open one whose end tag may be left out.
fn begin_ends(open: &str, next: &str) -> bool {
    match open {
        "p" => next == "table" || (is_block(next) && !matches!(next, "option" | "select" | "caption" | "legend")),
        "li" => next == "li",
        "dt" | "dd" => matches!(next, "dt" | "dd"),
        "td" | "th" => matches!(next, "td" | "th" | "tr" | "tbody" | "thead" | "tfoot"),
        "tr" => matches!(next, "tr" | "tbody" | "thead" | "tfoot"),
        "tbody" | "thead" | "tfoot" => matches!(next, "tbody" | "thead" | "tfoot"),
        "option" => matches!(next, "option" | "optgroup"),
        "optgroup" => next == "optgroup",
        "rt" | "rp" => matches!(next, "rt" | "rp"),
        _ => false,
    }
}

/// Whether the end of an element ends an open one in it whose end tag may be left out.
fn end_ends(open: &str, parent: &str) -> bool {
    let is_table_part = matches!(parent, "table" | "tbody" | "thead" | "tfoot");
    match open {
        "p" => is_table_part || matches!(parent, "td" | "th" | "tr") || (is_block(parent) && parent != "p"),
        "li" => matches!(parent, "ul" | "ol" | "menu"),
        "dt" | "dd" => parent == "dl",
        "td" | "th" => is_table_part || parent == "tr",
        "tr" => is_table_part,
        "tbody" | "thead" | "tfoot" => parent == "table",
        "option" => matches!(parent, "optgroup" | "select" | "datalist"),
        "optgroup" => parent == "select",
        "rt" | "rp" => parent == "ruby",
        _ => false,
    }
}

/// Elements in which the elements of lists and tables belong to them, not to an outer one.
fn is_scope(name: &str) -> bool {
    matches!(name, "ul" | "ol" | "menu" | "dl" | "table" | "select" | "ruby")
}

/// Tags without content.
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

pub(super) fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}
