//! Work that one worker does for all.

crate::migration! {
    "m0028_chores",
    up: r"
        create table chore (
            name text primary key,
            -- When it is to be done next; while a worker is at it, when that worker has been silent for too long.
            due_at timestamptz not null
        );
    ",
    down: "drop table chore;",
}
