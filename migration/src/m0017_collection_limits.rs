//! The maximum number of chunks of a collection.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0017_collection_limits",
    up: r"
        -- Null: only the quota of the workspace counts.
        alter table collection add column max_chunks bigint check (max_chunks >= 0);
    ",
    down: r"
        alter table collection drop column max_chunks;
    ",
};
