//! How much a workspace may use.

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Files.
    Files,
    /// Bytes of all versions of all files.
    Bytes,
    /// Chunks.
    Chunks,
    /// Runs that are not finished.
    Runs,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Files, Self::Bytes, Self::Chunks, Self::Runs];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Bytes => "bytes",
            Self::Chunks => "chunks",
            Self::Runs => "runs",
        }
    }
}

/// A number for each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the resources")]
pub struct Amounts {
    pub files: i64,
    pub bytes: i64,
    pub chunks: i64,
    pub runs: i64,
}

impl Amounts {
    /// Of one resource.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> i64 {
        match resource {
            Resource::Files => self.files,
            Resource::Bytes => self.bytes,
            Resource::Chunks => self.chunks,
            Resource::Runs => self.runs,
        }
    }

    /// The resources of which this is more than `limits`.
    pub fn above(&self, limits: &Self) -> impl Iterator<Item = Resource> {
        Resource::ALL.into_iter().filter(|resource| self.of(*resource) > limits.of(*resource))
    }
}
