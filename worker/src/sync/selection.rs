//! Which objects of a listing are wanted.

use globset::{GlobSet, GlobSetBuilder};
use nvisy_shared::pipeline::node::source_connection::{SourceConnection, glob, has_media_type};

use crate::{connectors::ListedObject, media_type, runner::JobError};

/// The patterns and media types of a source.
pub(crate) struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
    media_types: Vec<String>,
}

impl Selection {
    /// The patterns of these settings, which the validation of the node has checked.
    pub(crate) fn new(settings: &SourceConnection) -> Result<Self, JobError> {
        let set = |patterns: &[String]| {
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                set.add(glob(pattern).map_err(JobError::retry("a pattern of the source cannot be used"))?);
            }
            set.build().map_err(JobError::retry("the patterns of the source cannot be used"))
        };
        let include = if settings.include.is_empty() { None } else { Some(set(&settings.include)?) };
        Ok(Self { include, exclude: set(&settings.exclude)?, media_types: settings.media_types.clone() })
    }

    /// Whether an object is wanted.
    pub(crate) fn takes(&self, object: &ListedObject) -> bool {
        let path = object.name.as_str();
        self.include.as_ref().is_none_or(|include| include.is_match(path))
            && !self.exclude.is_match(path)
            && (self.media_types.is_empty() || has_media_type(&self.media_types, media_type_of(object)))
    }
}

/// The media type that the system names, unless that says nothing; otherwise that of the extension. Empty: it is unknown.
fn media_type_of(object: &ListedObject) -> &str {
    let is_known = |named: &&str| !named.trim().is_empty() && *named != media_type::UNKNOWN;
    let by_name = media_type::by_name(&object.name);
    object.media_type.as_deref().filter(is_known).or(Some(by_name).filter(is_known)).unwrap_or_default()
}
