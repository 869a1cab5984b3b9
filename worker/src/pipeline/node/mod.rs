//! The behaviours of nodes, one file for each type: `Behaviour` of the type's settings. A new type is a file in
//! `shared::pipeline::node`, a file here, and a line in [`instantiate`].

mod branches;
mod check;
mod chunk_characters;
mod chunk_page;
mod chunk_section;
mod chunk_similarity;
mod chunking;
mod embed;
mod embedding;
mod evaluation;
mod filter;
mod language;
mod language_detection;
mod map;
mod media_type;
mod partition;
mod sink_collection;
mod sink_file;
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
pub(super) fn instantiate(settings: &Settings) -> Box<dyn Behaviour> {
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
        Settings::MapValues(settings) => Box::new(settings),
        Settings::Filter(settings) => Box::new(settings),
        Settings::Check(settings) => Box::new(settings),
        Settings::SwitchCategory(settings) => Box::new(settings),
        Settings::SwitchLanguage(settings) => Box::new(settings),
        Settings::SwitchWhen(settings) => Box::new(settings),
        Settings::SinkCollection(settings) => Box::new(settings),
        Settings::SinkFile(settings) => Box::new(settings),
    }
}
