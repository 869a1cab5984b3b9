//! Outputs that are stored are computed again only when the code version of their type rises. So a change of an output must
//! raise it: this table has the output of a fixed input, for each type whose output is computed from the input alone.
//! That of `partition` is in `worker/tests/extract`; `chunk.similarity` has fixed similarities here.

use std::sync::Arc;

use nvisy_embed::Tokenizer;
use nvisy_extract::{Document, Element, ElementKind, Records};
use nvisy_shared::{
    crypt::{KeyPurpose, Keyring, MasterKey},
    id::WorkspaceId,
    pipeline::node::{
        NodeSpec,
        chunk_characters::ChunkCharacters,
        chunk_page::ChunkPage,
        chunk_section::ChunkSection,
        chunk_similarity::ChunkSimilarity,
        convert_table::{ConvertTable, TableFormat},
        deduplicate::Deduplicate,
        extract_keywords::{ExtractKeywords, KeywordMethod},
        language::Language,
        redact::{Identifier, Redact, Replacement},
    },
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    chunk_characters, chunk_page, chunk_section, chunk_similarity,
    chunking::Chunks,
    convert_table, deduplicate, extract_keywords, language,
    redact::{self, Entities, Redactor},
};
use crate::{
    chunk::{ChunkModel, Piece, Stretches, by_characters, by_pages, by_sections},
    pipeline::element::{DocumentElement, Elements},
    redact::Finder,
};

/// The code version of each type, and the hash of its output.
const OUTPUTS: [(&str, u32, &str); 9] = [
    (ChunkCharacters::TYPE, 3, "ca50f018b2d68de265bd4a5d5e6dd7cf"),
    (ChunkPage::TYPE, 3, "5d96c89b2fecb9853ed2700a0ee1633f"),
    (ChunkSection::TYPE, 3, "e62d5c83917bb279cb48f05b5d13c3f1"),
    (ChunkSimilarity::TYPE, 3, "0bfe82c20e081201f83c728f4ab3cb0d"),
    (Language::TYPE, 1, "3942fb68ff4db42d1d7e44068ca525ea"),
    (ExtractKeywords::TYPE, 1, "7fd2e43d1872dfa0c3c8d3447dacf9b0"),
    (Redact::TYPE, 1, "b7cd9f76d087c2b74511c596220dde1d"),
    (Deduplicate::TYPE, 1, "f5a9d9c66190be332a04731347bd210d"),
    (ConvertTable::TYPE, 1, "5cd9ea9de2fc4e1cfb2573fdabcb2597"),
];

#[test]
fn changed_output_has_another_code_version() {
    let found: Vec<_> = OUTPUTS
        .iter()
        .map(|(kind, ..)| {
            let (code_version, output) = output(kind);
            (*kind, code_version, hex::encode(&Sha256::digest(output.as_bytes())[..16]))
        })
        .collect();
    let expected: Vec<_> = OUTPUTS.iter().map(|(kind, version, hash)| (*kind, *version, (*hash).to_owned())).collect();
    assert_eq!(
        expected, found,
        "an output or a code version has changed: raise `CODE_VERSION` in `shared/src/pipeline/node` with each change of the \
         output of a type, and enter both here"
    );
}

/// The current code version of a type, and its output for the document with several settings.
fn output(kind: &str) -> (u32, String) {
    match kind {
        ChunkCharacters::TYPE => of([ChunkCharacters::default(), short(), ChunkCharacters::example()], |settings| {
            let model = model(settings.contextual_prefix);
            chunks(&by_characters(&document(), &model, chunk_characters::limits(settings)))
        }),
        ChunkPage::TYPE => of([ChunkPage::default(), ChunkPage::example()], |settings| {
            let model = model(settings.contextual_prefix);
            chunks(&by_pages(&document(), &model, chunk_page::limits(settings)))
        }),
        ChunkSection::TYPE => of([ChunkSection::default(), ChunkSection::example()], |settings| {
            let model = model(settings.contextual_prefix);
            chunks(&by_sections(&document(), &model, chunk_section::limits(settings, model.max_tokens)))
        }),
        ChunkSimilarity::TYPE => of([ChunkSimilarity::default(), ChunkSimilarity::example()], |settings| {
            let (document, model) = (document(), model(settings.contextual_prefix));
            let limits = chunk_similarity::limits(settings, model.max_tokens);
            let stretches = Stretches::new(&document, &model);
            let similarities: Vec<_> = (0..stretches.compared(limits.max_tokens).count())
                .map(|place| (place % 5 != 4).then_some(if place % 3 == 2 { 0.4 } else { 0.6 }))
                .collect();
            chunks(&stretches.pieces(&document, &model, &similarities, limits))
        }),
        Language::TYPE => of([Language::default(), Language::example()], |settings| {
            let element =
                DocumentElement { document: Arc::new(document()), origin: Arc::default(), edits: Arc::default() };
            let documents = language::set(Elements::Documents(vec![element]), settings.min_confidence);
            let all: Vec<_> = documents.origins().into_iter().map(|origin| json(origin.as_ref())).collect();
            let chunks = by_pages(&document(), &model(false), chunk_page::limits(&ChunkPage::default()));
            let chunks = match self::elements(&chunks) {
                Elements::Chunks(chunks) => language::set(Elements::Chunks(chunks), settings.min_confidence),
                other => other,
            };
            format!("{all:?}{}", chunks_json(&chunks))
        }),
        ExtractKeywords::TYPE => {
            let statistical = |max| ExtractKeywords {
                connection: None,
                method: KeywordMethod::Statistical,
                max,
                ..ExtractKeywords::example()
            };
            of([statistical(10), statistical(5)], |settings| {
                let output = extract_keywords::by_statistics(settings, documents()).expect("documents");
                let origins: Vec<_> =
                    output.ports[0].origins().into_iter().map(|origin| json(&origin.metadata)).collect();
                format!("{origins:?}")
            })
        }
        // Without the hash, whose key is another one in each installation.
        Redact::TYPE => of(
            [Redact::default(), Redact { replace_with: Replacement::Nothing, ..Redact::example() }, all_identifiers()],
            |settings| {
                let redactor = Redactor {
                    finder: Finder::new(settings.find.iter().copied(), &settings.patterns).expect("valid patterns"),
                    replacement: settings.replace_with,
                    key: Keyring::new(MasterKey::generate()).derive(WorkspaceId::SYSTEM, KeyPurpose::Redaction),
                };
                let entities = Entities { keys: &settings.entities, file: &serde_json::Map::new() };
                let (elements, counts) =
                    redact::redact(documents(), &redactor, &entities, &Tokenizer::estimate()).expect("documents");
                match elements {
                    Elements::Documents(documents) => format!("{}{counts:?}", json(&documents)),
                    other => panic!("{other:?}"),
                }
            },
        ),
        Deduplicate::TYPE => of([Deduplicate::default(), Deduplicate::example()], |settings| {
            let chunks = elements(&by_characters(&document(), &model(false), chunk_characters::limits(&short())));
            let prints = deduplicate::prints(&chunks, settings.similarity).expect("chunks");
            format!("{:?}", deduplicate::within(&prints, settings.similarity))
        }),
        ConvertTable::TYPE => of(
            [TableFormat::Html, TableFormat::Markdown, TableFormat::Csv, TableFormat::Json]
                .map(|format| ConvertTable { format, header: true }),
            |settings| match documents() {
                Elements::Documents(documents) => {
                    let (documents, tables) = convert_table::convert(documents, settings);
                    json(&documents) + &json(&tables)
                }
                other => panic!("{other:?}"),
            },
        ),
        other => panic!("{other} has no output here"),
    }
}

fn of<T: NodeSpec, const N: usize>(settings: [T; N], output: impl Fn(&T) -> String) -> (u32, String) {
    (T::CODE_VERSION, settings.iter().map(output).collect::<Vec<_>>().join("\n"))
}

fn all_identifiers() -> Redact {
    Redact { find: Identifier::ALL.iter().copied().collect(), ..Redact::default() }
}

fn documents() -> Elements {
    let mut document = document();
    let start = document.text.len();
    document
        .text
        .push_str("Write to ada@example.org or +49 30 901820 about CASE-123456 and DE89 3704 0044 0532 0130 00.");
    let end = document.text.len();
    document.elements.push(Element::new(ElementKind::Paragraph, start..end, Some(5)));
    Elements::Documents(vec![DocumentElement {
        document: Arc::new(document),
        origin: Arc::default(),
        edits: Arc::default(),
    }])
}

fn short() -> ChunkCharacters {
    ChunkCharacters { max_characters: 60, overlap_characters: 20, contextual_prefix: false }
}

fn model(contextual: bool) -> ChunkModel {
    ChunkModel { tokenizer: Tokenizer::estimate(), max_tokens: 64, contextual }
}

fn chunks(pieces: &[Piece]) -> String {
    chunks_json(&elements(pieces))
}

fn elements(pieces: &[Piece]) -> Elements {
    let element = DocumentElement { document: Arc::new(document()), origin: Arc::default(), edits: Arc::default() };
    let mut chunks = Chunks::default();
    chunks.add(&element, pieces.to_vec());
    chunks.output().expect("chunks").ports.swap_remove(0)
}

fn chunks_json(elements: &Elements) -> String {
    match elements {
        Elements::Chunks(chunks) => json(chunks),
        other => panic!("{other:?}"),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain values")
}

/// Two chapters of several sections and pages, in two languages and some odd shapes.
fn document() -> Document {
    use ElementKind::{Code, Heading, ListItem, PageBreak, Paragraph, Table, Title};
    let long = "The spring tide turns the blades twice a day. Divers clean them at slack water! Is it worth the cost? "
        .repeat(6);
    let german =
        "Die Turbinen werden jedes Frühjahr gereinigt. Das Wasser ist dann ruhig, und die Tage sind lang. ".repeat(4);
    let parts: [(ElementKind, &str, u32); 16] = [
        (Title, "Tidal energy", 1),
        (Paragraph, "A short opening.", 1),
        (Heading { level: 1 }, "Turbines", 1),
        (Heading { level: 2 }, "Blades", 1),
        (Paragraph, &long, 1),
        (PageBreak, "\n\n", 2),
        (Heading { level: 2 }, "Seals", 2),
        (Paragraph, "Short.", 2),
        (Heading { level: 2 }, "Bearings", 2),
        (ListItem, "- one", 2),
        (ListItem, "- two", 2),
        (PageBreak, "\n\n", 4),
        (Heading { level: 1 }, "Auf Deutsch", 4),
        (Paragraph, &german, 4),
        (Table, "水 | 火。土 | 🦀\na | b", 5),
        (
            Code,
            "let endless = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\";",
            5,
        ),
    ];
    let mut document = Document { page_count: Some(5), ..Document::default() };
    for (kind, text, page) in parts {
        let start = document.text.len();
        document.text.push_str(text.trim_end_matches(' '));
        let mut element = Element::new(kind, start..document.text.len(), Some(page));
        element.records = (kind == Table).then_some(Records { header_bytes: 0, is_quoted: false });
        document.elements.push(element);
        document.text.push_str(if kind == PageBreak { "" } else { "\n\n" });
    }
    document
}
