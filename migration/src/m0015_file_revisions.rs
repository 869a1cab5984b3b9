//! Revisions of files.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0015_file_revisions",
    up: r"
        -- Raised by every change of name, tags, metadata or newest version; the progress of indexing does not raise it.
        alter table file add column revision integer not null default 1;
    ",
    down: r"
        alter table file drop column revision;
    ",
};
