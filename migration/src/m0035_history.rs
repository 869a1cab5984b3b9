//! The past of collections: results that others have replaced, kept for a time or for named snapshots.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0035_history",
    up: r"
        alter table target
            -- When it became live, and when others replaced it: a search of the past reads it from the one to the other. A
            -- target that is replaced and not kept is deleted.
            -- The default is for workers of the version before, which set no time.
            add column published_at timestamptz default now(),
            add column superseded_at timestamptz,
            add constraint target_superseded_check check (
                superseded_at is null or not live and published_at is not null and superseded_at >= published_at);
        -- Nothing was kept until now, so any time before now is as good as the true one. No count changes.
        alter table target disable trigger target_changed;
        update target set published_at = created_at where live;
        alter table target enable trigger target_changed;
        create index target_superseded on target (workspace_id, collection_id, superseded_at) where superseded_at is not null;
        -- No item has a superseded target either.
        drop index target_abandoned;
        create index target_abandoned on target (id) where not live and item_id is null and superseded_at is null;

        alter table collection
            -- For how long it keeps superseded targets; 0: only those of snapshots.
            add column history_days integer not null default 0 check (history_days between 0 and 3650),
            -- Nothing that was live from then on is missing, as far as `history_days` reach back.
            add column history_since timestamptz,
            add constraint collection_history_check check ((history_days > 0) = (history_since is not null));

        -- A time with a name. The targets that were live then are kept.
        create table snapshot (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            name text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
            description text not null default '' check (char_length(description) <= 1000),
            at timestamptz not null,
            created_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, name)
        );
        create index snapshot_by_time on snapshot (workspace_id, at);
    ",
    down: r"
        drop table snapshot;
        alter table collection drop column history_days, drop column history_since;
        -- The worker deletes them as those of deleted pipelines.
        drop index target_superseded;
        drop index target_abandoned;
        create index target_abandoned on target (id) where not live and item_id is null;
        alter table target drop column published_at, drop column superseded_at;
    ",
};
