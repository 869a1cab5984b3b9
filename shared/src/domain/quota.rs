//! Resources that a workspace's quota limits.

/// A limited resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Files.
    Files,
    /// Bytes of all versions of all files.
    Bytes,
    /// Chunks.
    Chunks,
    /// Unfinished runs.
    Runs,
    /// Collections.
    Collections,
}

impl Resource {
    /// All resources.
    pub const ALL: [Self; 5] = [Self::Files, Self::Bytes, Self::Chunks, Self::Runs, Self::Collections];

    /// The identifier in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Bytes => "bytes",
            Self::Chunks => "chunks",
            Self::Runs => "runs",
            Self::Collections => "collections",
        }
    }
}

/// An amount of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the resources")]
pub struct Amounts {
    pub files: i64,
    pub bytes: i64,
    pub chunks: i64,
    pub runs: i64,
    pub collections: i64,
}

impl Amounts {
    /// The amount of one resource.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> i64 {
        match resource {
            Resource::Files => self.files,
            Resource::Bytes => self.bytes,
            Resource::Chunks => self.chunks,
            Resource::Runs => self.runs,
            Resource::Collections => self.collections,
        }
    }

    /// The resources whose amount exceeds `limits`.
    pub fn exceeding(&self, limits: &Self) -> impl Iterator<Item = Resource> {
        Resource::ALL.into_iter().filter(|resource| self.of(*resource) > limits.of(*resource))
    }
}
