//! Parts of files that were not read, in the logs of items.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0029_incomplete_files",
    up: r"
        -- The failure that an entry is about, and the member of the item's file that has it.
        alter table run_item_log
            add column code text,
            add column path text;
    ",
    down: r"
        alter table run_item_log drop column code, drop column path;
    ",
};
