use super::*;

fn document(page: &str) -> Document {
    read(page, &ExtractLimits::default()).expect("has text")
}

fn pieces(document: &Document) -> Vec<(ElementKind, &str)> {
    document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect()
}

#[test]
fn structure_is_kept_and_markup_removed() {
    let document = document(
        "<!doctype html><html><head><title> A &amp; B </title><style>p{}</style><script>if (a<b) '<p>x</p>'</script>\
         </head><body><h2>Gr&uuml;&szlig;e</h2><p>One\n  <b>bold</b>word<br>next&nbsp;line</p>tail\
         <ul><li>a<ol><li>b<li>c</ol><li><p>d</p><p>e</p></ul><pre>\n  x\n   y\n</pre>\
         <svg><text>no</text></svg></body></html>",
    );
    assert_eq!(document.title.as_deref(), Some("A & B"));
    assert_eq!(
        pieces(&document),
        [
            (ElementKind::Heading { level: 2 }, "Grüße"),
            (ElementKind::Paragraph, "One boldword\nnext line"),
            (ElementKind::Paragraph, "tail"),
            (ElementKind::ListItem, "- a"),
            (ElementKind::ListItem, "1. b"),
            (ElementKind::ListItem, "2. c"),
            (ElementKind::ListItem, "- d"),
            (ElementKind::Paragraph, "e"),
            (ElementKind::Code, "  x\n   y"),
        ]
    );
}

#[test]
fn table_is_one_element_with_one_line_per_row() {
    let document = document(
        "<table><caption>Cap</caption><tr><th>a<th>b</tr><tr><td><p>1</p><p>2</p></td>\
         <td><table><tr><td>in<td>ner</table></td></tr></table><p>after",
    );
    assert_eq!(
        pieces(&document),
        [
            (ElementKind::Paragraph, "Cap"),
            (ElementKind::Table, "a | b\n1 2 | in ner"),
            (ElementKind::Paragraph, "after")
        ]
    );
}

#[test]
fn spanned_values_stay_in_their_columns() {
    let page = "<table><tr><th>Region<th>Product<th>Units<tr><td rowspan=2>EU<td>Cable<td>12<tr><td>Hub<td>7\
                <tr><td colspan=2>Total<td>19</table>";
    assert_eq!(document(page).text, "Region | Product | Units\nEU | Cable | 12\nEU | Hub | 7\nTotal | Total | 19");
}

#[test]
fn title_that_closes_itself_swallows_nothing() {
    for page in [
        "<html><head><title/></head><body><p>Text",
        "<?xml version='1.0'?><html><script/><title/><p/><p>Text</p></html>",
    ] {
        assert_eq!(document(page).text, "Text", "{page}");
    }
}

#[test]
fn hidden_text_is_left_out_and_alternative_text_is_read() {
    let page = "<p>Seen<div hidden>no<div>no</div></div><div style='color:red; DISPLAY : none'>no</div><p aria-hidden=true>no</p>\
                <input type=hidden value=no><img alt='A seal' src=x><input value=typed>";
    assert_eq!(document(page).text, "Seen\n\nA seal typed");
}

#[test]
fn hidden_element_without_end_tag_hides_nothing_behind_it() {
    for (page, text) in [
        ("<p hidden>no<p>Seen", "Seen"),
        ("<div><p hidden>no</div>Seen", "Seen"),
        ("<p hidden>no<div>Seen</div>", "Seen"),
        ("<ul><li hidden>no<ul><li>no</ul>no<li>One</ul>Two", "- One\n\nTwo"),
        ("<ul><li hidden>no<ul><li>no</ul>no</li><li>One</ul>Two", "- One\n\nTwo"),
        ("<ul><li>One<li hidden>no</ul>Two", "- One\n\nTwo"),
        ("<table><tr hidden><td>no<tr><td>One<td hidden>no<td>Two</table>After", "One | Two\n\nAfter"),
        ("<table><tr><td>One<tr hidden><td>no<table><tr><td>no</table>no</table>After", "One\n\nAfter"),
        ("<select><option hidden>no<option>One</select><p>Two", "One\n\nTwo"),
        ("<ul hidden><li>no</ul><dl><dt hidden>no<dd>One</dl>", "One"),
    ] {
        assert_eq!(document(page).text, text, "{page}");
    }
}

#[test]
fn neighbouring_buttons_and_links_are_separate_words() {
    let page = "<nav><a>Home</a><a>Prices</a></nav><button>One</button><button>Two</button><p>Text";
    let document = document(page);
    assert_eq!(document.text, "One Two\n\nText\n\nHome Prices");
    assert_eq!(document.elements.last().map(|element| element.kind), Some(ElementKind::Aside));
}

#[test]
fn readings_and_formulas_are_distinguished() {
    let page = "<p><ruby>東<rp>(<rt>とう<rp>)</ruby>京 <math><mfrac><mn>2</mn><mn>4</mn></mfrac><msup><mi>x</mi><mn>12</mn></msup></math>";
    assert_eq!(document(page).text, "東京 2/4x^12\n\nとう");
}

#[test]
fn unclosed_table_is_kept() {
    assert_eq!(pieces(&document("<table><tr><td>x")), [(ElementKind::Table, "x")]);
}

/// The body of a page, and the texts beside it.
fn parts(page: &str) -> (String, Vec<String>) {
    let document = document(page);
    let (beside, body): (Vec<_>, Vec<_>) =
        pieces(&document).into_iter().partition(|(kind, _)| *kind == ElementKind::Aside);
    let body: Vec<&str> = body.into_iter().map(|(_, text)| text).collect();
    (body.join(" / "), beside.into_iter().map(|(_, text)| text.to_owned()).collect())
}

#[test]
fn content_outside_of_the_main_part_stands_beside_it() {
    for page in [
        "<header><h1>Shop</h1></header><main><h2>Tides</h2><p>High water</p></main><div>Imprint</div>",
        "<header><h1>Shop</h1></header><div role='main'><h2>Tides</h2><div>High water</div></div><div>Imprint</div>",
        "<header><h1>Shop</h1></header><article><h2>Tides</h2><p>High water</p></article><div>Imprint</div>",
    ] {
        assert_eq!(parts(page), ("Tides / High water".to_owned(), vec!["Shop\nImprint".to_owned()]), "{page}");
    }
    let two = "<article><p>One</p></article><article><p>Two</p></article><p>Three";
    assert_eq!(parts(two).0, "One / Two / Three", "no article is the main part");
    let empty = "<main><div id=app></div></main><h1>Shop</h1><p>High water at noon";
    assert_eq!(parts(empty).0, "Shop / High water at noon", "the main part is filled by a program");
}

#[test]
fn menus_sidebars_and_banners_stand_beside_the_body() {
    let page = "<div class='page-head navbar'>Home</div><aside>Related</aside><div role=banner>Sale</div>\
                <div id=sidebar>Archive</div><p>Text<div class='cookie-notice'>We bake</div>";
    let beside = ["Home", "Related", "Sale", "Archive", "We bake"].map(str::to_owned).to_vec();
    assert_eq!(parts(page), ("Text".to_owned(), beside));
}

#[test]
fn quoted_mails_stand_beside_the_body() {
    for page in [
        "<p>Yes</p><div id='divRplyFwdMsg'>From: Ada</div><p>Shall we?",
        "<p>Yes</p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'>\
         <p>From: Ada</div></div><p>Shall we?",
        "<p>Yes</p><span id='OLK_SRC_BODY_SECTION'><div>From: Ada</div><p>Shall we?</span>",
        "<p>Yes</p><div class='yahoo_quoted'><div>From: Ada</div><p>Shall we?</div>",
        "<p>Yes</p><blockquote class='protonmail_quote'><p>From: Ada<p>Shall we?</blockquote>",
    ] {
        assert_eq!(parts(page), ("Yes".to_owned(), vec!["From: Ada\nShall we?".to_owned()]), "{page}");
    }
}
