//! The behaviours of nodes, one file for each type: `Behaviour` of the type's settings. A new type is a file in
//! `shared::pipeline::node`, a file here, and a line in [`instantiate`].

mod branches;
mod check;
mod chunk_characters;
mod chunk_page;
mod chunk_section;
mod chunk_similarity;
mod chunking;
mod classify;
mod contextualize;
mod convert_table;
mod deduplicate;
mod element_json;
mod embed;
mod enrich_image;
mod enrich_table;
mod evaluation;
mod extract_entities;
mod extract_json;
mod extract_keywords;
mod filter;
mod found_text;
mod http;
mod items;
mod keywords;
mod language;
mod language_detection;
mod map;
mod markdown;
mod metadata;
mod minhash;
mod partition;
mod prompt;
mod prompting;
mod redact;
mod relations;
mod sentiment;
mod sink_collection;
mod sink_connection;
mod sink_file;
mod sink_objects;
mod sink_rows;
mod sink_webhook;
mod source_connection;
mod source_files;
mod source_search;
mod storing;
mod summarize;
mod switch_category;
mod switch_language;
mod switch_when;
mod title;
mod unpack;
pub(super) mod windows;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use nvisy_shared::pipeline::node::Settings;

use super::contract::ErasedBehaviour;

/// The behaviour of a node.
#[must_use]
pub fn instantiate(settings: &Settings) -> Box<dyn ErasedBehaviour> {
    match settings.clone() {
        Settings::SourceFiles(settings) => Box::new(settings),
        Settings::SourceSearch(settings) => Box::new(settings),
        Settings::SourceConnection(settings) => Box::new(settings),
        Settings::Partition(settings) => Box::new(settings),
        Settings::Unpack(settings) => Box::new(settings),
        Settings::ChunkCharacters(settings) => Box::new(settings),
        Settings::ChunkPage(settings) => Box::new(settings),
        Settings::ChunkSection(settings) => Box::new(settings),
        Settings::ChunkSimilarity(settings) => Box::new(settings),
        Settings::Embed(settings) => Box::new(settings),
        Settings::Language(settings) => Box::new(settings),
        Settings::ExtractKeywords(settings) => Box::new(settings),
        Settings::Redact(settings) => Box::new(settings),
        Settings::Deduplicate(settings) => Box::new(settings),
        Settings::MapValues(settings) => Box::new(settings),
        Settings::Filter(settings) => Box::new(settings),
        Settings::ConvertTable(settings) => Box::new(settings),
        Settings::Http(settings) => Box::new(settings),
        Settings::Check(settings) => Box::new(settings),
        Settings::ExtractJson(settings) => Box::new(settings),
        Settings::ExtractEntities(settings) => Box::new(settings),
        Settings::Classify(settings) => Box::new(settings),
        Settings::Sentiment(settings) => Box::new(settings),
        Settings::Relations(settings) => Box::new(settings),
        Settings::Summarize(settings) => Box::new(settings),
        Settings::Title(settings) => Box::new(settings),
        Settings::Contextualize(settings) => Box::new(settings),
        Settings::EnrichTable(settings) => Box::new(settings),
        Settings::EnrichImage(settings) => Box::new(settings),
        Settings::SwitchCategory(settings) => Box::new(settings),
        Settings::SwitchLanguage(settings) => Box::new(settings),
        Settings::SwitchWhen(settings) => Box::new(settings),
        Settings::SinkCollection(settings) => Box::new(settings),
        Settings::SinkConnection(settings) => Box::new(settings),
        Settings::SinkFile(settings) => Box::new(settings),
        Settings::SinkWebhook(settings) => Box::new(settings),
    }
}
