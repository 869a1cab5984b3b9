//! Rich Text Format: paragraphs, headings, tables; heads, feet, notes and comments stand beside the body.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::builder::DocumentBuilder;
use super::rows::TableRows;
use super::rtf_encodings::{charset, encoding};
use super::rtf_tokens::{Token, Tokens};
use super::symbols;
use crate::{ElementKind, FileError, FileErrorKind};

/// Deepest nesting of groups; deeper is an attack.
const MAX_DEPTH: usize = 10_000;

/// Groups without text for people.
const SILENT: [&str; 34] = [
    "colortbl",
    "stylesheet",
    "pict",
    "object",
    "objdata",
    "themedata",
    "colorschememapping",
    "datastore",
    "latentstyles",
    "listtable",
    "listoverridetable",
    "rsidtbl",
    "generator",
    "xmlnstbl",
    "mmathPr",
    "fldinst",
    "bkmkstart",
    "bkmkend",
    "revtbl",
    "filetbl",
    "pgptbl",
    "operator",
    "creatim",
    "revtim",
    "printim",
    "company",
    "nonshppict",
    "shpinst",
    "panose",
    "falt",
    "template",
    "atnref",
    "atnid",
    "blipuid",
];

#[derive(Clone)]
struct State {
    /// What the text of the group is.
    place: Place,
    codepage: &'static Encoding,
    font: String,
    is_hidden: bool,
    /// Bytes after `\u` that repeat its character.
    skip: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Body,
    Silent,
    FontTable,
    Title,
    Author,
    Aside,
}

struct Rtf<'a> {
    tokens: Tokens<'a>,
    builder: DocumentBuilder,
    states: Vec<State>,
    state: State,
    /// Fonts by number: encoding and name.
    fonts: Vec<(i32, &'static Encoding, String)>,
    /// Bytes in the group's encoding that are not decoded yet.
    pending: Vec<u8>,
    /// Bytes and control words still to skip after `\u`.
    skipping: usize,
    high_surrogate: Option<u16>,
    text: String,
    aside: String,
    title: String,
    author: String,
    font_name: String,
    font_number: i32,
    font_encoding: &'static Encoding,
    heading: Option<u8>,
    is_item: bool,
    in_table: bool,
    table: Option<TableRows>,
}

/// Reads a file in Rich Text Format.
pub(super) fn read(bytes: &[u8], builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let state = State { place: Place::Body, codepage: WINDOWS_1252, font: String::new(), is_hidden: false, skip: 1 };
    let mut rtf = Rtf {
        tokens: Tokens::new(bytes),
        builder: std::mem::take(builder),
        states: Vec::new(),
        state,
        fonts: Vec::new(),
        pending: Vec::new(),
        skipping: 0,
        high_surrogate: None,
        text: String::new(),
        aside: String::new(),
        title: String::new(),
        author: String::new(),
        font_name: String::new(),
        font_number: 0,
        font_encoding: WINDOWS_1252,
        heading: None,
        is_item: false,
        in_table: false,
        table: None,
    };
    let read = rtf.run();
    let ended = rtf.paragraph().and_then(|()| rtf.end_table());
    let Rtf { builder: read_builder, title, author, .. } = rtf;
    *builder = read_builder;
    builder.title(&title);
    builder.property("author", &author);
    let (is_complete, ()) = (read?, ended?);
    match is_complete {
        true => Ok(()),
        false if !builder.is_empty() => Err(FileError::new(FileErrorKind::Corrupt, "The document is cut short.")),
        false => Err(FileError::new(FileErrorKind::Corrupt, "The document is damaged.")),
    }
}

impl Rtf<'_> {
    /// Reads all tokens. False: groups are still open at the end.
    fn run(&mut self) -> Result<bool, FileError> {
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Open => {
                    self.flush();
                    if self.states.len() >= MAX_DEPTH {
                        return Err(FileError::new(
                            FileErrorKind::Corrupt,
                            "The document's groups are nested too deep.",
                        ));
                    }
                    self.states.push(self.state.clone());
                    self.skipping = 0;
                }
                Token::Close => {
                    self.flush();
                    self.skipping = 0;
                    let Some(state) = self.states.pop() else { return Ok(true) };
                    let left = std::mem::replace(&mut self.state, state);
                    if left.place == Place::Aside && self.state.place != Place::Aside {
                        let aside = std::mem::take(&mut self.aside);
                        self.builder.aside(&aside)?;
                    }
                    if self.states.is_empty() {
                        return Ok(true);
                    }
                }
                Token::Symbol(symbol) => self.symbol(symbol)?,
                Token::Word("u", number) => self.word("u", number)?,
                Token::Byte(_) | Token::Word(..) if self.skipping > 0 => self.skipping -= 1,
                Token::Byte(byte) => self.pending.push(byte),
                Token::Word(word, number) => self.word(word, number)?,
            }
        }
        self.flush();
        Ok(false)
    }

    fn symbol(&mut self, symbol: u8) -> Result<(), FileError> {
        match symbol {
            b'~' => self.push('\u{A0}'),
            b'_' => self.push('-'),
            b'*' => {
                // A destination that readers may ignore: known ones with text follow.
                let rest = self.tokens.rest();
                let is_known = [&b"\\annotation"[..], b"\\shppict", b"\\footnote", b"\\pntext"]
                    .iter()
                    .any(|name| rest.starts_with(name));
                if !is_known {
                    self.flush();
                    self.state.place = Place::Silent;
                }
            }
            b'\r' | b'\n' => self.paragraph()?,
            _ => {}
        }
        Ok(())
    }

    fn word(&mut self, word: &str, number: Option<i64>) -> Result<(), FileError> {
        let value = number.unwrap_or(1);
        match word {
            "par" | "sect" | "page" => self.paragraph()?,
            "line" => self.push('\n'),
            "tab" => self.push('\t'),
            "emdash" => self.push('—'),
            "endash" => self.push('–'),
            "bullet" => self.push('•'),
            "lquote" => self.push('‘'),
            "rquote" => self.push('’'),
            "ldblquote" => self.push('“'),
            "rdblquote" => self.push('”'),
            "emspace" | "enspace" | "qmspace" => self.push(' '),
            "u" => {
                self.flush();
                // Numbers above 32767 are written as negative ones.
                self.unit((value.rem_euclid(65_536)) as u16);
                self.skipping = self.state.skip;
            }
            "uc" => self.state.skip = usize::try_from(value).unwrap_or(1).min(16),
            "ansicpg" => {
                let encoding = encoding(value);
                self.state.codepage = encoding;
                for state in &mut self.states {
                    state.codepage = encoding;
                }
            }
            "f" if self.state.place == Place::FontTable => {
                self.flush();
                self.font_number = value as i32;
                self.font_encoding = WINDOWS_1252;
            }
            "fcharset" => self.font_encoding = charset(value).unwrap_or(self.state.codepage),
            "f" => {
                self.flush();
                if let Some((_, encoding, name)) = self.fonts.iter().find(|(number, ..)| i64::from(*number) == value) {
                    self.state.codepage = encoding;
                    self.state.font.clone_from(name);
                }
            }
            "v" => {
                self.flush();
                self.state.is_hidden = number != Some(0);
            }
            "plain" => {
                self.flush();
                self.state.is_hidden = false;
            }
            "pard" => {
                self.heading = None;
                self.is_item = false;
                self.in_table = false;
            }
            "outlinelevel" => {
                self.heading = u8::try_from(value).ok().filter(|level| *level < 9).map(|level| (level + 1).min(6))
            }
            "ls" | "pnlvlblt" => self.is_item = true,
            "intbl" => self.in_table = true,
            "trowd" if self.table.is_none() => {
                self.paragraph()?;
                self.table = Some(TableRows::default());
            }
            "trowd" => {}
            "cell" | "nestcell" => {
                self.flush();
                let text = std::mem::take(&mut self.text);
                let rows = self.table.get_or_insert_with(TableRows::default);
                rows.cell(&text);
            }
            "row" | "nestrow" => {
                self.flush();
                if let Some(rows) = &mut self.table {
                    rows.row();
                }
            }
            "fonttbl" => self.begin(Place::FontTable),
            "info" => {}
            "title" => self.begin(Place::Title),
            "author" => self.begin(Place::Author),
            "footnote" | "annotation" | "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl"
            | "footerr" | "footerf" => self.begin(Place::Aside),
            "subject" | "keywords" | "doccomm" | "category" | "manager" | "comment" => self.begin(Place::Silent),
            _ if SILENT.contains(&word) => self.begin(Place::Silent),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, place: Place) {
        self.flush();
        if self.state.place != Place::Silent {
            self.state.place = place;
        }
    }

    /// Adds a unit of UTF-16.
    fn unit(&mut self, unit: u16) {
        let units = match self.high_surrogate.take() {
            Some(high) => vec![high, unit],
            None if (0xD800..0xDC00).contains(&unit) => {
                self.high_surrogate = Some(unit);
                return;
            }
            None => vec![unit],
        };
        for c in char::decode_utf16(units) {
            self.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }

    fn push(&mut self, c: char) {
        self.flush();
        self.add(&c.to_string());
    }

    /// Decodes the pending bytes.
    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.pending);
        let (text, _) = self.state.codepage.decode_without_bom_handling(&bytes);
        self.add(&text);
    }

    fn add(&mut self, words: &str) {
        if self.state.is_hidden {
            return;
        }
        match self.state.place {
            Place::Silent => {}
            Place::FontTable => {
                for c in words.chars() {
                    if c == ';' {
                        let name = std::mem::take(&mut self.font_name);
                        self.fonts.push((self.font_number, self.font_encoding, name.trim().to_owned()));
                    } else if self.font_name.len() < 100 {
                        self.font_name.push(c);
                    }
                }
            }
            Place::Title => self.title.push_str(words),
            Place::Author => self.author.push_str(words),
            Place::Aside => self.aside.push_str(words),
            Place::Body => {
                let from = self.text.len();
                self.text.push_str(words);
                symbols::replace_private(&self.state.font, &mut self.text, from);
            }
        }
    }

    fn paragraph(&mut self) -> Result<(), FileError> {
        self.flush();
        match self.state.place {
            Place::Aside => {
                self.aside.push('\n');
                return Ok(());
            }
            Place::Body => {}
            _ => return Ok(()),
        }
        if self.in_table && self.table.is_some() {
            self.text.push(' ');
            return Ok(());
        }
        self.end_table()?;
        let text = std::mem::take(&mut self.text);
        let kind = match self.heading {
            Some(level) => ElementKind::Heading { level },
            None if self.is_item || text.trim_start().starts_with(['•', '·']) => ElementKind::ListItem,
            None => ElementKind::Paragraph,
        };
        self.builder.push(kind, &text)
    }

    fn end_table(&mut self) -> Result<(), FileError> {
        match self.table.take() {
            Some(mut rows) => self.builder.table(&mut rows),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, ExtractLimits, formats::builder::build};

    fn document(rtf: &[u8]) -> Document {
        build(&ExtractLimits::default(), |builder| read(rtf, builder)).expect("has text")
    }

    #[test]
    fn text_structure_and_encodings_are_read() {
        let rtf = br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2 Symbol;}}{\info{\title A {\b B}}{\author Me}}
            {\*\generator Writer;}{\header Head\par}\pard\outlinelevel0 Gr\'fc\'dfe\par\pard \u8364?5 \f1\'cf\'f0\f0  {\v hidden}end\par
            \trowd\cellx1\cellx2\pard\intbl a\cell b\cell\row\trowd\intbl 1\cell 2\cell\row\pard last{\footnote A note.}\par}";
        let document = document(rtf);
        assert_eq!(document.title.as_deref(), Some("A B"));
        let pieces: Vec<_> = document.elements.iter().map(|e| (e.kind, &document.text[e.start..e.end])).collect();
        assert_eq!(
            pieces,
            [
                (ElementKind::Heading { level: 1 }, "Grüße"),
                (ElementKind::Paragraph, "€5 Пр end"),
                (ElementKind::Table, "a | b\n1 | 2"),
                (ElementKind::Paragraph, "last"),
                (ElementKind::Aside, "Head"),
                (ElementKind::Aside, "A note."),
            ]
        );
    }

    #[test]
    fn cut_and_deep_files_are_corrupt() {
        let deep = [&b"{\\rtf1 a"[..], &b"{".repeat(MAX_DEPTH + 1)].concat();
        for bad in [&b"{\\rtf1 half a docu"[..], &deep] {
            let failed = build(&ExtractLimits::default(), |builder| read(bad, builder));
            assert_eq!(failed.expect_err("damaged").kind, FileErrorKind::Corrupt);
        }
        assert_eq!(document(b"{\\rtf1 \\uc2\\u-10178??\\u-8832??\\uc0\\u228 x\\bin3 abc}").text, "🦀äx");
    }
}
