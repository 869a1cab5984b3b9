//! An index of failed items, for retries over all runs of a workspace.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0037_failed_items",
    up: r"
        create index run_item_failed on run_item (workspace_id, id) where state = 'failed';
    ",
    down: "drop index run_item_failed;",
};
