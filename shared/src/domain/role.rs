//! Who may do what in a workspace.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// A member's role; each includes the ones before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and searches.
    Guest,
    /// Adds and deletes files.
    Member,
    /// Manages people and settings.
    Admin,
    /// Owns the workspace.
    Owner,
}

impl Role {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Guest, Self::Member, Self::Admin, Self::Owner];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// One line for each permission: its name for programs, the least role that has it, what it allows. Calls a macro with
/// the names, so that the API makes a type of each.
#[macro_export]
macro_rules! permissions {
    ($with:ident) => {
        $with! {
            ReadWorkspace "workspace.read" Guest "See the workspace and its settings";
            LeaveWorkspace "workspace.leave" Guest "Leave the workspace";
            ReadFiles "files.read" Guest "See files, their content and progress, and follow events";
            Search "search" Guest "Search";
            WriteFiles "files.write" Member "Upload and delete files";
            ReadMembers "members.read" Member "See who belongs to the workspace, with e-mail addresses";
            ReadUsage "usage.read" Member "See how much the workspace uses, and how much it may";
            UpdateWorkspace "workspace.update" Admin "Change name, slug and settings";
            ManageMembers "members.manage" Admin "Change roles up to one's own, remove members up to one's own role";
            ManageInvites "invites.manage" Admin "See, make and cancel invites, for roles up to one's own";
            ReadActivities "activities.read" Admin "Read and export the activity log";
            TransferWorkspace "workspace.transfer" Owner "Hand the workspace over to another member";
            DeleteWorkspace "workspace.delete" Owner "Delete the workspace with all it holds";
        }
    };
}

macro_rules! list {
    ($($permission:ident $name:literal $role:ident $text:literal;)+) => {
        /// What can be allowed or not. A closed list: an operation names the one it needs in its argument type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
        pub enum Permission {
            $(#[doc = $text] $permission,)+
        }

        impl Permission {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$permission,)+];

            /// Its name for programs; never renamed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$permission => $name,)+
                }
            }

            /// What it allows.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$permission => $text,)+
                }
            }

            /// The least role that has this permission.
            #[must_use]
            pub const fn least_role(self) -> Role {
                match self {
                    $(Self::$permission => Role::$role,)+
                }
            }
        }
    };
}

permissions!(list);

/// The table of roles and permissions, in Markdown: what `docs/PERMISSIONS.md` shows.
#[must_use]
pub fn table() -> String {
    let mut table = format!("| permission | allows | {} |\n|---|---|", Role::ALL.map(Role::name).join(" | "));
    table.push_str(&"---|".repeat(Role::ALL.len()));
    table.push('\n');
    for permission in Permission::ALL {
        let marks = Role::ALL.map(|role| if role >= permission.least_role() { "yes" } else { "" });
        table.push_str(&format!("| `{}` | {} | {} |\n", permission.name(), permission.text(), marks.join(" | ")));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_permission_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
        assert_eq!(names.len(), Permission::ALL.len());
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let documentation = include_str!("../../../docs/PERMISSIONS.md");
        assert!(documentation.contains(&table()), "docs/PERMISSIONS.md must contain this table:\n{}", table());
    }
}
