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

/// Whether the element stands beside the body: navigation, the foot of a page, a quoted mail or a signature.
pub(super) fn is_aside(tag: &Tag, in_article: bool) -> bool {
    let role = attribute(tag, "role").unwrap_or_default();
    let class = attribute(tag, "class").unwrap_or_default();
    match &*tag.name {
        "nav" => true,
        "footer" => !in_article,
        "blockquote" => attribute(tag, "type") == Some("cite") || class.contains("gmail_quote"),
        "div"
            if class
                .split_whitespace()
                .any(|class| matches!(class, "gmail_quote" | "gmail_signature" | "moz-signature")) =>
        {
            true
        }
        _ => matches!(role, "navigation" | "contentinfo" | "search" | "menu" | "menubar"),
    }
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
