//! The past of collections: its limits.

/// Maximum number of days for which a collection keeps what new results replace.
pub const MAX_HISTORY_DAYS: i32 = 3_650;
/// Maximum number of snapshots of a workspace.
pub const MAX_SNAPSHOTS: u64 = 100;
