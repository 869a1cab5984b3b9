//! Detection of work that PostgreSQL has lost: the fence of jobs, and an index of the runs that go on.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0040_lost_work",
    up: r"
        -- A random number of the claim, and in the lowest 20 bits the number of writes that its holder has made. No index has it,
        -- so that an update of it alone writes no index.
        alter table job add column fence bigint not null default 0;

        -- Maintenance reads the runs that go on, and not those that have ended.
        create index run_open on run (workspace_id, id) where finished_at is null;
    ",
    down: r"
        drop index run_open;
        alter table job drop column fence;
    ",
};
