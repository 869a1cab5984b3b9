//! Synchronisation of files with the systems behind connections.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0021_sync",
    up: r"
        alter table run
            -- Whether its sources list connections; the run of a selection of files does not.
            add column syncs boolean not null default false,
            -- A dry run counts what would change, and writes nothing.
            add column dry_run boolean not null default false,
            -- Objects of its listings that are not fetched yet.
            add column objects_pending integer not null default 0,
            add column objects_seen bigint not null default 0,
            add column objects_new bigint not null default 0,
            add column objects_changed bigint not null default 0,
            add column objects_unchanged bigint not null default 0,
            add column objects_deleted bigint not null default 0,
            add column objects_failed bigint not null default 0;
        -- One sync of a pipeline at a time.
        create unique index run_sync on run (workspace_id, pipeline_id) where syncs and finished_at is null;

        alter table file
            -- Who may read it at its source, as the source says it. Nothing enforces it.
            add column acl jsonb,
            -- When a sync found that its source has deleted it.
            add column source_deleted_at timestamptz;

        -- An object that a node of a pipeline has seen in the system behind a connection.
        create table source_object (
            workspace_id uuid not null,
            pipeline_id uuid not null,
            node text not null,
            external_id text not null,
            connection_id uuid not null,
            -- Of the content that the file has; null: none was fetched yet.
            revision text,
            file_id uuid,
            -- The run whose listing named it last.
            seen_run_id uuid not null,
            -- As it was listed, until it is fetched.
            pending jsonb,
            -- The job that fetches it has this batch.
            batch_id uuid,
            -- Why the last fetch failed.
            failure_code text,
            failure_detail text,
            -- When a complete listing did not name it any more.
            deleted_at timestamptz,
            primary key (workspace_id, pipeline_id, node, external_id),
            foreign key (workspace_id, pipeline_id) references pipeline (workspace_id, id) on delete cascade,
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete set null (file_id)
        ) with (fillfactor = 60);
        create index source_object_by_batch on source_object (batch_id) where batch_id is not null;
        create index source_object_by_file on source_object (workspace_id, file_id) where file_id is not null;
        create index source_object_by_failure on source_object (workspace_id, pipeline_id, node, external_id)
            where failure_code is not null;

        -- Where the next incremental listing of a node begins.
        create table source_cursor (
            workspace_id uuid not null,
            pipeline_id uuid not null,
            node text not null,
            connection_id uuid not null,
            cursor jsonb not null,
            primary key (workspace_id, pipeline_id, node),
            foreign key (workspace_id, pipeline_id) references pipeline (workspace_id, id) on delete cascade
        );

        -- A question to a connection that a worker answers: its streams, or its first objects.
        create table connection_query (
            workspace_id uuid not null,
            id uuid not null,
            connection_id uuid not null,
            -- The question.
            query jsonb not null,
            -- The answer, or why there is none; both null: no worker has answered yet.
            answer jsonb,
            failure text,
            created_at timestamptz not null default now(),
            primary key (workspace_id, id),
            foreign key (workspace_id, connection_id) references connection (workspace_id, id) on delete cascade
        );
        create index connection_query_by_connection on connection_query (workspace_id, connection_id);
    ",
    down: r"
        delete from job where kind in ('source.sync', 'source.fetch', 'connection.query');
        drop table connection_query, source_cursor, source_object;
        alter table file drop column source_deleted_at, drop column acl;
        drop index run_sync;
        alter table run
            drop column objects_failed, drop column objects_deleted, drop column objects_unchanged, drop column objects_changed,
            drop column objects_new, drop column objects_seen, drop column objects_pending, drop column dry_run, drop column syncs;
    ",
};
