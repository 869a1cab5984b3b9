//! What runs were computed with, so that the API can tell which results are stale.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0016_staleness",
    up: r"
        -- The code versions of the node types of the definition, by type, when the run was started.
        alter table run add column code_versions jsonb;
        -- Pipelines of one run, which the worker deletes some time after it.
        create index pipeline_inline on pipeline (workspace_id, id) where inline;
    ",
    down: r"
        drop index pipeline_inline;
        alter table run drop column code_versions;
    ",
};
