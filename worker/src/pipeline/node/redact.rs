//! Compute: replaces personal data.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use nvisy_embed::Tokenizer;
use nvisy_extract::Document;
use nvisy_shared::{
    crypt::{DerivedKey, KeyPurpose},
    pipeline::node::redact::{Redact, Replacement},
};
use serde_json::{Map, Value};

use super::{chunking::compute, metadata::set_metadata};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        edits::{self, Edits},
        element::{ChunkElement, DocumentElement, Elements, RecordElement},
    },
    redact::{Finder, Found},
    runner::JobError,
};

/// Digits of a hash in a replacement: 64 bits.
const HASH_DIGITS: usize = 16;

impl Behaviour for Redact {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let finder = Finder::new(self.find.iter().copied(), &self.patterns)
            .map_err(JobError::retry("a pattern of the pipeline is not valid"))?;
        let redactor = Redactor {
            finder,
            replacement: self.replace_with,
            key: call.cx.keys.derive(call.workspace, KeyPurpose::Redaction),
        };
        let tokenizer = call.model().embedder().tokenizer();
        let (entities, file_metadata) = (self.entities.clone(), call.file.metadata.clone());
        let (mut elements, counts) = compute(move || {
            let entities = Entities { keys: &entities, file: &file_metadata };
            redact(input, &redactor, &entities, &tokenizer)
        })
        .await??;
        let mut effects = Vec::new();
        if let Some(key) = &self.counts {
            effects.extend(report(&mut elements, key, counts)?);
        }
        if let Elements::Chunks(chunks) = &mut elements {
            // A chunk of which nothing is left has nothing to search.
            chunks.retain(|chunk| !chunk.text.trim().is_empty());
        }
        Ok(Output { ports: vec![elements], effects, ..Output::default() })
    }
}

/// Sets the number of replacements of each kind in the metadata: of each element its own, of the file all.
fn report(elements: &mut Elements, key: &str, counts: Vec<Counts>) -> Result<Option<Effect>, JobError> {
    let mut all = Counts::new();
    for (kind, count) in counts.iter().flatten() {
        *all.entry(kind.clone()).or_default() += count;
    }
    let values = counts.into_iter().map(|counts| Map::from_iter([(key.to_owned(), json(counts))])).collect();
    let set = set_metadata(elements, values)?;
    Ok(set.map(|_| Effect::Metadata(Map::from_iter([(key.to_owned(), json(all))]))))
}

fn json(counts: Counts) -> Value {
    Value::Object(counts.into_iter().map(|(kind, count)| (kind.to_lowercase(), count.into())).collect())
}

/// Replacements by kind.
pub(super) type Counts = BTreeMap<String, u64>;

/// Finds and replaces.
pub(super) struct Redactor {
    pub(super) finder: Finder,
    pub(super) replacement: Replacement,
    pub(super) key: DerivedKey,
}

impl Redactor {
    /// The replacement of each passage to redact; `known` were found before.
    pub(super) fn replacements(
        &self,
        text: &str,
        known: Vec<Found>,
        counts: &mut Counts,
    ) -> Vec<(Range<usize>, String)> {
        let found = self.finder.find(text, known);
        let replacement = |found: Found| {
            *counts.entry(found.kind.clone()).or_default() += 1;
            let replacement = match self.replacement {
                Replacement::Mask => format!("[{}]", found.kind),
                Replacement::Nothing => String::new(),
                Replacement::Hash => {
                    let hash = hex::encode(self.key.mac(text[found.bytes.clone()].as_bytes()));
                    format!("[{}:{}]", found.kind, &hash[..HASH_DIGITS])
                }
            };
            (found.bytes, replacement)
        };
        found.into_iter().map(replacement).collect()
    }

    fn text(&self, text: &mut String, counts: &mut Counts) {
        let replacements = self.replacements(text, Vec::new(), counts);
        if !replacements.is_empty() {
            *text = edits::replace(text, &replacements);
        }
    }

    fn value(&self, value: &mut Value, counts: &mut Counts) {
        match value {
            Value::String(text) => self.text(text, counts),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, counts)),
            Value::Object(entries) => entries.values_mut().for_each(|value| self.value(value, counts)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Entities that earlier nodes have set as metadata, of the element or of the file.
pub(super) struct Entities<'a> {
    pub(super) keys: &'a [String],
    pub(super) file: &'a Map<String, Value>,
}

/// An entity: a byte range of the source, or a text wherever it stands.
enum Entity {
    Range(Range<u64>, String),
    Text(String, String),
}

impl Entities<'_> {
    /// Entities in the metadata; other values are ignored.
    fn of(&self, metadata: &Map<String, Value>) -> Vec<Entity> {
        let values = self.keys.iter().filter_map(|key| Some((key, metadata.get(key).or_else(|| self.file.get(key))?)));
        values
            .flat_map(|(key, value)| value.as_array().into_iter().flatten().filter_map(|value| entity(key, value)))
            .collect()
    }
}

fn entity(key: &str, value: &Value) -> Option<Entity> {
    let name = ["kind", "type", "label"].iter().find_map(|field| value.get(field)?.as_str()).unwrap_or(key);
    let kind: String =
        name.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect();
    let number = |field: &str| value.get(field).and_then(Value::as_u64);
    match (number("start"), number("end"), value.get("text").and_then(Value::as_str)) {
        (Some(start), Some(end), _) if start < end => Some(Entity::Range(start..end, kind)),
        (.., Some(text)) if !text.is_empty() => Some(Entity::Text(text.to_owned(), kind)),
        _ => value.as_str().filter(|text| !text.is_empty()).map(|text| Entity::Text(text.to_owned(), kind)),
    }
}

/// The passages of entities in a text; `place` finds the range of the text for one of the source.
fn passages(text: &str, entities: Vec<Entity>, place: impl Fn(Range<u64>) -> Option<Range<u64>>) -> Vec<Found> {
    let mut found = Vec::new();
    for entity in entities {
        match entity {
            Entity::Range(range, kind) => {
                let Some(range) = place(range) else { continue };
                let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(text.len());
                // Whole letters, whatever the numbers are.
                let bytes = text.floor_char_boundary(index(range.start))..text.ceil_char_boundary(index(range.end));
                if !bytes.is_empty() {
                    found.push(Found { bytes, kind });
                }
            }
            Entity::Text(entity, kind) => found.extend(
                text.match_indices(entity.as_str())
                    .map(|(start, text)| Found { bytes: start..start + text.len(), kind: kind.clone() }),
            ),
        }
    }
    found
}

/// Redacts all elements, and counts the replacements of each.
pub(super) fn redact(
    input: Elements,
    redactor: &Redactor,
    entities: &Entities<'_>,
    tokenizer: &Tokenizer,
) -> Result<(Elements, Vec<Counts>), JobError> {
    let mut counts = Vec::with_capacity(input.len());
    let mut counted = |redact: &mut dyn FnMut(&mut Counts)| {
        let mut own = Counts::new();
        redact(&mut own);
        counts.push(own);
    };
    let mut elements = input;
    match &mut elements {
        Elements::Documents(documents) => {
            for element in documents {
                counted(&mut |counts| document(element, redactor, entities, counts));
            }
        }
        Elements::Chunks(chunks) => {
            for element in chunks {
                counted(&mut |counts| chunk(element, redactor, entities, tokenizer, counts));
            }
        }
        Elements::Records(records) => {
            for RecordElement { row, .. } in records {
                counted(&mut |counts| redactor.value(row, counts));
            }
        }
        Elements::Bytes(_) | Elements::Vectors(_) => return Err(wrong_input("redact")),
    }
    Ok((elements, counts))
}

fn document(element: &mut DocumentElement, redactor: &Redactor, entities: &Entities<'_>, counts: &mut Counts) {
    let edits = &element.edits;
    let known =
        passages(&element.document.text, entities.of(&element.origin.metadata), |range| Some(edits.text(range)));
    let replacements = redactor.replacements(&element.document.text, known, counts);
    // Copies beside the text: title, words of headings, names of sheets, properties such as the sender of a mail.
    let beside = |text: &mut String| redactor.text(text, &mut Counts::new());
    let mut changed = replace_in(element, &replacements);
    changed.title.as_mut().map(beside);
    changed.elements.iter_mut().flat_map(|part| part.label.iter_mut().chain(&mut part.place)).for_each(beside);
    changed.properties.values_mut().for_each(beside);
    element.document = Arc::new(changed);
    if let Some(info) = Arc::make_mut(&mut element.origin).document.as_mut() {
        info.characters = element.document.text.chars().count() as u64;
        info.title.as_mut().map(beside);
        info.properties.values_mut().for_each(beside);
    }
}

/// The document with ranges replaced; the element gets the edits.
pub(super) fn replace_in(element: &mut DocumentElement, replacements: &[(Range<usize>, String)]) -> Document {
    let lengths = edits::lengths(replacements);
    let step = Edits::default().then(&lengths);
    let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    // Within a replaced range both ends of an element move behind it, so that elements do not overlap.
    let place = |place: usize| index(step.text(place as u64..place as u64).end);
    let mut document = element.document.as_ref().clone();
    document.text = edits::replace(&document.text, replacements);
    for part in &mut document.elements {
        (part.start, part.end) = (place(part.start), place(part.end));
    }
    for found in &mut document.boxes {
        let bytes = step.text(found.start as u64..found.end as u64);
        (found.start, found.end) = (index(bytes.start), index(bytes.end));
    }
    document.boxes.retain(|found| found.start < found.end);
    element.edits = Arc::new(element.edits.then(&lengths));
    document
}

fn chunk(
    chunk: &mut ChunkElement,
    redactor: &Redactor,
    entities: &Entities<'_>,
    tokenizer: &Tokenizer,
    counts: &mut Counts,
) {
    let bytes = chunk.bytes.clone();
    // Once the text has another length than its range, places within it are not known.
    let whole = bytes.end.saturating_sub(bytes.start) == chunk.text.len() as u64;
    let known = passages(&chunk.text, entities.of(&chunk.origin.metadata), |range| {
        let (start, end) = (range.start.max(bytes.start), range.end.min(bytes.end));
        (whole && start < end).then(|| start - bytes.start..end - bytes.start)
    });
    let replacements = redactor.replacements(&chunk.text, known, counts);
    if !replacements.is_empty() {
        chunk.text = edits::replace(&chunk.text, &replacements);
        chunk.tokens = u32::try_from(tokenizer.count(&chunk.text)).unwrap_or(u32::MAX);
    }
    let mut aside = Counts::new();
    chunk
        .headings
        .iter_mut()
        .chain(&mut chunk.prefix)
        .chain(&mut chunk.place)
        .for_each(|text| redactor.text(text, &mut aside));
}

#[cfg(test)]
mod tests {
    use nvisy_extract::{Element, ElementKind, TextBox};
    use nvisy_shared::{
        crypt::{Keyring, MasterKey},
        id::WorkspaceId,
        pipeline::node::redact::{Identifier, Pattern},
    };
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::pipeline::element::Origin;

    fn redactor(replacement: Replacement) -> Redactor {
        let pattern = Pattern { name: "case".to_owned(), pattern: r"CASE-\d+".to_owned() };
        Redactor {
            finder: Finder::new([Identifier::Email, Identifier::Iban], &[pattern]).unwrap(),
            replacement,
            key: Keyring::new(MasterKey::generate()).derive(WorkspaceId::new(), KeyPurpose::Redaction),
        }
    }

    fn redacted(input: Elements, replacement: Replacement, keys: &[&str]) -> (Elements, Vec<Counts>) {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let entities = Entities { keys: &keys, file: &Map::new() };
        redact(input, &redactor(replacement), &entities, &Tokenizer::estimate()).unwrap()
    }

    fn one_document(text: &str, elements: Vec<Element>, metadata: Value) -> Elements {
        let document =
            Document { text: text.to_owned(), elements, title: Some("To a@b.org".to_owned()), ..Document::default() };
        let Value::Object(metadata) = metadata else { panic!("metadata is a map") };
        let origin = Arc::new(Origin { metadata, ..Origin::default() });
        Elements::Documents(vec![DocumentElement { document: Arc::new(document), origin, edits: Arc::default() }])
    }

    fn first(elements: &Elements) -> &DocumentElement {
        match elements {
            Elements::Documents(documents) => &documents[0],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn document_keeps_its_structure_and_its_way_to_the_source() {
        let text = "Grüße\n\nWrite to ada@example.org about CASE-12.\n\nEnd";
        let part = |start: usize, end: usize| Element::new(ElementKind::Paragraph, start..end, None);
        let mut parts = vec![part(0, 7), part(9, 48), part(50, 53)];
        parts[0].label = Some("For a@b.org".to_owned());
        parts[0].place = Some("a@b.org!A1".to_owned());
        let (elements, counts) = redacted(one_document(text, parts, json!({})), Replacement::Mask, &[]);
        let element = first(&elements);
        assert_eq!(element.document.elements[0].label.as_deref(), Some("For [EMAIL]"));
        assert_eq!(element.document.elements[0].place.as_deref(), Some("[EMAIL]!A1"));
        let document = &element.document;
        assert_eq!(document.text, "Grüße\n\nWrite to [EMAIL] about [CASE].\n\nEnd");
        assert_eq!(document.title.as_deref(), Some("To [EMAIL]"));
        let texts: Vec<_> = document.elements.iter().map(|part| &document.text[part.start..part.end]).collect();
        assert_eq!(texts, ["Grüße", "Write to [EMAIL] about [CASE].", "End"]);
        assert_eq!(counts, [Counts::from([("CASE".to_owned(), 1), ("EMAIL".to_owned(), 1)])]);
        let place = document.text.find("[EMAIL]").unwrap() as u64;
        let source = element.edits.source(place..place + 7);
        assert_eq!(&text[source.start as usize..source.end as usize], "ada@example.org");
    }

    #[test]
    fn boxes_of_recognised_lines_follow_the_text() {
        let text = "Write to ada@example.org\nbob@example.org\nor to no one";
        let mut elements = one_document(text, Vec::new(), json!({}));
        let Elements::Documents(documents) = &mut elements else { unreachable!() };
        let lines = [0..24, 25..40, 41..53].map(|bytes: Range<usize>| TextBox {
            start: bytes.start,
            end: bytes.end,
            page: Some(1),
            left: 0.1,
            top: bytes.start as f64 / 100.0,
            right: 0.9,
            bottom: 1.0,
            confidence: 0.9,
        });
        Arc::make_mut(&mut documents[0].document).boxes = lines.to_vec();
        for (replacement, expected) in [
            (Replacement::Mask, vec![("Write to [EMAIL]", 0.0), ("[EMAIL]", 0.25), ("or to no one", 0.41)]),
            (Replacement::Nothing, vec![("Write to ", 0.0), ("or to no one", 0.41)]),
        ] {
            let (elements, _) = redacted(elements.clone(), replacement, &[]);
            let document = &first(&elements).document;
            let found: Vec<_> =
                document.boxes.iter().map(|found| (&document.text[found.start..found.end], found.top)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn entities_of_an_earlier_node_are_redacted_by_range_and_by_text() {
        let text = "Ada Lovelace met Charles. Ada wrote.";
        let people = json!({ "people": [
            { "text": "Ada Lovelace", "start": 0, "end": 12, "type": "person" }, { "text": "Ada", "label": "first name" },
            "Charles", { "start": 90, "end": 99 }, { "start": 3 }, 7,
        ] });
        let (elements, counts) =
            redacted(one_document(text, Vec::new(), people.clone()), Replacement::Mask, &["people"]);
        assert_eq!(first(&elements).document.text, "[PERSON] met [PEOPLE]. [FIRST_NAME] wrote.");
        assert_eq!(counts[0].values().sum::<u64>(), 3);

        let Value::Object(metadata) = people else { unreachable!() };
        let chunk = ChunkElement {
            ordinal: 0,
            text: "lace met Charles.".to_owned(),
            bytes: 8..25,
            page: None,
            place: None,
            headings: vec!["By a@b.org".to_owned()],
            tokens: 99,
            prefix: Some("By a@b.org".to_owned()),
            language: None,
            origin: Arc::new(Origin { metadata, ..Origin::default() }),
        };
        let (elements, _) = redacted(Elements::Chunks(vec![chunk]), Replacement::Mask, &["people"]);
        let Elements::Chunks(chunks) = elements else { panic!("chunks") };
        assert_eq!(chunks[0].text, "[PERSON] met [PEOPLE].");
        assert_eq!((chunks[0].bytes.clone(), chunks[0].prefix.as_deref()), (8..25, Some("By [EMAIL]")));
        assert_eq!(chunks[0].headings, ["By [EMAIL]"]);
        assert_ne!(chunks[0].tokens, 99);
    }

    #[test]
    fn hashes_are_equal_for_equal_passages_and_removed_passages_leave_nothing() {
        let text = "a@b.org c@d.org a@b.org";
        let (elements, _) = redacted(one_document(text, Vec::new(), json!({})), Replacement::Hash, &[]);
        let hashes: Vec<&str> = first(&elements).document.text.split(' ').collect();
        assert_eq!(hashes[0], hashes[2]);
        assert_ne!(hashes[0], hashes[1]);
        assert!(hashes[0].starts_with("[EMAIL:") && hashes[0].len() == 24, "{hashes:?}");
        let (elements, _) = redacted(one_document(text, Vec::new(), json!({})), Replacement::Nothing, &[]);
        assert_eq!(first(&elements).document.text, "  ");
    }

    #[test]
    fn records_are_redacted_in_all_their_texts() {
        let row = json!({ "a": ["x@y.org", 1], "b": { "c": "no" } });
        let records = Elements::Records(vec![RecordElement { row, origin: Arc::default() }]);
        let (Elements::Records(records), _) = redacted(records, Replacement::Mask, &[]) else { panic!("records") };
        assert_eq!(records[0].row, json!({ "a": ["[EMAIL]", 1], "b": { "c": "no" } }));
    }

    /// Words, some of which are found.
    fn words() -> impl Strategy<Value = Vec<(String, bool)>> {
        let plain = "[a-zäöü🦀 .,\n-]{0,12}".prop_map(|word| (word, false));
        let found = prop_oneof![
            Just("ada@example.org".to_owned()),
            Just("DE89 3704 0044 0532 0130 00".to_owned()),
            "CASE-[0-9]{1,6}",
        ]
        .prop_map(|word| (word, true));
        prop::collection::vec(prop_oneof![plain, found], 0..20)
    }

    proptest! {
        /// Exactly the passages that were found are replaced, everything else is there byte for byte, and each part of the redacted
        /// text leads to its place in the source.
        #[test]
        fn found_passages_are_replaced_and_everything_else_stays(
            words in words(),
            replacement in prop_oneof![Just(Replacement::Mask), Just(Replacement::Hash), Just(Replacement::Nothing)],
        ) {
            let (mut text, mut secrets) = (String::new(), Vec::new());
            for (word, found) in &words {
                text.push_str(" ; ");
                if *found {
                    secrets.push(text.len()..text.len() + word.len());
                }
                text.push_str(word);
            }
            text.push_str(" ;");
            let redactor = redactor(replacement);
            let found = redactor.finder.find(&text, Vec::new());
            let ranges: Vec<_> = found.iter().map(|found| found.bytes.clone()).collect();
            prop_assert_eq!(&ranges, &secrets);
            let replacements = redactor.replacements(&text, Vec::new(), &mut Counts::new());
            let parts = vec![Element::new(ElementKind::Paragraph, 0..text.len(), None)];
            let mut elements = one_document(&text, parts, json!({}));
            let Elements::Documents(documents) = &mut elements else { unreachable!() };
            document(&mut documents[0], &redactor, &Entities { keys: &[], file: &Map::new() }, &mut Counts::new());
            let (redacted, edits) = (&documents[0].document.text, &documents[0].edits);
            // Walks both texts at once.
            let (mut from, mut to) = (0, 0);
            for (range, replaced) in &replacements {
                let same = range.start - from;
                prop_assert_eq!(&redacted[to..to + same], &text[from..range.start]);
                prop_assert_eq!(edits.source(to as u64..(to + same) as u64), from as u64..range.start as u64);
                (from, to) = (range.end, to + same);
                prop_assert_eq!(&redacted[to..to + replaced.len()], replaced.as_str());
                if !replaced.is_empty() {
                    let source = edits.source(to as u64..(to + replaced.len()) as u64);
                    prop_assert_eq!(source, range.start as u64..range.end as u64);
                }
                to += replaced.len();
            }
            prop_assert_eq!(&redacted[to..], &text[from..]);
            prop_assert_eq!(documents[0].document.elements[0].end, redacted.len());
        }
    }
}
