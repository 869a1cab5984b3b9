//! The events of each workspace, in order.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0010_events",
    up: r"
        create table event_counter (
            workspace_id uuid primary key references workspace on delete cascade,
            -- The last number assigned. Assigning one locks the row until commit: numbers become visible in order and
            -- without gaps.
            last bigint not null default 0,
            -- The last number deleted: a listener that needs an earlier event gets an error instead of a gap.
            deleted_through bigint not null default 0
        );

        create table event (
            workspace_id uuid not null references workspace on delete cascade,
            seq bigint not null,
            id uuid not null,
            type text not null,
            subject_id uuid not null,
            data jsonb not null,
            created_at timestamptz not null default now(),
            published boolean not null default false,
            primary key (workspace_id, seq)
        );
        create index event_unpublished on event (workspace_id, seq) where not published;

        create trigger event_added after insert on event for each statement execute function notify_outbox('event');
    ",
    down: "drop table event, event_counter;",
};
