//! Node types, one file each: settings, ports, limits, borders. A new type is a file here and a line in `nodes!`, and a file
//! and a line in the worker.

pub mod check;
pub mod chunk_characters;
pub mod chunk_page;
pub mod chunk_section;
pub mod chunk_similarity;
pub mod classify;
pub mod contextualize;
pub mod convert_table;
pub mod deduplicate;
pub mod embed;
pub mod enrich_image;
pub mod enrich_table;
pub mod extract_entities;
pub mod extract_json;
pub mod extract_keywords;
pub mod filter;
pub mod http;
pub mod language;
pub mod map;
mod metadata_key;
mod model_options;
pub mod partition;
pub mod redact;
pub mod relations;
pub mod sentiment;
pub mod service;
pub mod sink_collection;
pub mod sink_connection;
pub mod sink_file;
pub mod sink_webhook;
pub mod source_connection;
pub mod source_files;
pub mod source_search;
mod spec;
pub mod summarize;
pub mod switch_category;
pub mod switch_language;
pub mod switch_when;
pub mod title;
pub mod unpack;

use json_schema::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value};

pub use self::model_options::{ModelCall, ResultKind};
pub use self::spec::{Cost, Group, NodeSpec};
use super::{
    options::NodeOptions,
    port::{Border, Ports},
    problem::NodeProblems,
};
use crate::{domain::job::Lane, id::ConnectionId};

/// A node type, described for editors.
#[derive(Clone, Debug)]
pub struct NodeType {
    /// The name in definitions.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// One sentence for people.
    pub description: &'static str,
    /// The group.
    pub group: Group,
    /// The main cost.
    pub cost: Cost,
    /// Raised when the same input and settings give another output.
    pub code_version: u32,
    /// The common options where a definition sets none.
    pub defaults: NodeOptions,
    /// Valid settings with a value for every field.
    pub example: Settings,
    /// The JSON Schema of the settings.
    pub schema: Schema,
}

impl NodeType {
    fn of<T: NodeSpec>(wrap: impl Fn(T) -> Settings) -> Self {
        let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        Self {
            name: T::TYPE,
            title: T::TITLE,
            description: T::DESCRIPTION,
            group: T::GROUP,
            cost: T::COST,
            code_version: T::CODE_VERSION,
            defaults: T::default_options(),
            example: wrap(T::example()),
            schema: generator.into_generator().into_root_schema_for::<T>(),
        }
    }

    /// The names of the settings.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, _)| name.as_str())
    }
}

/// The error of the settings that types with a model share; `None`: none of them is at fault.
pub(super) fn model_call_error(settings: &Map<String, Value>) -> Option<ReadError> {
    let read = serde_path_to_error::deserialize::<_, model_options::ModelCall>(Value::Object(settings.clone()));
    read.err().filter(|error| error.path().to_string() != ".")
}

macro_rules! nodes {
    ($($variant:ident $module:ident;)+) => {
        /// The settings of a node, which determine its type.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "named as the node types")]
        pub enum Settings {
            $($variant($module::$variant),)+
        }

        impl Settings {
            /// Reads settings of a type from JSON; `None`: no type has this name.
            #[must_use]
            pub fn read(kind: &str, settings: Map<String, Value>) -> Option<Result<Self, ReadError>> {
                let settings = Value::Object(settings);
                Some(match kind {
                    $($module::$variant::TYPE => serde_path_to_error::deserialize(settings).map(Self::$variant),)+
                    _ => return None,
                })
            }

            /// The name of the type.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $module::$variant::TYPE,)+
                }
            }

            /// The code version of the type.
            #[must_use]
            pub const fn code_version(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => $module::$variant::CODE_VERSION,)+
                }
            }

            /// Whether the output is kept and found by its content key.
            #[must_use]
            pub const fn keeps_output(&self) -> bool {
                match self {
                    $(Self::$variant(_) => $module::$variant::KEEPS_OUTPUT,)+
                }
            }

            /// Whether the output depends on properties of the file, besides the input.
            #[must_use]
            pub const fn reads_file(&self) -> bool {
                match self {
                    $(Self::$variant(_) => $module::$variant::READS_FILE,)+
                }
            }

            /// Whether the node takes all elements of an item at once.
            #[must_use]
            pub const fn needs_whole(&self) -> bool {
                match self {
                    $(Self::$variant(_) => $module::$variant::NEEDS_WHOLE,)+
                }
            }

            /// Whether another run computes the output again, though the input is the same.
            #[must_use]
            pub fn reads_run(&self) -> bool {
                match self {
                    $(Self::$variant(settings) => settings.reads_run(),)+
                }
            }

            /// Whether the output depends on the embedding model.
            #[must_use]
            pub const fn reads_model(&self) -> bool {
                match self {
                    $(Self::$variant(_) => $module::$variant::READS_MODEL,)+
                }
            }

            /// The connection that the node calls.
            #[must_use]
            pub fn connection(&self) -> Option<ConnectionId> {
                match self {
                    $(Self::$variant(settings) => settings.connection(),)+
                }
            }

            /// The ports.
            #[must_use]
            pub fn ports(&self) -> Ports {
                match self {
                    $(Self::$variant(settings) => settings.ports(),)+
                }
            }

            /// Adds all problems of the settings.
            pub fn validate(&self, problems: &mut NodeProblems<'_>) {
                match self {
                    $(Self::$variant(settings) => settings.validate(problems),)+
                }
            }

            /// The border before the node.
            #[must_use]
            pub fn border(&self) -> Option<Border> {
                match self {
                    $(Self::$variant(settings) => settings.border(),)+
                }
            }

            /// The resource that the node mainly uses.
            #[must_use]
            pub fn lane(&self) -> Lane {
                match self {
                    $(Self::$variant(settings) => settings.lane(),)+
                }
            }

            /// The common options where a definition sets none.
            #[must_use]
            pub fn default_options(&self) -> NodeOptions {
                match self {
                    $(Self::$variant(_) => <$module::$variant as NodeSpec>::default_options(),)+
                }
            }

            /// The settings as JSON, with defaults for absent ones.
            #[must_use]
            pub fn to_json(&self) -> Value {
                let json = match self {
                    $(Self::$variant(settings) => serde_json::to_value(settings),)+
                };
                json.unwrap_or_default()
            }
        }

        /// The names of all node types, in the order of the documentation.
        pub const NAMES: &[&str] = &[$($module::$variant::TYPE,)+];

        /// All node types, in the order of the documentation.
        #[must_use]
        pub fn node_types() -> Vec<NodeType> {
            vec![$(NodeType::of(Settings::$variant),)+]
        }
    };
}

/// Why settings cannot be read, with the path of the field.
pub type ReadError = serde_path_to_error::Error<serde_json::Error>;

nodes! {
    SourceFiles source_files;
    SourceSearch source_search;
    SourceConnection source_connection;
    Partition partition;
    Unpack unpack;
    ChunkCharacters chunk_characters;
    ChunkPage chunk_page;
    ChunkSection chunk_section;
    ChunkSimilarity chunk_similarity;
    Embed embed;
    Language language;
    ExtractKeywords extract_keywords;
    Redact redact;
    Deduplicate deduplicate;
    MapValues map;
    Filter filter;
    ConvertTable convert_table;
    Http http;
    Check check;
    ExtractJson extract_json;
    ExtractEntities extract_entities;
    Classify classify;
    Sentiment sentiment;
    Relations relations;
    Summarize summarize;
    Title title;
    Contextualize contextualize;
    EnrichTable enrich_table;
    EnrichImage enrich_image;
    SwitchCategory switch_category;
    SwitchLanguage switch_language;
    SwitchWhen switch_when;
    SinkCollection sink_collection;
    SinkConnection sink_connection;
    SinkFile sink_file;
    SinkWebhook sink_webhook;
}
