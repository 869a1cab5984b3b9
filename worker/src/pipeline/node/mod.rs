//! The behaviours of nodes, one file for each type: `Behaviour` of the type's settings. A new type is a file in
//! `shared::pipeline::node`, a file here, and a line in [`instantiate`].

mod branches;
mod check;
mod chunk_characters;
mod chunk_page;
mod chunk_section;
mod chunk_similarity;
mod chunking;
mod convert_table;
mod deduplicate;
mod element_json;
mod embed;
mod embedding;
mod evaluation;
mod extract_keywords;
mod filter;
mod http;
mod items;
mod keywords;
mod language;
mod language_detection;
mod map;
mod media_type;
mod metadata;
mod minhash;
mod partition;
mod redact;
mod sink_collection;
mod sink_file;
mod sink_webhook;
mod source_files;
mod source_search;
mod storing;
mod switch_category;
mod switch_language;
mod switch_when;
mod unpack;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use nvisy_shared::pipeline::node::Settings;

use super::contract::Behaviour;

/// The behaviour of a node.
#[must_use]
pub fn instantiate(settings: &Settings) -> Box<dyn Behaviour> {
    match settings.clone() {
        Settings::SourceFiles(settings) => Box::new(settings),
        Settings::SourceSearch(settings) => Box::new(settings),
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
        Settings::SwitchCategory(settings) => Box::new(settings),
        Settings::SwitchLanguage(settings) => Box::new(settings),
        Settings::SwitchWhen(settings) => Box::new(settings),
        Settings::SinkCollection(settings) => Box::new(settings),
        Settings::SinkFile(settings) => Box::new(settings),
        Settings::SinkWebhook(settings) => Box::new(settings),
    }
}
