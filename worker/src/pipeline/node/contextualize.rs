//! Model: a contextual prefix for each chunk, from its document's name, its headings and the chunks around it.

use nvisy_embed::Tokenizer;
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::node::{NodeSpec as _, contextualize::Contextualize},
};
use serde_json::{Value, json};

use super::{
    prompt::Prompt,
    prompting::{Questions, Tokens},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::{ChunkElement, Elements},
        model::AskError,
    },
    runner::JobError,
};

/// Bytes of the text around a chunk that the model reads, at first; fewer where they do not fit.
const CONTEXT_BYTES: usize = 6_000;
/// Tokens between the prefix and the text.
const SEPARATOR_TOKENS: usize = 2;

impl Behaviour for Contextualize {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let Elements::Chunks(mut chunks) = input else { return Err(wrong_input(Self::TYPE)) };
        let prompt = Prompt::new(Self::TYPE, self.model.prompt.as_deref(), &[("maxWords", self.max_words.to_string())]);
        let questions = Questions::new(schema());
        let (model, mut tokens, mut prefixes) = (call.model(), Tokens::default(), Vec::with_capacity(chunks.len()));
        for place in 0..chunks.len() {
            prefixes.push(prefix(call, (&prompt, &questions), &chunks, place, &mut tokens).await?);
        }
        let (tokenizer, max_tokens) = (model.embedder().tokenizer(), model.embedder().max_tokens());
        let mut without_room = 0;
        for (chunk, written) in chunks.iter_mut().zip(prefixes) {
            let room = max_tokens.saturating_sub(chunk.tokens as usize + SEPARATOR_TOKENS);
            let whole = match &chunk.prefix {
                // The headings, or the head of a table, that the chunker has left room for.
                Some(given) => format!("{written}\n{given}"),
                None => written,
            };
            match shorten(&tokenizer, &whole, room) {
                "" => without_room += 1,
                fitting => chunk.prefix = Some(fitting.to_owned()),
            }
        }
        let effects = (without_room > 0).then(|| Effect::Warning {
            message: format!(
                "{without_room} chunks leave no room for a prefix before {max_tokens} tokens: set `maxTokens` of the chunker"
            ),
        });
        let effects = effects.into_iter().collect();
        let (spent, saved) = (tokens.spent, tokens.saved);
        Ok(Output { effects, tokens: spent, tokens_saved: saved, ..Output::one(Elements::Chunks(chunks)) })
    }
}

fn schema() -> Value {
    json!({
        "type": "object", "properties": { "context": { "type": "string", "minLength": 1 } }, "required": ["context"],
        "additionalProperties": false,
    })
}

/// Asks for the prefix of a chunk.
async fn prefix(
    call: &Call<'_>,
    (prompt, questions): (&Prompt, &Questions),
    chunks: &[ChunkElement],
    place: usize,
    tokens: &mut Tokens,
) -> Result<String, JobError> {
    let name = call.file.content.name.as_str();
    let mut context_bytes = CONTEXT_BYTES;
    loop {
        let text = question(name, chunks, place, context_bytes);
        match questions.ask(call, prompt.with(&text), None, tokens).await {
            Ok(answer) => return Ok(one_line(&answer["context"])),
            Err(AskError::Job(error)) => return Err(error),
            Err(AskError::TooLong(_)) if context_bytes > 0 => context_bytes /= 4,
            Err(AskError::TooLong(reason)) => {
                return Err(JobError::Fail(Failure::new(FailureCode::TooLarge, reason)));
            }
        }
    }
}

/// What the model reads about a chunk: the document, the text before and behind it, and the chunk.
fn question(name: &str, chunks: &[ChunkElement], place: usize, context_bytes: usize) -> String {
    let chunk = &chunks[place];
    let document = chunk.origin.document.as_ref().and_then(|document| document.title.as_deref());
    let mut text =
        format!("Document: {}\n", document.map_or_else(|| name.to_owned(), |title| format!("{title} ({name})")));
    if !chunk.headings.is_empty() {
        text += &format!("Headings: {}\n", chunk.headings.join(" > "));
    }
    let half = context_bytes / 2;
    let first = place - reach(chunks[..place].iter().rev(), half);
    let before = joined(&chunks[first..place]);
    let before = &before[before.ceil_char_boundary(before.len().saturating_sub(half))..];
    let behind = joined(&chunks[place + 1..][..reach(chunks[place + 1..].iter(), half)]);
    let behind = &behind[..behind.floor_char_boundary(half)];
    for (title, part) in [("Before the passage", before), ("Behind the passage", behind)] {
        if !part.trim().is_empty() {
            text += &format!("\n{title}:\n{}\n", part.trim());
        }
    }
    text + "\nThe passage:\n" + &chunk.text
}

/// How many of these chunks, one after the other, are enough for so many bytes: a question about a long document must cost no more
/// than one about a short one.
fn reach<'a>(chunks: impl Iterator<Item = &'a ChunkElement>, bytes: usize) -> usize {
    let mut length = 0;
    let needed = chunks.take_while(|chunk| {
        let is_needed = length <= bytes;
        length += chunk.text.len() + 1;
        is_needed
    });
    needed.count()
}

fn joined(chunks: &[ChunkElement]) -> String {
    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    texts.join("\n")
}

fn one_line(answer: &Value) -> String {
    answer.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As many whole words of a text as have so many tokens.
fn shorten<'a>(tokenizer: &Tokenizer, text: &'a str, room: usize) -> &'a str {
    let text = text.trim();
    if tokenizer.count(text) <= room {
        return text;
    }
    let ends: Vec<usize> = text.match_indices(char::is_whitespace).map(|(end, _)| end).collect();
    let fitting = ends.partition_point(|&end| tokenizer.count(&text[..end]) <= room);
    fitting.checked_sub(1).map_or("", |last| text[..ends[last]].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str, headings: &[&str]) -> ChunkElement {
        ChunkElement {
            ordinal: 0,
            text: text.to_owned(),
            bytes: 0..text.len() as u64,
            page: None,
            place: None,
            headings: headings.iter().map(|heading| (*heading).to_owned()).collect(),
            tokens: 1,
            prefix: None,
            language: None,
            origin: std::sync::Arc::default(),
        }
    }

    #[test]
    fn question_has_the_surroundings_of_the_chunk_within_their_limit() {
        let chunks = [chunk("äöü before", &[]), chunk("It rose.", &["Tides", "2024"]), chunk("behind äöü", &[])];
        let whole = question("report.pdf", &chunks, 1, 1000);
        for part in ["report.pdf", "Tides > 2024", "äöü before", "behind äöü", "The passage:\nIt rose."] {
            assert!(whole.contains(part), "{part}: {whole}");
        }
        let short = question("report.pdf", &chunks, 1, 15);
        assert!(short.contains("before") && !short.contains('ä') && short.ends_with("It rose."), "{short}");
        assert!(!question("report.pdf", &chunks, 1, 0).contains("before"));
    }

    #[test]
    fn question_about_a_long_document_reads_the_nearest_chunks_alone() {
        let texts: Vec<String> = (10..60).map(|number| format!("passage {number}")).collect();
        let chunks: Vec<ChunkElement> = texts.iter().map(|text| chunk(text, &[])).collect();
        let whole = question("report.pdf", &chunks, 25, 100);
        assert_eq!(whole, question("report.pdf", &chunks[19..32], 6, 100));
        assert!(
            whole.contains("passage 31") && whole.contains("passage 39") && !whole.contains("passage 41"),
            "{whole}"
        );
        assert_eq!((reach(chunks.iter(), 50), reach(chunks.iter(), 0), reach(chunks.iter(), 10_000)), (5, 1, 50));
    }

    #[test]
    fn prefix_is_shortened_to_whole_words() {
        let tokenizer = Tokenizer::estimate();
        let text = "The tidal range at the northern site";
        assert_eq!(shorten(&tokenizer, text, 1000), text);
        let short = shorten(&tokenizer, text, tokenizer.count("The tidal range"));
        assert!(text.starts_with(short) && !short.is_empty() && !short.ends_with(' '), "{short}");
        assert_eq!(shorten(&tokenizer, text, 0), "");
    }
}
