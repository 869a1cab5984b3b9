//! A setting that lists folders.

use std::{
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de::Error};

use crate::id::WorkspaceId;

/// Stands for the id of the workspace in a folder.
const WORKSPACE: &str = "{workspace}";

/// Folders below which connections may read, as in `/srv/shared, /srv/tenants/{workspace}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalFolders(Vec<String>);

impl LocalFolders {
    /// The folders of a workspace.
    pub fn of(&self, workspace: WorkspaceId) -> impl Iterator<Item = PathBuf> {
        self.0.iter().map(move |folder| folder.replace(WORKSPACE, &workspace.to_string()).into())
    }

    /// Whether a path is one of the folders, or below one, as it is spelled: links are not followed.
    #[must_use]
    pub fn contains(&self, workspace: WorkspaceId, path: &Path) -> bool {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        !climbs && self.of(workspace).any(|folder| path.starts_with(folder))
    }
}

impl<'de> Deserialize<'de> for LocalFolders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for LocalFolders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let folder = |part: &str| match Path::new(part).is_absolute() && part != "/" {
            true => Ok(part.to_owned()),
            false => Err(format!("`{part}` is not an absolute path of a folder")),
        };
        parts.map(folder).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_workspace_is_closed_to_others() {
        let folders: LocalFolders = "/srv/shared, /srv/tenants/{workspace}".parse().unwrap();
        let (own, other) = (WorkspaceId::new(), WorkspaceId::new());
        let inside = |path: String| folders.contains(own, Path::new(&path));
        assert!(inside("/srv/shared/a".to_owned()) && inside(format!("/srv/tenants/{own}/docs")));
        assert!(!inside(format!("/srv/tenants/{other}")) && !inside("/srv/sharedother".to_owned()));
        assert!(!inside("/srv/shared/../../etc".to_owned()) && !inside("/etc".to_owned()));
        assert!("relative".parse::<LocalFolders>().is_err() && "/".parse::<LocalFolders>().is_err());
        assert!(!LocalFolders::default().contains(own, Path::new("/srv/shared")));
    }
}
