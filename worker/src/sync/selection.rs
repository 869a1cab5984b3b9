//! Which objects of a listing are wanted.

use globset::{GlobSet, GlobSetBuilder};
use nvisy_shared::pipeline::node::source_connection::{SourceConnection, glob};

use crate::{connectors::ListedObject, runner::JobError};

/// The patterns of a source.
pub(crate) struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
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
        Ok(Self { include, exclude: set(&settings.exclude)? })
    }

    /// Whether an object is wanted.
    pub(crate) fn takes(&self, object: &ListedObject) -> bool {
        let path = object.name.as_str();
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }
}
