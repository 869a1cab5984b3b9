//! Roles and permissions in a workspace.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// A member's role. Each role has the permissions of those before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read and search.
    Guest,
    /// May also add and delete files.
    Member,
    /// May also manage members and settings.
    Admin,
    /// May also transfer and delete the workspace.
    Owner,
}

impl Role {
    /// All roles, the lowest first.
    pub const ALL: [Self; 4] = [Self::Guest, Self::Member, Self::Admin, Self::Owner];

    /// The identifier in the API and the database.
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

/// One line for each permission: variant, identifier, lowest role that has it, and a description. It calls a macro with these
/// lines, so that the API can define a type for each permission.
#[macro_export]
macro_rules! permissions {
    ($with:ident) => {
        $with! {
            ReadWorkspace "workspace.read" Guest "See the workspace and its settings";
            LeaveWorkspace "workspace.leave" Guest "Leave the workspace";
            ReadFiles "files.read" Guest "See files, their content, chunks and progress, and follow events";
            Search "search" Guest "Search";
            ReadPipelines "pipelines.read" Guest "See pipelines and their versions, plans and differences, and runs; validate definitions";
            ReadCollections "collections.read" Guest "See collections, their models and their usage, and snapshots";
            ReadEvaluations "evaluations.read" Guest "See judged queries and evaluations";
            ReadConnections "connections.read" Member "See connections to other systems, and what they cost; never their credentials";
            WriteFiles "files.write" Member "Upload, change and delete files";
            WriteCollections "collections.write" Member "Create, change and delete collections and snapshots, and disable and edit chunks";
            WriteEvaluations "evaluations.write" Member "Import and delete judged queries, judge hits, and run evaluations";
            ReadMembers "members.read" Member "See who belongs to the workspace, with e-mail addresses";
            ReadUsage "usage.read" Member "See how much the workspace uses, and how much it may";
            UpdateWorkspace "workspace.update" Admin "Change name, slug and settings";
            ManageMembers "members.manage" Admin "Change roles up to one's own, remove members up to one's own role";
            ManageInvites "invites.manage" Admin "See, make and cancel invites, for roles up to one's own";
            WritePipelines "pipelines.write" Admin "Create, change and delete pipelines; start, cancel and repeat runs";
            WriteConnections "connections.write" Admin "Create, check, change and delete connections";
            ReadActivities "activities.read" Admin "Read and export the activity log";
            TransferWorkspace "workspace.transfer" Owner "Hand the workspace over to another member";
            DeleteWorkspace "workspace.delete" Owner "Delete the workspace with all it holds";
        }
    };
}

macro_rules! list {
    ($($permission:ident $name:literal $role:ident $text:literal;)+) => {
        /// A permission. An operation names the permission that it requires in its argument type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
        pub enum Permission {
            $(#[doc = $text] $permission,)+
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &[Self] = &[$(Self::$permission,)+];

            /// The identifier; never renamed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$permission => $name,)+
                }
            }

            /// A description of what it allows.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$permission => $text,)+
                }
            }

            /// The lowest role that has this permission.
            #[must_use]
            pub const fn lowest_role(self) -> Role {
                match self {
                    $(Self::$permission => Role::$role,)+
                }
            }
        }
    };
}

permissions!(list);

/// The table of roles and permissions in Markdown, as in `docs/PERMISSIONS.md`.
#[must_use]
pub fn markdown_table() -> String {
    let mut table = format!("| permission | allows | {} |\n|---|---|", Role::ALL.map(Role::name).join(" | "));
    table.push_str(&"---|".repeat(Role::ALL.len()));
    table.push('\n');
    for permission in Permission::ALL {
        let marks = Role::ALL.map(|role| if role >= permission.lowest_role() { "yes" } else { "" });
        table.push_str(&format!(
            "| `{}` | {} | {} |\n",
            permission.name(),
            permission.description(),
            marks.join(" | ")
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn permission_names_are_unique() {
        let names: BTreeSet<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
        assert_eq!(names.len(), Permission::ALL.len());
    }

    #[test]
    fn documentation_contains_the_permission_table() {
        let documentation = include_str!("../../../docs/PERMISSIONS.md");
        assert!(
            documentation.contains(&markdown_table()),
            "docs/PERMISSIONS.md must contain this table:\n{}",
            markdown_table()
        );
    }
}
