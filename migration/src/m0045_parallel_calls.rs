//! Jobs that make several calls of a connection at the same time.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0045_parallel_calls",
    up: r"
        -- Calls that the job makes at the same time, at most.
        alter table connection_call add column calls integer not null default 1;
    ",
    down: r"
        alter table connection_call drop column calls;
    ",
};
