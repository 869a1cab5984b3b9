//! Runs of any graph: triggers, modes, item states and progress, artifacts, and jobs by run.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0014_runs",
    up: r"
        alter table pipeline
            -- Made for one run with a definition of its own; no list shows it.
            add column inline boolean not null default false,
            -- When its schedule starts the next run; null: it has none, or is not enabled.
            add column next_run_at timestamptz;
        create index pipeline_due on pipeline (next_run_at) where next_run_at is not null;
        alter table pipeline drop constraint pipeline_workspace_id_name_key;
        create unique index pipeline_name on pipeline (workspace_id, name) where not inline;

        alter table run drop constraint run_state_check;
        update run set state = 'completed_with_errors' where state = 'failed';
        alter table run
            add check (state in ('queued', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled')),
            add column trigger text not null default 'upload'
                check (trigger in ('upload', 'change', 'manual', 'schedule', 'after', 'retry', 'fork', 'backfill', 'inline', 'preview')),
            -- A preview computes everything and writes nothing.
            add column preview boolean not null default false,
            -- Jobs of the run stand behind those of others.
            add column low_priority boolean not null default false,
            -- The node from which nothing is reused, however equal the inputs are.
            add column recompute_from text,
            -- The run that this one repeats or continues.
            add column origin_run_id uuid,
            -- Which files enter; null: they were all added with the run.
            add column selection jsonb,
            -- The last file that entered; null: none yet.
            add column checkpoint jsonb,
            -- Whether every file has entered.
            add column admitted boolean not null default true,
            add column items integer not null default 0,
            add column items_open integer not null default 0,
            add column items_failed integer not null default 0,
            add column items_skipped integer not null default 0,
            add column reused bigint not null default 0,
            add column recomputed bigint not null default 0,
            add column tokens bigint not null default 0,
            add column tokens_saved bigint not null default 0,
            add column failure_code text,
            add column failure_detail text,
            add column started_by uuid references account on delete set null;
        create index run_by_pipeline on run (workspace_id, pipeline_id, id);

        alter table run_item drop constraint run_item_state_check;
        update run_item set state = case state when 'processing' then 'running' when 'ready' then 'done' else state end;
        alter table run_item
            add check (state in ('queued', 'running', 'done', 'skipped', 'failed', 'cancelled')),
            add column failure_node text,
            add column failure_attempt integer,
            -- The segment where the item enters: of its source, or behind an output whose elements are items.
            add column entry integer not null default 0,
            -- The item that this one is a member of.
            add column parent_id uuid,
            -- Progress by segment, and the artifacts of the outputs that cross borders.
            add column progress jsonb not null default '{}',
            add column reused integer not null default 0,
            add column recomputed integer not null default 0,
            add column tokens bigint not null default 0,
            add column tokens_saved bigint not null default 0,
            add column finished_at timestamptz;
        update run set items = counted.n, items_open = counted.open, items_failed = counted.failed
        from (select workspace_id, run_id, count(*) as n, count(*) filter (where state in ('queued', 'running')) as open,
                  count(*) filter (where state = 'failed') as failed from run_item group by 1, 2) counted
        where run.workspace_id = counted.workspace_id and run.id = counted.run_id;
        drop index run_item_by_run;
        create index run_item_by_run on run_item (workspace_id, run_id, state, id);

        -- What happened to an item, beyond its states.
        create table run_item_log (
            workspace_id uuid not null,
            item_id uuid not null,
            id uuid not null,
            node text,
            kind text not null,
            detail text not null,
            created_at timestamptz not null default now(),
            primary key (workspace_id, item_id, id),
            foreign key (workspace_id, item_id) references run_item (workspace_id, id) on delete cascade
        );

        -- The output of a node, addressed by its content key: what it was computed from, and how.
        create table artifact (
            workspace_id uuid not null,
            id uuid not null,
            file_id uuid not null,
            version_id uuid not null,
            key bytea not null check (octet_length(key) = 32),
            node_type text not null,
            flow text not null,
            elements integer not null default 0,
            -- Whether all parts are there; a unit adds its own.
            complete boolean not null default true,
            -- Writes that belong to the output, which are repeated when it is used again.
            effects jsonb not null default '[]',
            created_at timestamptz not null default now(),
            used_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, version_id, key),
            foreign key (workspace_id, file_id, version_id)
                references file_version (workspace_id, file_id, id) on delete cascade
        );
        create index artifact_by_key on artifact (workspace_id, key) where complete;
        create index artifact_by_use on artifact (used_at);
        create table artifact_part (
            workspace_id uuid not null,
            artifact_id uuid not null,
            -- The place of the part's first element.
            first integer not null check (first >= 0),
            elements integer not null check (elements >= 0),
            -- JSON.
            data bytea not null,
            primary key (workspace_id, artifact_id, first),
            foreign key (workspace_id, artifact_id) references artifact (workspace_id, id) on delete cascade
        );

        -- The run that a job works for: a cancelled run has no jobs.
        alter table job add column run_id uuid;
        alter table dead_job add column run_id uuid;
        create index job_by_run on job (run_id) where run_id is not null;

        -- Calls of nodes in progress, where an option limits them.
        create table node_call (
            run_id uuid not null,
            node text not null,
            job_id uuid not null references job on delete cascade,
            epoch integer not null,
            primary key (run_id, node, job_id)
        );
        create index node_call_by_job on node_call (job_id);

        -- Jobs name their segment now; items in progress begin again.
        delete from job where kind in ('run.segment', 'run.batch');
        insert into job (id, workspace_id, kind, version, lane, payload, run_id)
        select uuidv7(), workspace_id, 'run.segment', 2, 'extract', jsonb_build_object('run', run_id, 'item', id, 'segment', 0), run_id
        from run_item where state in ('queued', 'running');

        -- The type given with the upload; `media_type` becomes that of the content.
        alter table file_version add column declared_type text;
        -- The file that this one is derived from or a member of; it goes with it.
        alter table file
            add column parent_id uuid,
            add foreign key (workspace_id, parent_id) references file (workspace_id, id) on delete cascade;
        create index file_by_parent on file (workspace_id, parent_id) where parent_id is not null;
    ",
    down: r"
        alter table file drop column parent_id;
        alter table file_version drop column declared_type;
        delete from job where kind in ('run.segment', 'run.admit');
        drop index job_by_run;
        alter table job drop column run_id;
        alter table dead_job drop column run_id;
        drop table node_call, artifact_part, artifact, run_item_log;
        drop index run_item_by_run;
        create index run_item_by_run on run_item (workspace_id, run_id);
        alter table run_item drop constraint run_item_state_check;
        update run_item set state = case state when 'running' then 'processing' when 'done' then 'ready'
            when 'skipped' then 'ready' when 'cancelled' then 'ready' else state end;
        alter table run_item
            add check (state in ('queued', 'processing', 'ready', 'failed')),
            drop column failure_node, drop column failure_attempt, drop column entry, drop column parent_id,
            drop column progress, drop column reused, drop column recomputed, drop column tokens,
            drop column tokens_saved, drop column finished_at;
        drop index run_by_pipeline;
        alter table run drop constraint run_state_check;
        update run set state = case state when 'completed_with_errors' then 'failed' when 'cancelled' then 'completed' else state end;
        alter table run
            add check (state in ('queued', 'running', 'completed', 'failed')),
            drop column trigger, drop column preview, drop column low_priority, drop column recompute_from,
            drop column origin_run_id, drop column selection, drop column checkpoint, drop column admitted,
            drop column items, drop column items_open, drop column items_failed, drop column items_skipped,
            drop column reused, drop column recomputed, drop column tokens, drop column tokens_saved,
            drop column failure_code, drop column failure_detail, drop column started_by;
        delete from pipeline where inline;
        drop index pipeline_name;
        alter table pipeline drop column inline, drop column next_run_at, add unique (workspace_id, name);
    ",
};
