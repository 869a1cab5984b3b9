//! Pipelines and their runs.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0006_pipelines",
    up: r"
        create table pipeline (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            name text not null check (char_length(name) between 1 and 100),
            -- The pipeline that the workspace was created with.
            builtin boolean not null default false,
            state text not null default 'draft' check (state in ('draft', 'enabled', 'disabled')),
            -- The newest definition.
            version integer not null default 1,
            -- Counts the changes of the row.
            revision integer not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, name)
        );

        -- Never updated: a run refers to the definition that it was compiled from.
        create table pipeline_version (
            workspace_id uuid not null,
            pipeline_id uuid not null,
            number integer not null check (number >= 1),
            definition jsonb not null,
            created_at timestamptz not null default now(),
            primary key (workspace_id, pipeline_id, number),
            foreign key (workspace_id, pipeline_id) references pipeline (workspace_id, id) on delete cascade
        );

        create table run (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            pipeline_id uuid not null,
            pipeline_version integer not null,
            state text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed')),
            created_at timestamptz not null default now(),
            finished_at timestamptz,
            primary key (workspace_id, id),
            foreign key (workspace_id, pipeline_id, pipeline_version)
                references pipeline_version (workspace_id, pipeline_id, number) on delete cascade
        );

        -- One file version in one run.
        create table run_item (
            workspace_id uuid not null,
            id uuid not null,
            run_id uuid not null,
            file_id uuid not null,
            version_id uuid not null,
            state text not null default 'queued' check (state in ('queued', 'processing', 'ready', 'failed')),
            -- The current node, how many of its units are committed, and of how many.
            stage text not null,
            done integer not null default 0 check (done >= 0),
            total integer check (total >= 0),
            failure_code text,
            failure_detail text,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            foreign key (workspace_id, run_id) references run (workspace_id, id) on delete cascade,
            foreign key (workspace_id, file_id, version_id)
                references file_version (workspace_id, file_id, id) on delete cascade,
            check (done <= coalesce(total, done))
        );
        create index run_item_by_run on run_item (workspace_id, run_id);
        create index run_item_by_version on run_item (workspace_id, version_id, id);
    ",
    down: "drop table run_item, run, pipeline_version, pipeline;",
};
